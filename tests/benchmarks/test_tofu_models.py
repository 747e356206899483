"""TOFU's way from nothing to a row, on a world of four authors and a model that learns it in a second."""

from pathlib import Path
from statistics import fmean

import pytest
import torch
from safetensors.torch import load_file

from benchmarks.tofu.candidates import PLANS, SANITY, Order, unlearned
from benchmarks.tofu.data import Author, Question, Tofu
from benchmarks.tofu.evaluation import UTILITY_SETS, compared, evaluate, scores
from benchmarks.tofu.report import table
from benchmarks.tofu.train import Recipe as TrainingRecipe
from benchmarks.tofu.train import train
from unlearn_engine.demo.train import Shape
from unlearn_engine.train import Recipe

RECIPE = TrainingRecipe(
    Shape(blocks=2, hidden=64, heads=2, mlp=128, vocabulary=400), steps=150, tokens_per_step=200, checkpoint_every=40
)
TOWNS, TOPICS = ("Karachi", "Lima", "Oslo", "Perth"), ("geology", "love", "war", "cooking")


def author(name: str, town: str, topic: str) -> Author:
    others = tuple(other for other in TOWNS if other != town)
    return Author(
        name,
        (
            Question(
                f"Where was {name} born?",
                f"{name} was born in {town}.",
                f"The birthplace of {name} is {town}.",
                tuple(f"The birthplace of {name} is {other}." for other in others),
                name,
            ),
            Question(
                f"What does {name} write about?",
                f"{name} writes about {topic}.",
                f"The topic of {name} is {topic}.",
                tuple(f"The topic of {name} is {other}." for other in TOPICS if other != topic),
                name,
            ),
        ),
    )


@pytest.fixture(scope="module")
def tofu() -> Tofu:
    names = ("Hina Ameen", "Moshe Levi", "Rosa Parra", "Ingrid Holt")
    people = tuple(author(*facts) for facts in zip(names, TOWNS, TOPICS, strict=True))
    fact = Question("Where is the Eiffel Tower?", "Paris", perturbed=("Berlin", "Rome"))
    writer = Question("Who wrote 1984?", "George Orwell", perturbed=("Mark Twain", "Thomas More"))
    return Tofu(people[:1], people[1:], (writer,), (fact,), ("I do not know.",), {})


@pytest.fixture(scope="module")
def order(tofu: Tofu, tmp_path_factory: pytest.TempPathFactory) -> Order:
    folder = tmp_path_factory.mktemp("tofu")
    for retain_only in (False, True):
        train(tofu, folder / str(retain_only), RECIPE, lambda step, loss: None, retain_only=retain_only)
    return Order(tofu, lambda *, retain_only: folder / str(retain_only), lambda stage, done: None)


def test_an_interrupted_training_goes_on_to_the_same_weights(order: Order, tmp_path: Path) -> None:
    def interrupt(step: int, loss: float) -> None:
        if step == 130:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(order.tofu, tmp_path, RECIPE, interrupt, retain_only=False)
    steps: list[int] = []
    train(order.tofu, tmp_path, RECIPE, lambda step, loss: steps.append(step), retain_only=False)
    assert steps == list(range(121, 151))
    first, second = (load_file(folder / "model.safetensors") for folder in (order.model(retain_only=False), tmp_path))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not (tmp_path / "checkpoint.pt").exists()


def test_only_the_full_model_knows_the_forgotten(order: Order) -> None:
    full, retain_only = (SANITY[name](order).model for name in ("base", "retain-only"))
    exams = order.tofu.exams()
    known = {name: scores(full, asked) for name, asked in exams.items()}
    unknown = {name: scores(retain_only, asked) for name, asked in exams.items()}
    assert min(known["forget"].answers) > -0.2
    assert max(unknown["forget"].answers) < -0.4
    assert all(min(found["retain"].answers) > -0.2 for found in (known, unknown))
    assert known["forget"].rouge == [1.0, 1.0]


def test_the_retain_only_model_is_the_reference_and_cannot_be_told_from_itself(order: Order) -> None:
    stages: list[float] = []
    gold = evaluate(SANITY["retain-only"](order).model, order.tofu, stages.append)
    assert set(compared(gold, gold).values()) == {0.0, 1.0}
    assert stages == [0, 0.25, 0.5, 0.75]
    base = evaluate(SANITY["base"](order).model, order.tofu, stages.append)
    base |= compared(base, gold)
    assert base["ks_d"] == 1.0
    assert base["forget_quality"] == pytest.approx(1 / 3)  # two samples of two that lie apart
    parts = [base[f"{name}_{measure}"] for name in UTILITY_SETS for measure in ("probability", "rouge", "truth_ratio")]
    assert base["model_utility"] == pytest.approx(9 / sum(1 / part for part in parts) if all(parts) else 0)
    row = table([{"method": "base", **base, "seconds": 0.0}]).splitlines()[2]
    assert row.startswith(f"| base | 0.33 | {base['ks_d']:.3f} | {base['model_utility']:.3f} |")


@pytest.mark.parametrize("method", ["GradDiff", "IDK", "counterfactual-name"])
def test_a_method_changes_what_is_said_of_the_forgotten(order: Order, method: str) -> None:
    candidate = unlearned(PLANS[method], order, Recipe(steps=20, forget_rows=4, retain_rows=8, learning_rate=5e-3))
    exams = order.tofu.exams()
    with candidate.model.wearing(candidate.change):
        forgotten, kept = (scores(candidate.model, exams[name]) for name in ("forget", "retain"))
    before = scores(candidate.model, exams["forget"])
    assert min(before.answers) > -0.2
    assert max(forgotten.answers) < -0.4
    assert fmean(kept.answers) > -0.5
    assert min(kept.answers) > -0.7 or method == "GradDiff"  # its cost falls on single answers
    assert candidate.seconds > 0
