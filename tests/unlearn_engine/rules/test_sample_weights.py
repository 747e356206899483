"""U2A's weights: a distribution over what helps, blind to order and scale."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from unlearn_engine.rules.sample_weights import SampleWeights, example_gradients


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@given(examples=st.integers(1, 12), seed=st.integers(0, 100))
def test_weights_are_a_distribution_and_harm_gets_none(examples: int, seed: int) -> None:
    gradients, outer = normal(examples, 20, seed=seed), normal(20, seed=seed + 1)
    weights = SampleWeights()(gradients, outer)
    assert float(weights.min()) >= 0 and float(weights.sum()) == pytest.approx(1.0)
    helps = gradients @ outer > 0
    if helps.any():
        assert not weights[~helps].any()
    else:
        assert torch.allclose(weights, torch.full_like(weights, 1 / examples))


def test_an_orthogonal_example_gets_nothing() -> None:
    outer = torch.tensor([1.0, 0, 0, 0], dtype=torch.float64)
    gradients = torch.tensor([[1.0, 0, 0, 0], [0, 1, 0, 0], [1, 1, 0, 0]], dtype=torch.float64)
    weights = SampleWeights()(gradients, outer)
    assert float(weights[1]) == 0.0 and float(weights[0]) > 0.9


def test_identical_examples_get_identical_weights() -> None:
    outer = normal(30, seed=2)
    gradients = outer + 2 * normal(5, 30, seed=1)  # all help
    weights = SampleWeights()(torch.cat([gradients, gradients[2:3]]), outer)
    assert torch.isclose(weights[2], weights[5], rtol=1e-12, atol=0) and float(weights[2]) > 0


def test_equal_examples_weigh_the_same_as_no_weighing() -> None:
    outer = normal(10, seed=3)
    weights = SampleWeights()(outer.expand(4, 10), outer)
    assert torch.equal(weights, torch.full((4,), 0.25, dtype=torch.float64))


def test_order_and_scale_do_not_matter() -> None:
    gradients, outer = normal(6, 30, seed=4), normal(30, seed=5)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    weights = SampleWeights()(gradients, outer)
    assert torch.allclose(SampleWeights()(gradients[order], outer), weights[order], atol=1e-9)
    assert torch.allclose(SampleWeights()(100 * gradients, 0.01 * outer), weights, atol=1e-9)


def test_weighing_improves_the_outer_objective_more_than_taking_all_alike() -> None:
    gradients, outer = normal(8, 30, seed=6), normal(30, seed=7)
    weights = SampleWeights()(gradients, outer)
    unit = gradients / gradients.norm(dim=1, keepdim=True)
    assert float(weights @ unit @ outer) > float(unit.mean(0) @ outer)
    few = SampleWeights(picks=2)(gradients, outer)
    assert int((few > 0).sum()) == 2


def test_gradients_of_examples_are_rows() -> None:
    at = [
        torch.ones(2, dtype=torch.float64, requires_grad=True),
        torch.ones(1, dtype=torch.float64, requires_grad=True),
    ]
    found = example_gradients(at, [lambda: at[0].sum() + 3 * at[1].sum(), lambda: at[0][0] * 2])
    assert found.tolist() == [[1, 1, 3], [2, 0, 0]]
