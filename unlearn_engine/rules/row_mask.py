"""SURE: only output rows that matter for forgetting may change, so that they can change much (arXiv 2410.16454).

A row's saliency is the norm of its forget gradient, taken once before training; rows below the percentile (over all
modules together) stay as they were. On low-rank factors the mask acts on the rows of `up` (LoRA's B): row i of B A is
zero when row i of B is. The authors mask gradients; restoring the rows after each step does the same and holds for
optimisers with memory too.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from unlearn_engine.lowrank import Factors, LowRank
from unlearn_engine.rules import Loss
from unlearn_engine.rules.gradients import differentiated


@dataclass(frozen=True)
class RowMask:
    """By module which rows of `up` are frozen [out_features], and what they hold."""

    frozen: Mapping[str, Tensor]
    before: Mapping[str, Tensor]

    @torch.no_grad()
    def __call__(self, change: Mapping[str, Factors]) -> None:
        """Put the frozen rows back, bitwise."""
        for name, factors in change.items():
            frozen = self.frozen[name]
            factors.up[frozen] = self.before[name][frozen]


def row_mask(change: LowRank, forget: Loss, *, percentile: float = 95.0) -> RowMask:
    """The mask for a change before its first step; `forget` has a graph to the change's `up` factors.

    At that point the gradient of `up` is the weight's own gradient seen through `down`: a random projection of each
    row, which keeps the order of the rows' norms in expectation and costs one backward pass. percentile 0 freezes none.
    """
    uppers = [factors.up for factors in change.values()]
    saliency = dict(zip(change, (part.norm(dim=1) for part in differentiated(forget(), uppers)), strict=True))
    level = _percentile(torch.cat(list(saliency.values())), percentile)
    return RowMask(
        {name: rows < level for name, rows in saliency.items()},
        {name: factors.up.detach().clone() for name, factors in change.items()},
    )


def _percentile(values: Tensor, percentile: float) -> float:
    """The smallest of the values that at least `percentile` % of them do not exceed; the minimum for 0."""
    place = min(len(values) - 1, int(percentile / 100 * len(values)))
    return float(values.sort().values[place])
