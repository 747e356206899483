"""FILA starts where forgetting matters, changes nothing by itself, and is exported exactly."""

import pytest
import torch
from torch import Tensor

from tests.unlearn_engine.objectives.toy import HIDDEN, NAMES, ToyModel, change, gradient, items, normal, viewed
from unlearn_engine.lowrank import Factors, concatenate, rank
from unlearn_engine.objectives.fila import Held, factorise, importance, squared_gradients, start
from unlearn_engine.objectives.ihl import IHL
from unlearn_engine.objectives.remember import Remember

MODEL = ToyModel()
FORGET, RETAIN = ([[item.told() for item in items(3, seed=seed)] for seed in seeds] for seeds in ((1, 20), (40, 60)))
WEIGHT = normal(10, HIDDEN, seed=3)


def product(factors: Factors) -> Tensor:
    return factors.up @ factors.down


def test_worn_with_its_frozen_half_nothing_changes() -> None:
    begun = start(MODEL, FORGET, RETAIN, rank=3)  # type: ignore[arg-type]
    for name in NAMES:
        assert product(begun.change[name]).norm() > 0.1
        assert (product(begun.change[name]) + product(begun.frozen[name])).abs().max() < 4e-16
    rows = FORGET[0]
    with_both = viewed(MODEL, concatenate(begun.change, begun.frozen))(rows).logits
    assert torch.allclose(with_both, viewed(MODEL, None)(rows).logits, atol=1e-12)


def test_export_is_exact_at_twice_the_rank() -> None:
    begun = start(MODEL, FORGET, RETAIN, rank=3)  # type: ignore[arg-type]
    trained = {
        name: Factors(*((part + 0.1 * normal(*part.shape, seed=9)).requires_grad_() for part in pair))
        for name, pair in begun.change.items()
    }
    exported = concatenate(trained, begun.frozen)
    assert rank(exported) == 6
    for name in NAMES:
        difference = product(trained[name]) - product(begun.change[name])
        assert torch.allclose(product(exported[name]), difference, atol=1e-14)
        assert torch.linalg.matrix_rank(product(exported[name]).detach(), atol=1e-12) <= 6
    loss = IHL()(viewed(MODEL, exported), viewed(MODEL, None), items())
    assert gradient(loss, trained).norm() > 1e-3  # the trained half learns through the concatenation


def test_the_frozen_half_is_put_back_and_the_other_left_alone() -> None:
    begun = start(MODEL, FORGET, RETAIN, rank=3)  # type: ignore[arg-type]
    moved = {name: Factors(*(part + 0.1 for part in pair)) for name, pair in begun.whole.items()}
    Held(begun.frozen)(moved)
    for name, (down, up) in moved.items():
        assert torch.equal(down[3:], begun.frozen[name].down) and torch.equal(up[:, 3:], begun.frozen[name].up)
        assert torch.equal(down[:3], begun.change[name].down + 0.1)
        assert torch.equal(up[:, :3], begun.change[name].up + 0.1)


@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_equal_importance_gives_the_truncated_decomposition(scale: float) -> None:
    factors = factorise(WEIGHT, torch.ones(10), 4, scale)
    left, sizes, right = torch.linalg.svd(WEIGHT, full_matrices=False)
    assert torch.allclose(product(factors), left[:, :4] * sizes[:4] @ right[:4], atol=1e-4)
    assert torch.allclose(factors.down.norm(dim=1), (sizes[:4] / scale).sqrt())


def test_important_rows_are_taken_over_first() -> None:
    weights = torch.ones(10)
    weights[6] = 50
    taken = product(factorise(WEIGHT, weights, 1))
    missing = (WEIGHT - taken).norm(dim=1) / WEIGHT.norm(dim=1)
    assert missing[6] < 0.01 < missing[torch.arange(10) != 6].min()


def test_importance_is_relative() -> None:
    forget = torch.tensor([[4.0, 0.0], [4.0, 0.0], [0.0, 0.0]])
    retain = torch.tensor([[1.0, 0.0], [0.0, 0.0], [1.0, 1.0]])
    found = importance(forget, retain)
    assert found[2] == 0 and found[1] > 100 * found[0] and float(found[0]) == pytest.approx(2, rel=1e-4)


def test_squared_gradients_weigh_batches_by_their_tokens() -> None:
    both = squared_gradients(MODEL, FORGET)  # type: ignore[arg-type]
    each = [squared_gradients(MODEL, [batch]) for batch in FORGET]  # type: ignore[arg-type]
    tokens = [sum(len(row.answer) for row in batch) for batch in FORGET]
    for name in NAMES:
        expected = (each[0][name] * tokens[0] + each[1][name] * tokens[1]) / sum(tokens)
        assert torch.allclose(both[name], expected)
        assert not MODEL.wrapped[name].weight.requires_grad


def test_squared_gradients_are_those_of_the_weights() -> None:
    """A change of full rank with `down` the identity has the weight's own gradient at its `up`."""
    batch = items(3, seed=1)
    worn = {
        name: Factors(torch.eye(HIDDEN, dtype=torch.float64), pair.up.new_zeros(HIDDEN, HIDDEN).requires_grad_())
        for name, pair in change(0.0).items()
    }
    loss = Remember()(viewed(MODEL, worn), viewed(MODEL, None), batch)
    found = torch.autograd.grad(loss, [worn[name].up for name in NAMES])
    expected = squared_gradients(MODEL, [[item.told() for item in batch]])  # type: ignore[arg-type]
    assert all(torch.allclose(part.square(), expected[name]) for name, part in zip(NAMES, found, strict=True))


def test_too_high_a_rank_is_refused() -> None:
    with pytest.raises(ValueError, match="rank 11"):
        factorise(WEIGHT, torch.ones(10), 11)
