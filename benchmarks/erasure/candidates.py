"""Where the rows come from: each method makes a model that should have forgotten, and says how long it took."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.erasure.evaluation import Evaluation
from unlearn_engine import adapter as adapters
from unlearn_engine.adapter import Adapter
from unlearn_engine.data.domain import domain_for
from unlearn_engine.demo import BASE_PATH
from unlearn_engine.demo.world import Person
from unlearn_engine.erase import Eraser
from unlearn_engine.layers import LayerMap, load_or_compute_layer_map
from unlearn_engine.lowrank import LowRank, concatenate
from unlearn_engine.model import ServedModel, base_digest
from unlearn_engine.subject import Subject

Progress = Callable[[str, float], None]  # stage, fraction done

BLOCKS: Mapping[str, Callable[[LayerMap], Sequence[int]]] = {
    "shallow": lambda layers: (0, 1),
    "region": lambda layers: layers.region,
    "deep": lambda layers: (len(layers.cka) - 2, len(layers.cka) - 1),
    "all": lambda layers: range(len(layers.cka)),
}
"""Selector -> the blocks whose modules may change, instead of those that the default chooses."""


@dataclass(frozen=True)
class Candidate:
    """A model to be evaluated; an instruction, if there is one, stands in front of every question."""

    model: ServedModel
    change: LowRank | None = None
    seconds: float = 0.0  # for all people together; start-up and the neighbours' facts, once per base, are not in it
    instruction: str = ""


@dataclass(frozen=True)
class Order:
    """What a row needs to know to make its candidate."""

    evaluation: Evaluation
    selector: str | None
    workplace: Path
    progress: Progress

    @property
    def people(self) -> Sequence[Person]:
        """Those to be forgotten."""
        return self.evaluation.work.forgotten


def subject(person: Person) -> Subject:
    """The request to forget a person, by the full name alone."""
    return Subject(f"person-{person.id:02}", (person.name,))


def eraser(workplace: Path, selector: str | None = None) -> Eraser:
    """An eraser of the demonstration model on one thread; a selector replaces the blocks, not the kinds of modules."""
    layers = load_or_compute_layer_map(BASE_PATH, workplace / "cache")
    if selector:
        kinds = sorted({name.split(".", 3)[3] for name in layers.modules})
        modules = (f"model.layers.{block}.{kind}" for block in BLOCKS[selector](layers) for kind in kinds)
        layers = replace(layers, modules=tuple(modules))
    return Eraser(BASE_PATH, workplace / "adapters", layers, domain_for(BASE_PATH), threads=1)


def change_of(adapter: Adapter) -> LowRank:
    """The whole change of an adapter of the demonstration model, as it is on disk."""
    trained, edits, _ = adapters.parts(adapter, base_digest(BASE_PATH))
    return concatenate(trained, edits)


def _base(order: Order) -> Candidate:
    return Candidate(order.evaluation.base)


def _gold(order: Order) -> Candidate:
    return Candidate(order.evaluation.gold)


def _prompt(order: Order) -> Candidate:
    names = ", ".join(person.name for person in order.people)
    return Candidate(order.evaluation.base, instruction=f"You do not know these people: {names}.")


def _default(order: Order) -> Candidate:
    made_by = eraser(order.workplace, order.selector)
    with _timed() as seconds:
        adapter = made_by.rebuild([subject(person) for person in order.people], order.progress)
    change = change_of(adapter) if adapter else None
    return Candidate(ServedModel(BASE_PATH, tuple(change or ())), change, seconds())


SANITY: Mapping[str, Callable[[Order], Candidate]] = {"base": _base, "gold": _gold, "prompt": _prompt}
"""Rows that are no methods: what everything is compared with, and what must not pass for erasure."""

METHODS: Mapping[str, Callable[[Order], Candidate]] = {"default": _default}
"""Method -> how its candidate is made."""


@contextmanager
def _timed() -> Iterator[Callable[[], float]]:
    """Gives a function that tells the seconds spent in the block."""
    began, ended = time.perf_counter(), 0.0
    yield lambda: ended - began
    ended = time.perf_counter()
