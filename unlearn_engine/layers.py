"""Where to edit: MUTE's language-agnostic region and the logit-lens onset of the facts, from forward passes only.

After MUTE (arXiv 2602.22562). Per block l, with X_j the states of the same questions in language j, measured at the
last prompt token (where the answer is formed; token means are dominated by the shared name)::

    CKA_l  = mean over language pairs of HSIC(X_j, X_k) / sqrt(HSIC(X_j, X_j) HSIC(X_k, X_k))   (linear, centred)
    LRDS_l = E[cos | same language, other question] - E[cos | other language, other question]
    Λ      = {l : CKA_l >= mean CKA and LRDS_l <= max(α min LRDS, LRDS_MARGIN)}

MUTE edits inside Λ. That silences a fact whose retrieval begins below Λ, yet leaves it readable there. So the modules
run from the ONSET (the first block at which the logit lens reads the facts) to the end of Λ, and the closed-form edit
sits inside Λ.
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
from unlearn_engine.evaluate.probes import logit_lens
from unlearn_engine.model import ServedModel, base_digest

ALPHA = 4.0  # MUTE's α_spec for the demo model's shape; published values run from 1.5 to 4.4
LRDS_MARGIN = 0.1  # α times a minimum near zero is no scale at all
ONSET_SHARE = 0.25  # of the best block's lens rate
MAX_MODULES = 5  # what the server can wrap and keep at least 0.75 of its throughput on CPU
STUDY_NAMES = 16


@dataclass(frozen=True)
class LayerMap:
    """The forward-only study of one base model and what follows from it; blocks count from 0."""

    base_digest: str
    cka: tuple[float, ...]  # by block
    lrds: tuple[float, ...]
    lens: tuple[float, ...]  # how often the true first token is on top after each block
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
    """Λ; if no block qualifies, the one block with the largest CKA minus LRDS."""
    aligned, mixed = sum(cka) / len(cka), max(alpha * min(lrds), LRDS_MARGIN)
    region = tuple(block for block in range(len(cka)) if cka[block] >= aligned and lrds[block] <= mixed)
    return region or (max(range(len(cka)), key=lambda block: cka[block] - lrds[block]),)


def choose(lens: Sequence[float], cka: Sequence[float], region: Sequence[int]) -> tuple[int, tuple[str, ...]]:
    """The closed-form edit's block and the modules to train: `down_proj` from the onset through the end of the region.

    Of more than MAX_MODULES blocks, that many evenly spread ones are taken, the edit's block among them.
    """
    onset = next((block for block, rate in enumerate(lens) if rate >= ONSET_SHARE * max(lens)), 0)
    edit_layer = max(region, key=lambda block: cka[block])
    blocks = list(range(min(onset, region[0]), region[-1] + 1))
    if len(blocks) > MAX_MODULES:
        spread = {blocks[step * (len(blocks) - 1) // (MAX_MODULES - 1)] for step in range(MAX_MODULES)}
        if edit_layer not in spread:
            spread.remove(min(spread, key=lambda block: abs(block - edit_layer)))
        blocks = sorted(spread | {edit_layer})
    return edit_layer, tuple(f"model.layers.{block}.mlp.down_proj" for block in blocks)


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
        [last_prompt_states(model, prompts) for prompts in by_language]
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
    region = agnostic_region(cka, lrds)
    edit_layer, modules = choose(lens, cka, region)
    return LayerMap(digest, cka, lrds, lens, region, edit_layer, modules)


@torch.no_grad()
def last_prompt_states(model: ServedModel, prompts: Sequence[Sequence[int]]) -> Tensor:
    """Each block's output at the last token of each prompt, [block, prompt, hidden]."""
    states = model.hidden(prompts)[1:]
    last = torch.tensor([len(prompt) - 1 for prompt in prompts])
    return torch.stack([state[torch.arange(len(prompts)), last].float() for state in states])


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
