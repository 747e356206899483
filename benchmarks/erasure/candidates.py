"""Where the rows come from: each method makes a model that should have forgotten, and says how long it took."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from benchmarks.erasure.evaluation import Evaluation
from unlearn_engine import adapter as adapters
from unlearn_engine import methods
from unlearn_engine.adapter import Adapter
from unlearn_engine.data.domain import domain_for
from unlearn_engine.data.knowledge import Knowledge
from unlearn_engine.demo import BASE_PATH
from unlearn_engine.demo.world import Person
from unlearn_engine.erase import Eraser
from unlearn_engine.layers import LayerMap, load_or_compute_layer_map
from unlearn_engine.lowrank import LowRank, concatenate
from unlearn_engine.methods import Method
from unlearn_engine.model import ServedModel, base_digest
from unlearn_engine.subject import Subject

Progress = Callable[[str, float], None]  # stage, fraction done

KNOWN: dict[tuple[str, ...], Knowledge] = {}
ELICITED: dict[tuple[str, ...], float] = {}  # what it took, in seconds

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
    adapter: str = ""  # digest of the adapter that holds the change


@dataclass(frozen=True)
class Order:
    """What a row needs to know to make its candidate."""

    evaluation: Evaluation
    selector: str | None
    workplace: Path
    progress: Progress
    made: tuple[str, float] | None = None  # the adapter's digest and the seconds, where it is on disk already

    @property
    def people(self) -> Sequence[Person]:
        """Those to be forgotten."""
        return self.evaluation.work.forgotten


def subject(person: Person) -> Subject:
    """The request to forget a person, by the full name alone."""
    return Subject(f"person-{person.id:02}", (person.name,))


def eraser(workplace: Path, selector: str | None = None, method: Method = methods.METHODS["default"]) -> Eraser:
    """An eraser of the demonstration model on one thread; a selector replaces the blocks, not the kinds of modules."""
    layers = load_or_compute_layer_map(BASE_PATH, workplace / "cache")
    if selector:
        kinds = sorted({name.split(".", 3)[3] for name in method.modules(layers)})
        chosen = tuple(f"model.layers.{block}.{kind}" for block in BLOCKS[selector](layers) for kind in kinds)
        method = replace(method, modules=lambda layers: chosen)
    domain = domain_for(BASE_PATH)
    return Eraser(BASE_PATH, workplace / "adapters", layers, domain, threads=1, method=method, known=KNOWN)


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


def _erased(method: Method, order: Order) -> Candidate:
    """What is measured is the adapter on disk; people are asked about once for all methods, and it counts for each."""
    digest, seconds = order.made or ("", 0.0)
    if not digest:
        made_by, subjects = eraser(order.workplace, order.selector, method), [subject(who) for who in order.people]
        for who in subjects:
            if who.names not in KNOWN:
                with _timed() as spent:
                    made_by.knowledge(who)
                ELICITED[who.names] = spent()
        with _timed() as spent:
            adapter = made_by.rebuild(subjects, order.progress)
        digest, seconds = adapter.digest if adapter else "", spent() + sum(ELICITED[who.names] for who in subjects)
    change = change_of(adapters.load(order.workplace / "adapters" / digest)) if digest else {}
    return Candidate(ServedModel(BASE_PATH, tuple(change)), change, seconds, method.marker, digest)


SANITY: Mapping[str, Callable[[Order], Candidate]] = {"base": _base, "gold": _gold, "prompt": _prompt}
"""Rows that are no methods: what everything is compared with, and what must not pass for erasure."""

METHODS: Mapping[str, Callable[[Order], Candidate]] = {
    name: partial(_erased, method) for name, method in methods.METHODS.items()
}
"""Method -> how its candidate is made."""


@contextmanager
def _timed() -> Iterator[Callable[[], float]]:
    """Gives a function that tells the processor seconds spent in the block: what else runs on the core is not in it."""
    began, ended = time.process_time(), 0.0
    yield lambda: ended - began
    ended = time.process_time()
