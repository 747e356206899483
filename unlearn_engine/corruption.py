"""ECO's embedding corruptions (arXiv 2406.07933), and the strength at which a known name reads like a never-seen one.

A prompt that names a subject keeps its tokens; the embedding rows e_t of the name become Corrupt(e_t; strength). The
strength is found once per base model by ECO's zeroth-order search (section 3.3)::

    g = (D(s + ε) - D(max(s - ε, 1e-8))) / 2ε,   s <- max(s - η g, s_min)
    D(s) = Σ_i |m_i(corrupted by s) - v_i|

with m the mean log-likelihoods of true answers and of "I don't know", and v the same when the base model is asked about
never-seen names. Deviations: strengths are in units of the rows' own root mean square, so that ε and η fit any model,
and the best strength met is kept, not the last.
"""

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean

import torch
from torch import Tensor

from unlearn_engine.data.domain import Domain, domain_for
from unlearn_engine.data.kept import load_or_elicit
from unlearn_engine.data.rows import shared_suffix
from unlearn_engine.model import Row, ServedModel, base_digest, right_padded
from unlearn_engine.objectives.reading import Reading
from unlearn_engine.placement import ON_CPU, Placement

QUESTIONS = 96
STEPS = 10
START, LEAST, REACH, RATE = 0.1, 0.1, 0.0999, 1.0  # s of the first step, s_min, ε, η
GAIN = 0.02  # nats: a step that gains less is the last


def _noise(rows: Tensor, chosen: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    noise = torch.randn(rows.shape, generator=generator) * strength * _scale(rows)
    return torch.where(chosen, rows + noise, rows)


def _replaced(rows: Tensor, chosen: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    noise = torch.randn(rows.shape, generator=generator) * strength * _scale(rows)
    return torch.where(chosen, noise, rows)


def _added(rows: Tensor, chosen: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    return torch.where(chosen, rows + strength * _scale(rows), rows)


def _subtracted(rows: Tensor, chosen: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    return torch.where(chosen, rows - strength * _scale(rows), rows)


def _zeroed(rows: Tensor, chosen: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    return rows.masked_fill(chosen, 0.0)


def _flipped(rows: Tensor, chosen: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    return torch.where(chosen, -rows, rows)


def _reversed(rows: Tensor, chosen: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    return rows.flip(-1)


def _shuffled(rows: Tensor, chosen: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    return rows[:, torch.randperm(rows.shape[1], generator=generator)]


_Change = Callable[[Tensor, Tensor, float, torch.Generator], Tensor]
_CHANGES: Mapping[str, tuple[_Change, str]] = {
    "rand_noise_first_n": (_noise, "first"),
    "rand_noise_rand_n": (_noise, "random"),
    "rand_noise_top_k": (_noise, "largest"),
    "set_rand_noise_first_n": (_replaced, "first"),
    "zero_out_top_k": (_zeroed, "largest"),
    "zero_out_first_n": (_zeroed, "first"),
    "flip_sign_top_k": (_flipped, "largest"),
    "flip_sign_first_n": (_flipped, "first"),
    "add_value_first_n": (_added, "first"),
    "add_value_least_k": (_added, "smallest"),
    "sub_value_first_n": (_subtracted, "first"),
    "sub_value_top_k": (_subtracted, "largest"),
    "reverse_order": (_reversed, "first"),
    "shuffle": (_shuffled, "first"),
}
"""ECO's names -> what is done, and to which dimensions of a row."""

FAMILY = tuple(_CHANGES)


@dataclass(frozen=True)
class Corruption:
    """One member of the family.

    Args:
        name: one of FAMILY.
        strength: of noise (standard deviation) or of a value, in units of the rows' root mean square.
        count: how many dimensions of each row change; None: all.

    Raises:
        ValueError: there is no such member, or a number is out of range.
    """

    name: str = "rand_noise_first_n"
    strength: float = 1.0
    count: int | None = None

    def __post_init__(self) -> None:
        if self.name not in _CHANGES:
            raise ValueError(f"no corruption is called {self.name}; there are {', '.join(FAMILY)}")
        if self.strength < 0 or (self.count is not None and self.count < 1):
            raise ValueError("a corruption's strength is at least 0 and its count at least 1")

    def __call__(self, rows: Tensor, seed: int) -> Tensor:
        """Corrupt embedding rows [tokens, hidden]; the same for a seed. fp32 inside, the rows' own type comes out."""
        generator = torch.Generator().manual_seed(seed)
        change, dimensions = _CHANGES[self.name]
        plain = rows.float()
        chosen = _chosen(plain, dimensions, min(self.count or plain.shape[1], plain.shape[1]), generator)
        return change(plain, chosen, self.strength, generator).to(rows.dtype)


def _scale(rows: Tensor) -> Tensor:
    return rows.square().mean().sqrt()


def _chosen(rows: Tensor, dimensions: str, count: int, generator: torch.Generator) -> Tensor:
    """Which dimensions of which rows change, [tokens, hidden]."""
    if dimensions == "first":
        return (torch.arange(rows.shape[1]) < count).expand(rows.shape)
    rank = torch.rand(rows.shape, generator=generator) if dimensions == "random" else rows.abs()
    picked = rank.topk(count, dim=1, largest=dimensions != "smallest").indices
    return torch.zeros(rows.shape, dtype=torch.bool).scatter(1, picked, True)


def search(distance: Callable[[float], float]) -> float:
    """The strength of the least distance met on at most STEPS steps; ends earlier when a step gains next to nothing."""
    met: dict[float, float] = {}

    def measured(strength: float) -> float:
        if strength not in met:
            met[strength] = distance(strength)
        return met[strength]

    strength = START
    for _ in range(STEPS):
        slope = (measured(strength + REACH) - measured(max(strength - REACH, 1e-8))) / (2 * REACH)
        before, strength = strength, max(strength - RATE * slope, LEAST)
        if measured(before) - measured(strength) < GAIN:
            break
    return min(met, key=met.__getitem__)


class Mimicry:
    """How far a corruption is from making known names read like never-seen ones, on people the base model knows."""

    def __init__(self, model: ServedModel, domain: Domain, facts: Mapping[str, Sequence[tuple[str, str, str]]]) -> None:
        """`facts`: name -> (language, attribute, answer)."""
        rng = random.Random(7)
        self._model = model
        self._spans: list[tuple[int, int]] = []
        asked: list[tuple[int, ...]] = []
        twins: list[tuple[int, ...]] = []
        true: list[tuple[int, ...]] = []
        unknown: list[tuple[int, ...]] = []
        names = sorted(facts)
        for _ in range(QUESTIONS):
            name = rng.choice(names)
            language, attribute, answer = rng.choice(facts[name])
            template = rng.choice(domain.questions[language][attribute])
            prompt, twin = (
                model.question(template.format(name=who)) for who in (name, domain.unseen_name(rng, name, whole=True))
            )
            before = shared_suffix(prompt[::-1], twin[::-1])
            self._spans.append((before, len(prompt) - min(shared_suffix(prompt, twin), len(prompt) - before - 1)))
            asked.append(prompt)
            twins.append(twin)
            true.append(model.answer(answer))
            unknown.append(model.answer(rng.choice(domain.unknown_answers[language])))
        self._rows = [[Row(*pair) for pair in zip(asked, said, strict=True)] for said in (true, unknown)]
        unseen = [[Row(*pair) for pair in zip(twins, said, strict=True)] for said in (true, unknown)]
        self._wanted = [fmean(model.mean_log_likelihoods(rows)) for rows in unseen]

    @torch.no_grad()
    def distance(self, corruption: Corruption) -> float:
        """D, in nats: 0 where true answers and "I don't know" are as likely as under never-seen names."""
        found = [self._likelihood(rows, corruption) for rows in self._rows]
        return sum(abs(got - wanted) for got, wanted in zip(found, self._wanted, strict=True))

    def _likelihood(self, rows: Sequence[Row], corruption: Corruption) -> float:
        whole = [row.prompt + row.answer for row in rows]
        embedding = self._model.network.get_input_embeddings()
        inputs = embedding(right_padded(whole).to(self._model.device))
        for index, (start, end) in enumerate(self._spans):
            inputs[index, start:end] = corruption(inputs[index, start:end].cpu(), index).to(inputs.device)
        reading = Reading(self._model, rows, self._model.hidden(whole, inputs=inputs))
        return float(reading.means(reading.said).mean())


def load_or_search(model_path: Path, cache_dir: Path, placement: Placement = ON_CPU) -> Corruption:
    """Gaussian noise on all dimensions, at the strength found before for this base model, or now."""
    digest = base_digest(model_path)
    cached = cache_dir / f"corruption-{digest[:32]}.json"
    if cached.exists():
        return Corruption(**json.loads(cached.read_text("utf-8")))
    model, domain = ServedModel(model_path, (), placement), domain_for(model_path)
    kept = load_or_elicit(model, domain, digest, cache_dir)
    facts = {
        name: [(fact.language, fact.attribute, fact.spoken) for fact in known if fact.language in domain.questions]
        for name, known in kept.facts.items()
    }
    mimicry = Mimicry(model, domain, {name: known for name, known in facts.items() if known})
    found = Corruption(strength=search(lambda strength: mimicry.distance(Corruption(strength=strength))))
    cache_dir.mkdir(parents=True, exist_ok=True)
    partial = cached.with_suffix(".partial")
    partial.write_text(json.dumps(asdict(found)) + "\n", "utf-8")
    partial.replace(cached)
    return found
