"""The study of a base model's blocks: made once per model, shipped or cached, and what follows from it.

Forward passes only. Measured are MUTE's CKA and LRDS (`selectors/mute.py`), where a name is recognised
(`selectors/recognition.py`) and where a fact can be read off (logit lens); the rule that picks the modules from them is
in `selectors/recognition.py`.
"""

import argparse
import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from unlearn_engine.data.domain import Domain, domain_for
from unlearn_engine.data.knowledge import facts_of
from unlearn_engine.data.rows import shared_suffix
from unlearn_engine.evaluate.probes import logit_lens
from unlearn_engine.model import ServedModel, base_digest
from unlearn_engine.placement import ON_CPU, Placement
from unlearn_engine.selectors import linears_of
from unlearn_engine.selectors.mute import agnostic_region, language_separation, mean_cka
from unlearn_engine.selectors.picture import draw
from unlearn_engine.selectors.recognition import centroid_accuracy, early, edit_block

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
    modules: tuple[str, ...]  # that training may change; full names, as in `model.named_modules()`

    @property
    def edit_module(self) -> str:
        """Where the closed-form edit goes."""
        return f"model.layers.{self.edit_layer}.mlp.down_proj"

    @property
    def lora_target_modules(self) -> tuple[str, ...]:
        """The modules that the server must be able to adapt, and no others; a server that fuses some maps the names."""
        return tuple(dict.fromkeys((*self.modules, self.edit_module)))


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
    cka = tuple(mean_cka(states[:, block]) for block in range(model.blocks))
    lrds = tuple(language_separation(states[:, block]) for block in range(model.blocks))
    facts = [
        (model.question(domain.questions[fact.language][fact.attribute][0].format(name=name)), fact.spoken)
        for name, known in facts_of(model, domain, names, domain.languages, 1).items()
        for fact in known
    ]
    lens = tuple(logit_lens(model, facts, top=1))
    recognition = recognise(model, domain, names, rng)
    region = agnostic_region(cka, lrds)
    modules = tuple(name for block in early(recognition) for name in linears_of(model, block))
    return LayerMap(digest, cka, lrds, lens, recognition, region, edit_block(cka, lens, region), modules)


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


def load_or_compute_layer_map(model_path: Path, cache_dir: Path, placement: Placement = ON_CPU) -> LayerMap:
    """The map shipped in the model's folder if it is of these weights, else the cached one, else a fresh study."""
    digest = base_digest(model_path)
    cached = cache_dir / f"layers-{digest[:32]}.json"
    for file in (model_path / "layer_map.json", cached):
        if file.exists() and (found := read_layer_map(file)).base_digest == digest:
            return found
    layer_map = study(ServedModel(model_path, (), placement), domain_for(model_path), digest)
    cache_dir.mkdir(parents=True, exist_ok=True)
    write_layer_map(layer_map, cached)
    return layer_map


def picture(layer_map: LayerMap, file: Path) -> dict[str, tuple[float, ...]]:
    """Draw the map as a PNG and return the numbers drawn; see `selectors.picture.draw`."""
    trained = tuple(dict.fromkeys(int(name.split(".")[2]) for name in layer_map.modules))
    marked = {"region Λ": layer_map.region, "trained": trained, "closed-form edit": (layer_map.edit_layer,)}
    return draw(layer_map, marked, file)


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
    """Study a model folder and print its layer map; write it into the folder, or draw it, when asked to."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--write", action="store_true", help="write MODEL/layer_map.json")
    parser.add_argument("--picture", type=Path, help="draw the map into this PNG")
    options = parser.parse_args()
    layer_map = study(ServedModel(options.model), domain_for(options.model), base_digest(options.model))
    if options.picture:
        picture(layer_map, options.picture)
    if options.write:
        write_layer_map(layer_map, options.model / "layer_map.json")
    print(json.dumps(asdict(layer_map), indent=1))


if __name__ == "__main__":
    main()
