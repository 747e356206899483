"""Twenty people one after the other: after every step, are the earlier ones still forgotten, and what has it cost?"""

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks.erasure.candidates import change_of, eraser, subject
from benchmarks.erasure.evaluation import GENERAL, RETAIN, Evaluation, recall
from benchmarks.erasure.work import sample
from unlearn_engine import adapter as adapters
from unlearn_engine.adapter import Adapter
from unlearn_engine.demo import BASE_PATH, exam
from unlearn_engine.demo.corpus import Example
from unlearn_engine.demo.vocabulary import LANGUAGES
from unlearn_engine.demo.world import Person
from unlearn_engine.lowrank import LowRank, rank
from unlearn_engine.model import ServedModel

QUESTIONS_PER_PERSON = 96  # after every step: trained and held-out templates, all languages
GAUGE_QUESTIONS = 240  # of each column of what stays
MAX_FORGET, MIN_RETAIN, MIN_GENERAL = 0.02, 0.97, 0.95  # beyond these a sequence that is watched is consolidated

Step = dict[str, Any]


def norm(change: LowRank) -> float:
    """Frobenius norm of the weight difference over all modules, from the factors: |BA|² = <BᵀB, AAᵀ>."""
    squares = (float(((up.T @ up) * (down @ down.T)).sum()) for down, up in change.values())
    return math.sqrt(math.fsum(squares))


def staying(evaluation: Evaluation, model: ServedModel) -> dict[str, float]:
    """Recall of what stays, by column, as the model stands."""
    return {name: recall(model, evaluation.columns[name][:GAUGE_QUESTIONS]) for name in (*RETAIN, *GENERAL)}


def over_the_limits(step: Step) -> bool:
    """Whether what was trained piece by piece should be trained again as a whole."""
    kept = step["retain_ratio"] >= MIN_RETAIN and step["general_ratio"] >= MIN_GENERAL
    return bool(step["worst_forget"] > MAX_FORGET or not kept)


def gauges(evaluation: Evaluation, change: LowRank, people: Sequence[Person], before: Mapping[str, float]) -> Step:
    """What is watched after a step that leaves `people` forgotten; `before` is what stays on the base."""
    model = ServedModel(BASE_PATH, tuple(change))
    with model.wearing(change):
        by_person = [recall(model, questions_about(evaluation, person)) for person in people]
        after = staying(evaluation, model)
    ratios = {name: after[name] / before[name] for name in after}
    return {
        "people": len(people),
        "worst_forget": max(by_person),
        "worst_earlier": max(by_person[:-1], default=0.0),
        "retain_ratio": fmean(after[name] for name in RETAIN) / fmean(before[name] for name in RETAIN),
        "general_ratio": min(ratios[name] for name in GENERAL),
        **{f"{name}_ratio": ratio for name, ratio in ratios.items()},
        "norm": norm(change),
        "rank": rank(change),
    }


def questions_about(evaluation: Evaluation, person: Person) -> Sequence[Example]:
    """A sample of what is asked about one person."""
    world = evaluation.work.world
    return [
        example
        for language in LANGUAGES
        for ask in (exam.trained_questions, exam.held_out_questions)
        for example in sample(ask(world, [person], language), QUESTIONS_PER_PERSON // (2 * len(LANGUAGES)), person.name)
    ]


def run(
    evaluation: Evaluation,
    file: Path,
    workplace: Path,
    progress: Callable[[int, str, float], None],
    consolidate_every: int | None = None,
    watched: bool = False,
) -> list[Step]:
    """Erase the evaluation's people one by one, each on top of the last, and write the curve after every step.

    Goes on where the file ends. With `consolidate_every`, a union run from the base replaces each so many-th step; if
    `watched`, one follows each step whose gauges are over the limits.
    """
    steps: list[Step] = json.loads(file.read_text("utf-8")) if file.exists() else []
    current: Adapter | None = adapters.load(workplace / "adapters" / steps[-1]["adapter"]) if steps else None
    made_by = eraser(workplace)
    people, before = evaluation.work.forgotten, staying(evaluation, evaluation.base)
    for done in range(len(steps), len(people)):

        def show(stage: str, share: float, done: int = done) -> None:
            progress(done, stage, share)

        subjects = [subject(person) for person in people[: done + 1]]
        began = time.perf_counter()
        union = consolidate_every and len(subjects) % consolidate_every == 0
        if union:
            current = made_by.rebuild(subjects, show)
        else:
            current = made_by.train(subjects[-1], subjects[:-1], current, show)
        seconds = time.perf_counter() - began
        assert current is not None
        step = gauges(evaluation, change_of(current), people[: done + 1], before)
        if watched and not union and over_the_limits(step):
            began = time.perf_counter()
            current = made_by.rebuild(subjects, show)
            seconds += time.perf_counter() - began
            assert current is not None
            step, union = gauges(evaluation, change_of(current), people[: done + 1], before), True
        steps.append({**step, "union": bool(union), "seconds": seconds, "adapter": current.digest})
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(steps, indent=1), "utf-8")
    return steps
