"""Every objective at once: right gradients, no two alike, nothing touched above its depth."""

from itertools import combinations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from tests.unlearn_engine.objectives.toy import (
    NAMES,
    RETENTIONS,
    ToyModel,
    change,
    gradient,
    items,
    objectives,
    rows,
    viewed,
)
from unlearn_engine.lowrank import Factors, LowRank

MODEL = ToyModel()
ITEMS, ROWS = items(), rows()
EVERY = objectives(MODEL, change(0.3, seed=70), ITEMS)
WEIGHED_BY_THEMSELVES = {"WGA", "SatImp", "CATNIP", "CE-U"}  # part of the formula is held constant


def loss_of(name: str, worn: LowRank) -> Tensor:
    student, base = viewed(MODEL, worn), viewed(MODEL, None)
    return RETENTIONS[name[5:]](student, base, ROWS) if name.startswith("keep ") else EVERY[name](student, base, ITEMS)


LOSSES = [*EVERY, *(f"keep {name}" for name in RETENTIONS)]


@pytest.mark.parametrize("name", [name for name in LOSSES if name not in WEIGHED_BY_THEMSELVES])
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    worn, step = change(0.3), 1e-5
    found = gradient(loss_of(name, worn), worn)
    for module in NAMES:
        for seed in (1, 2):
            direction = change(1.0, seed=seed)
            values = [
                float(loss_of(name, {**worn, module: moved(worn[module], direction[module], sign * step)}).detach())
                for sign in (1, -1)
            ]
            along = {**{other: zero(worn[other]) for other in NAMES}, module: direction[module]}
            expected = float(found @ flat(along))
            assert (values[0] - values[1]) / (2 * step) == pytest.approx(expected, rel=1e-5, abs=1e-8)


def test_no_two_objectives_have_the_same_gradient() -> None:
    worn = change(0.3)
    gradients = {name: gradient(loss_of(name, worn), worn) for name in LOSSES}
    assert not [name for name, found in gradients.items() if found.norm() < 1e-6]
    for (name, one), (neighbour, other) in combinations(gradients.items(), 2):
        assert (one - other).norm() > 1e-2 * max(one.norm(), other.norm()), (name, neighbour)
        if (name, neighbour) != ("WGA", "CATNIP"):  # at β = 1 one is twice the other
            assert cosine_similarity(one, other, dim=0) < 0.999, (name, neighbour)


@pytest.mark.parametrize("name", LOSSES)
def test_blocks_above_the_depth_get_no_gradient(name: str) -> None:
    worn = change(0.3)
    depth = (RETENTIONS[name[5:]] if name.startswith("keep ") else EVERY[name]).depth
    for block, module in enumerate(NAMES):
        reached = float(gradient(loss_of(name, worn), {module: worn[module]}).norm())
        assert (reached > 0) == (depth is None or block < depth)


def moved(factors: Factors, direction: Factors, step: float) -> Factors:
    return Factors(*(factor.detach() + step * way.detach() for factor, way in zip(factors, direction, strict=True)))


def zero(factors: Factors) -> Factors:
    return Factors(*(torch.zeros_like(factor) for factor in factors))


def flat(worn: LowRank) -> Tensor:
    return torch.cat([factor.detach().flatten() for name in sorted(worn) for factor in worn[name]])
