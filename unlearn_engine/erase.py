"""The erasure of a subject from start to end: elicit, edit at once, train, verify; every result an adapter on disk."""

import argparse
import hashlib
import json
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from unlearn_engine import adapter as adapters
from unlearn_engine import memory
from unlearn_engine.adapter import Adapter
from unlearn_engine.bake import baked
from unlearn_engine.data.domain import Domain, domain_for
from unlearn_engine.data.evidence import Evidence
from unlearn_engine.data.examples import elicit_evidence
from unlearn_engine.data.kept import load_or_elicit
from unlearn_engine.data.knowledge import Knowledge, elicit
from unlearn_engine.data.rows import RowSource, Target
from unlearn_engine.edits import rank_one
from unlearn_engine.errors import EraseError
from unlearn_engine.evaluate.verify import Verification, verify
from unlearn_engine.layers import LayerMap, load_or_compute_layer_map
from unlearn_engine.lowrank import Factors, LowRank, concatenate, initial, widened
from unlearn_engine.methods import METHODS, Case, Method
from unlearn_engine.model import ServedModel, base_digest
from unlearn_engine.placement import ON_CPU, Placement, add_flags
from unlearn_engine.subject import Subject
from unlearn_engine.train import Plan, Recipe, train

Progress = Callable[[str, float], None]  # stage, fraction done

EDIT_QUESTIONS = 72  # about each name
EDIT_KEPT = 800  # questions about others, whose answers must not move


class Eraser:
    """Erases subjects from one base model; loads it once and never changes it."""

    def __init__(
        self,
        model_path: Path,
        adapters_dir: Path,
        layer_map: LayerMap,
        domain: Domain,
        *,
        threads: int,
        method: Method = METHODS["default"],
        placement: Placement = ON_CPU,
        known: dict[tuple[str, ...], Knowledge] | None = None,
    ) -> None:
        """What one eraser has elicited may be given to another of the same base: `known`, by the names asked about."""
        torch.set_num_threads(threads)
        self._base = base_digest(model_path)
        record = baked(model_path)
        self._baked = record.adapters if record else ()  # what the weights have taken in is not worn on top
        if layer_map.base_digest != self._base:
            raise ValueError("the layer map was made for another base model")
        self._modules = tuple(method.modules(layer_map))
        wrapped = tuple(dict.fromkeys((*self._modules, layer_map.edit_module)))
        self._model = ServedModel(model_path, wrapped, placement)
        self._layer_map, self._domain, self._directory, self._method = layer_map, domain, adapters_dir, method
        self._kept = load_or_elicit(self._model, domain, self._base, adapters_dir.parent / "cache")
        self._known = {} if known is None else known
        self._evidence: dict[Subject, Evidence] = {}

    def knowledge(self, subject: Subject) -> Knowledge:
        """What the base model says about the subject's first name, and the other names it knows it by."""
        if subject.names not in self._known:
            with self._model.wearing(None):
                self._known[subject.names] = elicit(self._model, self._domain, subject.names)
        return self._known[subject.names]

    def evidence(self, subject: Subject) -> Evidence:
        """What the base model tells of the evidence that came with the subject."""
        if subject not in self._evidence:
            knowledge = self.knowledge(subject)
            with self._model.wearing(None):
                self._evidence[subject] = elicit_evidence(self._model, self._domain, self._kept, subject, knowledge)
        return self._evidence[subject]

    def edit(self, new: Subject, current: Adapter | None, edited: Sequence[Subject] = ()) -> Adapter:
        """Redirect `new` in closed form on top of what `current` has been trained to forget; takes seconds.

        Edits that `current` holds already are solved again jointly with the new one, so `edited` must name their
        subjects (ValueError otherwise); those it has been trained to forget need no edit and are passed over. Raises
        RankExhausted when too many wait to be trained.
        """
        trained, _, pending = self._parts(current)
        learnt = set(current.subjects if current else ()) - set(pending)
        subjects = {subject.id: subject for subject in (*edited, new) if subject.id not in learnt}
        if missing := set(pending) - set(subjects):
            raise ValueError(f"{len(missing)} edited requests of the current adapter are not given")
        targets = [self._target(subject) for subject in subjects.values()]
        edits = self._redirect(targets, trained)
        covered = {*(current.subjects if current else ()), *subjects}
        return adapters.export(self._directory, self._base, trained, edits, sorted(covered), sorted(subjects))

    def train(self, new: Subject, earlier: Sequence[Subject], current: Adapter | None, progress: Progress) -> Adapter:
        """Distil `new` into the trained part of `current` and drop the edits; `earlier` subjects are rehearsed.

        The result covers `new` and `earlier`. The rank grows slowly with the number of subjects, up to a bound.
        """
        trained, _, _ = self._parts(current)
        return self._distil([new], earlier, trained, self._method.recipe_for(1 + len(earlier)), progress)

    def rebuild(self, subjects: Sequence[Subject], progress: Progress) -> Adapter | None:
        """Train all subjects at once from the base, which ends the drift of many runs on top; None for nobody."""
        if not subjects:
            return None
        recipe = self._method.recipe_for(len(subjects), new=len(subjects))
        return self._distil(subjects, (), {}, recipe, progress)

    def verify(
        self,
        adapter: Adapter | None,
        subject: Subject,
        others: Sequence[Subject] = (),
    ) -> Verification:
        """Ask the weights alone about the subject in its languages; `others` are erased too, not expected to stay."""
        trained, edits, _ = self._parts(adapter)
        gone = [self._target(other) for other in others]
        change = concatenate(trained, edits)
        return verify(self._model, self._domain, self._kept, change, self._target(subject), gone)

    def _distil(
        self,
        new: Sequence[Subject],
        earlier: Sequence[Subject],
        trained: LowRank,
        recipe: Recipe,
        progress: Progress,
    ) -> Adapter:
        progress("elicit", 0.0)
        targets = [self._target(subject) for subject in new]
        rehearsed = [self._target(subject) for subject in earlier]
        rows = RowSource(self._model, self._domain, self._kept, targets, rehearsed)
        covered = sorted({subject.id for subject in (*new, *earlier)})
        names = [name for target in targets for name in target.names]
        found = self._method.start(Case(self._model, self._layer_map, rows, names, self._modules))
        if isinstance(found, Plan):
            seed = self._seed(covered)
            generator = torch.Generator().manual_seed(seed)
            linears = {name: self._model.wrapped[name] for name in self._modules}
            nothing = initial(linears, recipe.rank, generator)
            start = widened(trained, recipe.rank, generator) or found.start or nothing
            found = train(self._model, rows, found, recipe, start, seed, lambda done: progress("train", done))
        return adapters.export(self._directory, self._base, found, {}, covered, ())

    def _redirect(self, targets: Sequence[Target], trained: LowRank) -> dict[str, Factors]:
        rng = random.Random(self._seed(sorted(name for target in targets for name in target.names)))
        rows = RowSource(self._model, self._domain, self._kept, targets)
        names = [name for target in targets for name in target.names]
        unseen = [self._domain.unseen_name(rng) for _ in range(EDIT_QUESTIONS)]
        layer = self._layer_map.edit_layer
        with self._model.wearing(trained):
            return rank_one.redirect(
                self._model,
                self._layer_map.edit_module,
                layer,
                [rows.questions(rng, [name] * EDIT_QUESTIONS) for name in names],
                rows.questions(rng, unseen),
                rows.staying(rng, EDIT_KEPT),
            )

    def _target(self, subject: Subject) -> Target:
        return Target.of(subject, self.knowledge(subject), self.evidence(subject))

    def _parts(self, adapter: Adapter | None) -> tuple[dict[str, Factors], dict[str, Factors], tuple[str, ...]]:
        if adapter is None or adapter.digest in self._baked:
            return {}, {}, ()
        return adapters.parts(adapter, self._base)

    def _seed(self, parts: Sequence[str]) -> int:
        return int.from_bytes(hashlib.sha256("\0".join((self._base, *parts)).encode()).digest()[:8])


def main() -> None:
    """Erase one name offline: edit, train, verify, and print where the adapters are and what was measured."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--model", type=Path, required=True, help="folder of the base model")
    parser.add_argument("--name", required=True, action="append", help="the subject's name, then aliases (repeatable)")
    parser.add_argument("--adapters", type=Path, required=True, help="folder that receives the adapters")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    add_flags(parser)
    options = parser.parse_args()
    placement = Placement(options.device, options.dtype, options.quantise, options.checkpointing)
    try:
        memory.require(options.model, placement)
    except EraseError as error:
        parser.exit(1, f"{error}\n")

    started = time.monotonic()
    layer_map = load_or_compute_layer_map(options.model, options.adapters.parent / "cache", placement)
    domain, threads = domain_for(options.model), options.threads
    eraser = Eraser(options.model, options.adapters, layer_map, domain, threads=threads, placement=placement)
    subject = Subject("offline", tuple(options.name))
    seconds = {"load": time.monotonic() - started}
    known = len(eraser.knowledge(subject).facts)
    if not known:
        parser.exit(1, "the base model knows nothing about that name: there is nothing to erase\n")
    report: dict[str, object] = {"facts": known, "base": asdict(eraser.verify(None, subject))}

    def show(stage: str, done: float) -> None:
        if not options.json:
            print(f"\r{stage} {done:4.0%} ", end="", flush=True)

    edited: Adapter | None = None
    for stage in ("edit", "train"):
        started = time.monotonic()
        made = eraser.edit(subject, None) if stage == "edit" else eraser.train(subject, (), edited, show)
        seconds[stage] = time.monotonic() - started
        started = time.monotonic()
        result = eraser.verify(made, subject)
        seconds[f"verify_{stage}"] = time.monotonic() - started
        report[stage] = {"adapter": str(made.path), "rank": made.rank, "verification": asdict(result)}
        edited = made
    report["seconds"] = {stage: round(taken, 2) for stage, taken in seconds.items()}
    print(("" if options.json else "\n") + json.dumps(report, indent=None if options.json else 1))


if __name__ == "__main__":
    main()
