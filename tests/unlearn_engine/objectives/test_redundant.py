"""Forgetting with a random part of the change: the same in expectation, and no part of it is left to carry all."""

import pytest

from tests.unlearn_engine.objectives.toy import NAMES, ToyModel, change, gradient, items, viewed
from unlearn_engine.objectives.npo import NPO
from unlearn_engine.objectives.redundant import Redundant

MODEL, ITEMS = ToyModel(), items()
BASE = viewed(MODEL, None)


def test_nothing_dropped_is_the_objective_itself() -> None:
    worn = change(0.3)
    student = viewed(MODEL, worn)
    whole = NPO()(student, BASE, ITEMS)
    value, direction = whole.item(), gradient(whole, worn)
    for never in (Redundant(NPO(), dropped=0.0, share=1.0), Redundant(NPO(), dropped=0.9, share=0.0)):
        loss = never(student, BASE, ITEMS)
        assert loss.item() == pytest.approx(value)
        assert (gradient(loss, worn) - direction).norm() < 1e-9


def test_what_is_dropped_gets_no_gradient_and_each_module_has_its_turn() -> None:
    worn = change(0.3)
    objective = Redundant(NPO(), dropped=0.5, share=1.0)
    left_out: set[str] = set()
    for _ in range(20):
        for factors in worn.values():
            factors.up.grad = None
        loss = objective(viewed(MODEL, worn), BASE, ITEMS)
        if loss.requires_grad:
            loss.backward()
        left_out |= {name for name in NAMES if worn[name].up.grad is None}
    assert left_out == set(NAMES)


def test_what_is_left_counts_for_the_rest() -> None:
    worn = change(0.3)
    (kept, gone), student = NAMES[:2], viewed(MODEL, worn)
    half = student.without(lambda name: name == gone, 2.0)
    louder = {kept: worn[kept]._replace(up=2 * worn[kept].up)} | {name: worn[name] for name in NAMES[2:]}
    rows = [item.told() for item in ITEMS]
    doubled = louder | {name: worn[name]._replace(up=2 * worn[name].up) for name in NAMES[2:]}
    assert half(rows).logits.allclose(viewed(MODEL, doubled)(rows).logits)
