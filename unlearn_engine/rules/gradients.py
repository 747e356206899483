"""Gradients as lists of tensors, one per parameter, and what the rules compute with them."""

from collections.abc import Sequence

import torch
from torch import Tensor

from unlearn_engine.rules import Loss

Gradient = list[Tensor]


def gradient(loss: Loss, parameters: Sequence[Tensor]) -> tuple[float, Gradient]:
    """The loss and its gradient at the parameters as they stand; zeros where the loss does not depend on one."""
    value = loss()
    return float(value.detach()), differentiated(value, parameters)


def differentiated(value: Tensor, parameters: Sequence[Tensor]) -> Gradient:
    """The gradient of a scalar that may have no graph at all (then zeros)."""
    if not value.requires_grad:
        return [torch.zeros_like(parameter) for parameter in parameters]
    found = torch.autograd.grad(value, parameters, allow_unused=True)
    return [
        torch.zeros_like(parameter) if part is None else part for part, parameter in zip(found, parameters, strict=True)
    ]


def dot(one: Sequence[Tensor], other: Sequence[Tensor]) -> float:
    """Inner product over all parameters, summed in fp64."""
    return sum(float((left.double() * right.double()).sum()) for left, right in zip(one, other, strict=True))


def combined(*parts: tuple[float, Sequence[Tensor]]) -> Gradient:
    """The weighted sum of gradients."""
    return [
        sum((weight * tensor for (weight, _), tensor in zip(parts, tensors, strict=True)), torch.zeros_like(tensors[0]))
        for tensors in zip(*(found for _, found in parts), strict=True)
    ]


def assign(parameters: Sequence[Tensor], found: Sequence[Tensor]) -> None:
    """Make it the gradient that the optimiser sees."""
    for parameter, part in zip(parameters, found, strict=True):
        parameter.grad = part


@torch.no_grad()
def move(parameters: Sequence[Tensor], step: float, direction: Sequence[Tensor]) -> None:
    """Add `step` times the direction to the parameters, in place."""
    for parameter, part in zip(parameters, direction, strict=True):
        parameter.add_(part, alpha=step)
