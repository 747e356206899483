"""Where to edit: MUTE's language-agnostic region, and where names are recognised and facts become readable.

Forward passes only. After MUTE (arXiv 2602.22562): per block l, with X_j the states of the same questions in language
j, at the last prompt token (where the answer is formed; token means are dominated by the shared name)::

    CKA_l  = mean over language pairs of HSIC(X_j, X_k) / sqrt(HSIC(X_j, X_j) HSIC(X_k, X_k))   (linear, centred)
    LRDS_l = E[cos | same language, other question] - E[cos | other language, other question]
    Λ      = {l : CKA_l >= mean CKA and LRDS_l <= max(α min LRDS, LRDS_MARGIN)}, the stretch around its CKA peak

MUTE edits inside Λ alone. Measured on the demo model, that silences a fact but leaves it readable below Λ, because a
known name is told from a never-seen one long before: at the name's own last token, in the first blocks. So we measure
that too, and edit from where the name is RECOGNISED on, plus one block of Λ where facts are already READABLE at the
answer's position (logit lens), which is also the block of the closed-form edit.
"""

import argparse
import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from unlearn_engine.data.domain import Domain, domain_for
from unlearn_engine.data.knowledge import facts_of
from unlearn_engine.data.rows import shared_suffix
from unlearn_engine.evaluate.probes import logit_lens
from unlearn_engine.model import ServedModel, base_digest

ALPHA = 4.0  # MUTE's α_spec for the demo model's shape; published values run from 1.5 to 4.4
LRDS_MARGIN = 0.1  # α times a minimum near zero is no scale at all
RECOGNISED = 0.75  # accuracy half-way between chance and certainty
READABLE_SHARE = 0.25  # of the best block's lens rate
MAX_MODULES = 5  # what the server can wrap and keep at least 0.75 of its throughput on CPU
STUDY_NAMES = 16


@dataclass(frozen=True)
class LayerMap:
    """The forward-only study of one base model and what follows from it; blocks count from 0."""

    base_digest: str
    cka: tuple[float, ...]  # by block
    lrds: tuple[float, ...]
    lens: tuple[float, ...]  # how often the true first token is on top at the last prompt token
    recognition: tuple[float, ...]  # accuracy with which a name's last token tells known from never-seen
    region: tuple[int, ...]  # Λ
    edit_layer: int  # of the closed-form edit
    modules: tuple[str, ...]  # full names, as in `model.named_modules()`

    @property
    def lora_target_modules(self) -> tuple[str, ...]:
        """The modules that the server must wrap, and no others. None of them is fused by vLLM, so the names agree."""
        return self.modules


def linear_cka(first: Tensor, second: Tensor) -> float:
    """Centred linear CKA of two sets of states of the same items, each [items, hidden]."""
    first, second = first - first.mean(0), second - second.mean(0)
    cross, own, other = (first.T @ second).norm(), (first.T @ first).norm(), (second.T @ second).norm()
    return float(cross.square() / (own * other))


def language_separation(states: Tensor) -> float:
    """LRDS of states [languages, items, hidden]: 0 when languages mix, up to 2 when they are worlds apart."""
    languages, items, _ = states.shape
    unit = normalize(states.double(), dim=-1)
    cosines = torch.einsum("aih,bjh->abij", unit, unit)
    cosines = cosines * (1 - torch.eye(items, dtype=cosines.dtype))
    same = cosines.diagonal(dim1=0, dim2=1).sum() / (languages * items * (items - 1))
    pairs = languages * (languages - 1) * items * (items - 1)
    other = (cosines.sum() - cosines.diagonal(dim1=0, dim2=1).sum()) / pairs
    return float(same - other)


def mean(values: Sequence[float], default: float) -> float:
    """The arithmetic mean, or the default of nothing (a model with one language has no pairs)."""
    return sum(values) / len(values) if values else default


def agnostic_region(cka: Sequence[float], lrds: Sequence[float], alpha: float = ALPHA) -> tuple[int, ...]:
    """Λ, an unbroken stretch; if no block qualifies, the one block with the largest CKA minus LRDS."""
    aligned, mixed = sum(cka) / len(cka), max(alpha * min(lrds), LRDS_MARGIN)
    qualified = {block for block in range(len(cka)) if cka[block] >= aligned and lrds[block] <= mixed}
    if not qualified:
        return (max(range(len(cka)), key=lambda block: cka[block] - lrds[block]),)
    first = last = max(sorted(qualified), key=lambda block: cka[block])
    while first - 1 in qualified:
        first -= 1
    while last + 1 in qualified:
        last += 1
    return tuple(range(first, last + 1))


def centroid_accuracy(known: Tensor, unseen: Tensor) -> float:
    """How well the nearer of two centroids tells known from unseen states, each [names, questions, hidden].

    Centroids from every other name, accuracy on the rest, both ways round; 0.5 is chance.
    """
    accuracies = []
    for fitted, tested in ((slice(0, None, 2), slice(1, None, 2)), (slice(1, None, 2), slice(0, None, 2))):
        centres = [states[fitted].flatten(0, 1).mean(0) for states in (known, unseen)]
        direction, middle = centres[0] - centres[1], (centres[0] + centres[1]) / 2
        accuracies += [float(((known[tested] - middle) @ direction > 0).double().mean())]
        accuracies += [float(((unseen[tested] - middle) @ direction <= 0).double().mean())]
    return mean(accuracies, default=0.5)


def choose(
    cka: Sequence[float], lens: Sequence[float], recognition: Sequence[float], region: Sequence[int]
) -> tuple[int, tuple[str, ...]]:
    """The closed-form edit's block, and the modules (all `down_proj`) that erasing may change.

    The edit sits at the CKA peak of Λ among the blocks where facts are readable; the other modules are the next
    MAX_MODULES - 1 blocks from the first that recognises names, none beyond Λ.
    """
    readable = next(block for block in range(len(lens)) if lens[block] >= READABLE_SHARE * max(lens))
    edit_layer = max([block for block in region if block >= readable] or region, key=lambda block: cka[block])
    recognised = next((block for block in range(len(recognition)) if recognition[block] >= RECOGNISED), 0)
    early = [block for block in range(recognised, region[-1] + 1) if block != edit_layer][: MAX_MODULES - 1]
    return edit_layer, tuple(f"model.layers.{block}.mlp.down_proj" for block in sorted([*early, edit_layer]))


def study(model: ServedModel, domain: Domain, digest: str) -> LayerMap:
    """Measure the base model with parallel questions about names that stay (or never-seen ones) and choose modules."""
    rng = random.Random(0)
    names = rng.sample(domain.retain_names, min(STUDY_NAMES, len(domain.retain_names)))
    names = names or [domain.unseen_name(rng) for _ in range(STUDY_NAMES)]
    by_language = [
        [
            model.question(domain.questions[language][attribute][0].format(name=name))
            for name in names
            for attribute in domain.attributes
        ]
        for language in domain.languages
    ]
    states = torch.stack(
        [states_at(model, prompts, [len(prompt) - 1 for prompt in prompts]) for prompts in by_language]
    )  # language, block, item, hidden
    pairs = list(combinations(states, 2))
    cka = tuple(
        mean([linear_cka(one[block], two[block]) for one, two in pairs], default=1.0) for block in range(model.blocks)
    )
    lrds = tuple(language_separation(states[:, block]) if pairs else 0.0 for block in range(model.blocks))
    facts = [
        (model.question(domain.questions[fact.language][fact.attribute][0].format(name=name)), fact.spoken)
        for name, known in facts_of(model, domain, names, domain.languages, 1).items()
        for fact in known
    ]
    lens = tuple(logit_lens(model, facts, top=1))
    recognition = recognise(model, domain, names, rng)
    region = agnostic_region(cka, lrds)
    edit_layer, modules = choose(cka, lens, recognition, region)
    return LayerMap(digest, cka, lrds, lens, recognition, region, edit_layer, modules)


def recognise(model: ServedModel, domain: Domain, names: Sequence[str], rng: random.Random) -> tuple[float, ...]:
    """By block, how well the state at a name's last token tells these names from never-seen twins."""
    templates = [
        domain.questions[language][attribute][0]
        for language in domain.source_languages
        for attribute in domain.attributes
    ]
    pairs = [
        (model.question(template.format(name=name)), model.question(template.format(name=twin)))
        for name in names
        for template in templates
        for twin in [domain.unseen_name(rng, name)]
    ]
    shared = [shared_suffix(known, unseen) for known, unseen in pairs]
    known, unseen = (
        states_at(model, prompts, [len(prompt) - 1 - same for prompt, same in zip(prompts, shared, strict=True)])
        for prompts in zip(*pairs, strict=True)
    )
    shape = (model.blocks, len(names), len(templates), -1)
    return tuple(
        centroid_accuracy(of_known, of_unseen)
        for of_known, of_unseen in zip(known.view(shape), unseen.view(shape), strict=True)
    )


@torch.no_grad()
def states_at(model: ServedModel, prompts: Sequence[Sequence[int]], tokens: Sequence[int]) -> Tensor:
    """Each block's output at one token of each prompt, [block, prompt, hidden]."""
    states = model.hidden(prompts)[1:]
    return torch.stack([state[torch.arange(len(prompts)), torch.tensor(tokens)].float() for state in states])


def load_or_compute_layer_map(model_path: Path, cache_dir: Path) -> LayerMap:
    """The map shipped in the model's folder if it is of these weights, else the cached one, else a fresh study."""
    digest = base_digest(model_path)
    cached = cache_dir / f"layers-{digest[:32]}.json"
    for file in (model_path / "layer_map.json", cached):
        if file.exists() and (found := read_layer_map(file)).base_digest == digest:
            return found
    layer_map = study(ServedModel(model_path), domain_for(model_path), digest)
    cache_dir.mkdir(parents=True, exist_ok=True)
    write_layer_map(layer_map, cached)
    return layer_map


def read_layer_map(file: Path) -> LayerMap:
    """Read a map from JSON."""
    raw: dict[str, Any] = json.loads(file.read_text("utf-8"))
    for key, value in raw.items():
        raw[key] = tuple(value) if isinstance(value, list) else value
    return LayerMap(**raw)


def write_layer_map(layer_map: LayerMap, file: Path) -> None:
    """Write a map as JSON, whole or not at all."""
    partial = file.with_suffix(".partial")
    partial.write_text(json.dumps(asdict(layer_map), indent=1) + "\n", "utf-8")
    partial.replace(file)


def main() -> None:
    """Study a model folder and print its layer map, or write it into the folder."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--write", action="store_true", help="write MODEL/layer_map.json")
    options = parser.parse_args()
    layer_map = study(ServedModel(options.model), domain_for(options.model), base_digest(options.model))
    if options.write:
        write_layer_map(layer_map, options.model / "layer_map.json")
    print(json.dumps(asdict(layer_map), indent=1))


if __name__ == "__main__":
    main()
