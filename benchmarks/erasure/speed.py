"""How long training takes until nothing is told and all else still is: the gateway's way, and LoRA on all layers.

The common way adapts every linear layer of every block, draws new rows for every step, computes all blocks of both the
student and the reference, and remembers nothing. One thread; processor seconds of the training alone, without the
looks at what is still told.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from benchmarks.erasure.candidates import change_of, eraser, subject
from benchmarks.erasure.evaluation import FORGET, RETAIN, Evaluation, recall
from unlearn_engine.demo import BASE_PATH
from unlearn_engine.methods import METHODS, Case, Method
from unlearn_engine.model import Row, ServedModel
from unlearn_engine.objectives import Item, Objective, Retention
from unlearn_engine.objectives.reading import Reading, View
from unlearn_engine.stop import Gauges, StopRule
from unlearn_engine.train import Plan

EVERY = 2  # steps between two looks
QUESTIONS = 240  # of each forget column
TOLD, KEPT = 0.01, 0.97  # it is done when so little is told, and so much of what stays, in the worst columns

Race = dict[str, Any]


class Whole:
    """A view that computes all blocks, however deep it is asked to read."""

    def __init__(self, view: View) -> None:
        self._view = view

    def __getattr__(self, name: str) -> Any:
        return getattr(self._view, name)

    def __call__(self, rows: Sequence[Row], depth: int | None = None) -> Reading:
        """Read rows to the logits."""
        return self._view(rows)


@dataclass(frozen=True)
class Common:
    """An objective, or a retention, on all blocks."""

    loss: Callable[..., Any]
    depth: None = None

    def __call__(self, student: View, base: View, rows: Sequence[Item] | Sequence[Row]) -> Any:
        """Its loss."""
        return self.loss(Whole(student), Whole(base), rows)


@dataclass(frozen=True)
class Watch(StopRule):
    """Stops when it is done, and knows what time it spent looking."""

    evaluation: Evaluation | None = None
    spent: list[float] = field(default_factory=list)

    def __call__(self, model: ServedModel) -> Gauges:
        """Look at the model wearing the change."""
        began = time.process_time()
        assert self.evaluation is not None
        found = {name: recall(model, self.evaluation.columns[name][:QUESTIONS]) for name in (*FORGET, *RETAIN)}
        told, kept = max(found[name] for name in FORGET), min(found[name] for name in RETAIN)
        self.spent.append(time.process_time() - began)
        return Gauges(told, 0.0, told <= TOLD and kept >= KEPT, False)


def common(method: Method) -> Method:
    """The same objective the common way."""

    def start(case: Case) -> Plan:
        plan = method.start(case)
        assert isinstance(plan, Plan)
        return replace(plan, forget=cast(Objective, Common(plan.forget)), retain=cast(Retention, Common(plan.retain)))

    return replace(method, start=start, recipe=replace(method.recipe, pool=1, passes=1))


CONTENDERS: Mapping[str, tuple[Method, str | None]] = {
    "twin-states": (METHODS["twin-states"], None),
    "twin-states, the common way": (common(METHODS["twin-states"]), "all"),
    "default": (METHODS["default"], None),
    "default, the common way": (common(METHODS["default"]), "all"),
    **{f"{name}, the common way": (common(METHODS[name]), "all") for name in ("idk", "duet", "npo", "graddiff")},
}
"""Name -> method and selector."""


def run(evaluation: Evaluation, workplace: Path, *, again: bool = False) -> list[Race]:
    """Train the evaluation's people by every contender and keep what it took, unless that is there already."""
    people = evaluation.work.forgotten
    file = workplace / f"speed-{len(people)}.json"
    races: list[Race] = json.loads(file.read_text("utf-8")) if file.exists() and not again else []
    if races:
        return races
    subjects = [subject(person) for person in people]
    for name, (method, selector) in CONTENDERS.items():
        watch = Watch((), (), 0.0, 0.0, EVERY, evaluation)

        def start(case: Case, method: Method = method, watch: Watch = watch) -> Plan:
            plan = method.start(case)
            assert isinstance(plan, Plan)
            return replace(plan, stop=watch)

        made_by = eraser(workplace, selector, replace(method, start=start))
        for who in subjects:
            made_by.knowledge(who)
        began = time.process_time()
        adapter = made_by.rebuild(subjects, lambda stage, done: None)
        seconds = time.process_time() - began - sum(watch.spent)
        assert adapter is not None
        change = change_of(adapter)
        found = evaluation(ServedModel(BASE_PATH, tuple(change)), change, parts=("recall",))
        told = max(found[column] for column in FORGET)
        kept = min(found[f"{column}_ratio"] for column in RETAIN)
        races.append(
            {
                "people": len(people),
                "contender": name,
                "seconds": seconds,
                "steps": EVERY * len(watch.spent),
                "done": told <= TOLD and kept >= KEPT,
                "recall": told,
                "retain_ratio": kept,
                "general_ratio": found["general_ratio"],
            }
        )
    file.write_text(json.dumps(races, indent=1), "utf-8")
    return races


def measured(workplace: Path) -> list[Race]:
    """What was measured before."""
    return [race for file in sorted(workplace.glob("speed-*.json")) for race in json.loads(file.read_text("utf-8"))]
