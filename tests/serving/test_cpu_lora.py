"""Grouped LoRA computes what the definition says, for every mixture of adapters in a batch."""

import pytest
import torch

from gateway.serving.cpu_lora import GroupedLora, groups_of

SLOTS, RANK, INPUT, SLICES = 3, 4, 6, (5, 2)


def wrapper(slots: list[int]) -> GroupedLora:
    made = GroupedLora.__new__(GroupedLora)
    indices = torch.tensor(slots)
    made._groups, made._tokens = groups_of(indices), len(indices)
    return made


@pytest.mark.parametrize("slots", [[0, 0, 0], [-1, -1, -1], [2, 2], [0, -1, 0, 2], [1, 0, -1, 1, 2, -1], [-1], [1]])
def test_each_token_gets_its_own_adapter_or_none(slots: list[int]) -> None:
    torch.manual_seed(0)
    x = torch.randn(len(slots), INPUT)
    a = tuple(torch.randn(SLOTS, 1, RANK, INPUT) for _ in SLICES)
    b = tuple(torch.randn(SLOTS, 1, size, RANK) for size in SLICES)
    before = torch.randn(len(slots), sum(SLICES))
    y = before.clone()
    wrapper(slots).add_lora_linear(y, x, a, b, 0.5, SLICES)
    for token, slot in enumerate(slots):
        change = [b[part][slot, 0] @ a[part][slot, 0] @ x[token] for part in range(len(SLICES))]
        expected = before[token] + (0.5 * torch.cat(change) if slot >= 0 else 0)
        torch.testing.assert_close(y[token], expected)
