"""Grouped LoRA computes what the definition says, for every mixture of adapters in a batch and of a module's slices."""

from types import SimpleNamespace

import pytest
import torch

from gateway.serving.cpu_lora import CHUNK, GroupedLora, groups_of, product_of, reset_lora

SLOTS, RANK, INPUT, SLICES = 3, 4, 6, (5, 2, 2)
Stacked = tuple[torch.Tensor, ...]


def wrapper(slots: list[int]) -> GroupedLora:
    made = GroupedLora.__new__(GroupedLora)
    indices = torch.tensor(slots)
    made._groups, made._tokens, made._products = groups_of(indices), len(indices), {}
    return made


def weights(
    dtype: torch.dtype = torch.float32, ranks: tuple[int, ...] = (RANK,) * len(SLICES)
) -> tuple[Stacked, Stacked]:
    """Random A and B of each slice, as vLLM stacks them: rows and columns from its rank on are padding."""
    torch.manual_seed(0)
    a = tuple(torch.randn(SLOTS, 1, RANK, INPUT).to(dtype) for _ in SLICES)
    b = tuple(torch.randn(SLOTS, 1, size, RANK).to(dtype) for size in SLICES)
    for down, up, rank in zip(a, b, ranks, strict=True):
        down[:, :, rank:] = 0
        up[..., rank:] = 0
    return a, b


def expected(before: torch.Tensor, x: torch.Tensor, a: Stacked, b: Stacked, slots: list[int]) -> torch.Tensor:
    """The definition, token by token, in float64."""
    after = before.double()
    for token, slot in enumerate(slots):
        if slot >= 0:
            parts = [up[slot, 0].double() @ down[slot, 0].double() for down, up in zip(a, b, strict=True)]
            after[token] += 0.5 * torch.cat(parts) @ x[token].double()
    return after


@pytest.mark.parametrize("ranks", [(4, 4, 4), (2, 4, 1), (0, 3, 0), (2, 0, 2), (0, 0, 4), (0, 0, 0)])
@pytest.mark.parametrize("slots", [[0, 0, 0], [-1, -1, -1], [2, 2], [0, -1, 0, 2], [1, 0, -1, 1, 2, -1], [-1], [1]])
def test_each_token_gets_its_own_adapter_or_none(slots: list[int], ranks: tuple[int, ...]) -> None:
    a, b = weights(ranks=ranks)
    x, before = torch.randn(len(slots), INPUT), torch.randn(len(slots), sum(SLICES))
    y = before.clone()
    wrapper(slots).add_lora_linear(y, x, a, b, 0.5, SLICES)
    torch.testing.assert_close(y, expected(before, x, a, b, slots).float())
    without = torch.tensor(slots) < 0
    assert torch.equal(y[without], before[without])


def test_only_the_ranks_and_slices_that_an_adapter_uses_are_computed() -> None:
    a, b = weights(ranks=(0, 3, 0))
    a[1][1, 0, 1] = 0
    product = product_of(1, a, b, SLICES)
    assert product is not None and (product.begin, product.end) == (5, 7)
    assert product.down.shape == (INPUT, 2) and product.up.shape == (2, 2)
    assert product_of(1, *weights(ranks=(0, 0, 0)), SLICES) is None


@pytest.mark.parametrize("share", [1, 2])
def test_a_long_prefill_is_right_and_rounded_once(share: int) -> None:
    slots = [0 if token % share == 0 else -1 for token in range(2 * CHUNK + 3)]
    a, b = weights(torch.bfloat16)
    x = torch.randn(len(slots), INPUT).bfloat16()
    before = torch.randn(len(slots), sum(SLICES)).bfloat16()
    y = before.clone()
    wrapper(slots).add_lora_linear(y, x, a, b, 0.5, SLICES)
    exact = expected(before, x, a, b, slots)
    assert (y.double() - exact).abs().le(exact.abs() * 2**-8 + 1e-5).all()
    assert (y != before).any(1).tolist() == [slot == 0 for slot in slots]


def test_a_slot_whose_weights_change_is_computed_anew() -> None:
    (a, b), lora = weights(), wrapper([1, 1])
    layer = SimpleNamespace(n_slices=len(SLICES), lora_a_stacked=a, lora_b_stacked=b, punica_wrapper=lora)
    x, before = torch.randn(2, INPUT), torch.randn(2, sum(SLICES))
    for seed in (None, 1, 2):
        if seed is not None:
            reset_lora(layer, 1)
            y = before.clone()
            lora.add_lora_linear(y, x, a, b, 0.5, SLICES)
            assert torch.equal(y, before)
            reset_lora(layer, 1)
            for tensor in (*a, *b):
                tensor[1] = torch.randn(tensor[1].shape)
        y = before.clone()
        lora.add_lora_linear(y, x, a, b, 0.5, SLICES)
        torch.testing.assert_close(y, expected(before, x, a, b, [1, 1]).float())
