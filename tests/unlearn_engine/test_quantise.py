"""Rounding to few bits: on the grid, near the weight, and only where it belongs."""

from pathlib import Path

import pytest
import torch

from unlearn_engine.evaluate.copies import block_linears, merged
from unlearn_engine.evaluate.quantise import GROUP, quantised, quantised_change, rounded
from unlearn_engine.lowrank import Factors
from unlearn_engine.model import ServedModel

MODULE = "model.layers.1.mlp.down_proj"


@pytest.fixture(scope="module")
def served(base_path: Path) -> ServedModel:
    return ServedModel(base_path, (MODULE,))


@pytest.fixture(scope="module")
def change(served: ServedModel) -> dict[str, Factors]:
    linear = served.wrapped[MODULE]
    generator = torch.Generator().manual_seed(0)
    return {
        MODULE: Factors(
            torch.randn(2, linear.in_features, generator=generator) * 0.05,
            torch.randn(linear.out_features, 2, generator=generator) * 0.05,
        )
    }


def weights(model: ServedModel) -> dict[str, torch.Tensor]:
    return {name: parameter.clone() for name, parameter in model.network.named_parameters()}


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("columns", [GROUP, 160, 7])
def test_each_group_has_its_own_symmetric_grid(bits: int, columns: int) -> None:
    weight = torch.randn(5, columns, generator=torch.Generator().manual_seed(1)) * torch.logspace(-3, 1, 5)[:, None]
    near = rounded(weight, bits)
    levels = 2 ** (bits - 1) - 1
    for start in range(0, columns, GROUP):
        group, grid = weight[:, start : start + GROUP], near[:, start : start + GROUP]
        scale = group.abs().amax(1, keepdim=True) / levels
        steps = grid / scale
        assert torch.allclose(steps, steps.round(), atol=1e-3)
        assert steps.abs().max() <= levels + 1e-3
        assert ((group - grid).abs() <= scale / 2 + 1e-6).all()
    assert torch.allclose(rounded(-weight, bits), -near)
    assert torch.allclose(rounded(near, bits), near, rtol=1e-5)


def test_zeros_stay_zeros_and_one_outlier_costs_only_its_group() -> None:
    assert not rounded(torch.zeros(2, 70), 4).any()
    weight = torch.full((1, 2 * GROUP), 0.1)
    weight[0, 0] = 100.0
    near = rounded(weight, 4)
    assert not near[0, 1:GROUP].any()
    assert torch.allclose(near[0, GROUP:], weight[0, GROUP:])


def test_a_quantised_copy_leaves_the_model_and_all_but_linears_of_blocks_alone(served: ServedModel) -> None:
    before = weights(served)
    copy = quantised(served, 4)
    assert all(torch.equal(before[name], parameter) for name, parameter in served.network.named_parameters())
    changed = {
        name.removesuffix(".weight").removesuffix(".frozen")
        for name, parameter in copy.network.named_parameters()
        if not torch.equal(before[name], parameter)
    }
    assert changed == set(block_linears(served))
    assert len(changed) == 7 * served.blocks


def test_a_change_can_be_worn_on_top_or_be_rounded_with_the_weights(
    served: ServedModel, change: dict[str, Factors]
) -> None:
    down, up = change[MODULE]
    weight = served.wrapped[MODULE].weight
    on_top, inside = quantised(served, 4), quantised(served, 4, change)
    inputs = torch.randn(3, weight.shape[1], generator=torch.Generator().manual_seed(2))
    with on_top.wearing(change):
        worn = on_top.submodule(MODULE)(inputs)
    assert torch.allclose(worn, inputs @ (rounded(weight, 4) + up @ down).T, atol=1e-5)
    assert torch.equal(inside.wrapped[MODULE].weight, rounded(weight + up @ down, 4))


def test_merging_computes_what_wearing_computes(served: ServedModel, change: dict[str, Factors]) -> None:
    inputs = torch.randn(3, served.wrapped[MODULE].in_features, generator=torch.Generator().manual_seed(2))
    copy = merged(served, change)
    with served.wearing(change):
        worn = served.submodule(MODULE)(inputs)
    assert torch.allclose(copy.submodule(MODULE)(inputs), worn, atol=1e-5)
    assert not torch.allclose(served.submodule(MODULE)(inputs), worn, atol=1e-2)


def test_a_quantised_adapter_has_both_factors_on_the_grid(change: dict[str, Factors]) -> None:
    near = quantised_change(change, 4)
    for factor, exact in zip(near[MODULE], change[MODULE], strict=True):
        assert torch.equal(factor, rounded(exact, 4))
        assert not torch.equal(factor, exact)
