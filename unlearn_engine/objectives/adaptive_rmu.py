"""Adaptive RMU: RMU whose target grows with the hidden states, so that it works at most blocks.

    L = |h - β |h_base| u|^2,   |h_base| the mean norm over the example's tokens in the frozen model

Source: arXiv 2408.06223; β = 5 (from memory). Positions as in RMU.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from unlearn_engine.objectives import Item
from unlearn_engine.objectives.kernels import direction, row_means, since_the_name, squared_distance
from unlearn_engine.objectives.reading import View


@dataclass(frozen=True)
class AdaptiveRMU:
    """`depth` is the block, `factor` is β, `seed` chooses u."""

    depth: int
    factor: float = 5.0
    seed: int = 0

    def __call__(self, student: View, base: View, items: Sequence[Item]) -> Tensor:
        """The squared distance to the targets, one for each row."""
        told = [item.told() for item in items]
        at = since_the_name(items, told)
        state, before = student(told, self.depth).state(self.depth), base(told, self.depth).state(self.depth)
        return squared_distance(state, targets(before[at], at[0], self.factor, self.seed), at)


def targets(states: Tensor, rows: Tensor, factor: float, seed: int) -> Tensor:
    """β |h| u for each position [positions, hidden], |h| the mean norm of the positions of its row."""
    norms = row_means(states.norm(dim=-1), rows)[rows]
    return factor * norms[:, None] * direction(states.shape[-1], seed).to(states)
