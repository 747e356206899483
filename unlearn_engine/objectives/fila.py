"""FILA: start a low-rank change on the part of a weight that matters for forgetting and not for what stays.

With F_f and F_r the squared gradients of the cross-entropy on what is to be forgotten and on what stays (per batch,
weighed by its number of answer tokens and divided by their total), ρ the square root of each row's sum of F_f / (1e-5 +
F_r), U S Vᵀ the truncated decomposition of diag(ρ) W, and s the scale::

    B0 = diag(1 / (ρ + 1e-5)) U √(S / s),   A0 = √(S / s) Vᵀ,   W + s (B A - B0 A0)

The published code replaces the base by W - s B0 A0. Here the base stays, and -s B0 A0 is a frozen second half that is
worn beside the trained one: both together, `start.whole`, are trained and exported as one change of rank 2r, of which
`Held` puts the frozen half back after every step. Source: LoKU,
arXiv 2408.06621; s = 2, rank 4 to 32, learning rate 1e-4 to 2e-4, weight decay .01.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from unlearn_engine.lowrank import Factors, LowRank, concatenate
from unlearn_engine.model import Row, ServedModel
from unlearn_engine.objectives.kernels import cross_entropy
from unlearn_engine.objectives.reading import Reading
from unlearn_engine.placement import dense_weight

FLOOR = 1e-5


class Start(NamedTuple):
    """Where training starts, and the frozen half that takes it back; worn together they change nothing."""

    change: dict[str, Factors]
    frozen: dict[str, Factors]

    @property
    def whole(self) -> dict[str, Factors]:
        """Both halves as one change, the frozen one last."""
        return concatenate(self.change, self.frozen)


class Held(NamedTuple):
    """The constraint that keeps the last rows of `down` and columns of `up` of every module at the frozen half."""

    frozen: LowRank

    @torch.no_grad()
    def __call__(self, change: Mapping[str, Factors]) -> None:
        """Put them back, bitwise."""
        for name, (down, up) in self.frozen.items():
            change[name].down[-len(down) :] = down
            change[name].up[:, -len(down) :] = up


def start(
    model: ServedModel,
    forget: Sequence[Sequence[Row]],
    retain: Sequence[Sequence[Row]],
    rank: int = 16,
    scale: float = 2.0,
) -> Start:
    """The start for every wrapped module, from batches of rows of both kinds."""
    forgotten, kept = squared_gradients(model, forget), squared_gradients(model, retain)
    weights = {name: dense_weight(module) for name, module in model.wrapped.items()}
    change = {name: factorise(weights[name], importance(forgotten[name], kept[name]), rank, scale) for name in weights}
    return Start(change, {name: Factors(down.clone(), -up) for name, (down, up) in change.items()})


def squared_gradients(model: ServedModel, batches: Sequence[Sequence[Row]]) -> Mapping[str, Tensor]:
    """F for the weight of every wrapped module, [out_features, in_features] each, on the untouched base."""
    weights = [dense_weight(module) for module in model.wrapped.values()]
    sums = [torch.zeros_like(weight) for weight in weights]
    tokens = 0
    try:
        for weight in weights:
            weight.requires_grad_()
        for rows in batches:
            with torch.enable_grad(), model.wearing(None):
                reading = Reading(model, rows, model.hidden([row.prompt + row.answer for row in rows]))
                gradients = torch.autograd.grad(cross_entropy(reading), weights)
            counted = sum(len(row.answer) for row in rows)
            tokens += counted
            for total, gradient in zip(sums, gradients, strict=True):
                total += counted * gradient.square()
    finally:
        for weight in weights:
            weight.requires_grad_(False)
    return {name: total / tokens for name, total in zip(model.wrapped, sums, strict=True)}


def importance(forget: Tensor, retain: Tensor) -> Tensor:
    """ρ by row [out_features], from squared gradients [out_features, in_features]."""
    return (forget / (FLOOR + retain)).sum(1).sqrt()


@torch.no_grad()
def factorise(weight: Tensor, importance: Tensor, rank: int, scale: float = 2.0) -> Factors:
    """A0 and s B0: the part of the weight, of that rank, that matters most by the importance of its rows.

    Computed in fp64; raises ValueError if the rank is higher than the weight's smaller side.
    """
    if rank > min(weight.shape):
        raise ValueError(f"rank {rank} is more than a weight of {tuple(weight.shape)} has")
    rho = importance.double()
    left, sizes, right = torch.linalg.svd(rho[:, None] * weight.double(), full_matrices=False)
    root = (sizes[:rank] / scale).sqrt()
    up = scale * left[:, :rank] * root / (rho + FLOOR)[:, None]
    return Factors((root[:, None] * right[:rank]).to(weight.dtype), up.to(weight.dtype))
