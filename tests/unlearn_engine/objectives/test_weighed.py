"""U2A's objective is the weighed sum of the items' own losses, and leaves out those that do not help."""

import torch

from tests.unlearn_engine.objectives.toy import ToyModel, change, gradient, items, viewed
from unlearn_engine.objectives.ga import GradientAscent
from unlearn_engine.objectives.idk import IDK
from unlearn_engine.objectives.npo import NPO
from unlearn_engine.objectives.remember import Remember
from unlearn_engine.objectives.weighed import Weighed
from unlearn_engine.rules.sample_weights import SampleWeights

MODEL = ToyModel()
WORN = change(0.3)
STUDENT, BASE = viewed(MODEL, WORN), viewed(MODEL, None)
ITEMS = items(6)


def test_the_gradient_is_the_weighed_sum_of_the_items_own() -> None:
    own = torch.stack([gradient(NPO()(STUDENT, BASE, [item]), WORN) for item in ITEMS])
    weights = SampleWeights()(own, gradient(IDK()(STUDENT, BASE, ITEMS), WORN))
    assert 1 < len(weights.nonzero()) < len(ITEMS)  # some help, some do not
    found = gradient(Weighed(NPO(), IDK())(STUDENT, BASE, ITEMS), WORN)
    assert torch.allclose(found, weights @ own, atol=1e-12)
    assert not torch.allclose(found, own.mean(0), atol=1e-3)


def test_equal_items_are_not_weighed() -> None:
    same = [ITEMS[0]] * 3
    losses = [objective(STUDENT, BASE, same) for objective in (Weighed(IDK(), IDK()), IDK())]
    assert torch.allclose(*losses, atol=1e-12)


def test_where_nothing_helps_all_count_alike() -> None:
    losses = [
        objective(STUDENT, BASE, ITEMS[:1]) for objective in (Weighed(GradientAscent(), Remember()), GradientAscent())
    ]
    assert torch.allclose(*losses, atol=1e-12)
    assert Weighed(NPO(), IDK()).depth is None
