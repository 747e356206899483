"""KUDA: turn the hidden states of the forget text away from where they were.

    L = κ mean over tokens of max(0, cos(h, h_base) - m)

The trap: as long as h = h_base the cosine is at its maximum and its gradient exactly zero, so a change whose `up` is
zero never starts. `kick` sets it going. Source: arXiv 2602.19275, reconstructed from its abstract; κ, m and the hinge,
which stops the turn at a right angle, are ours. The tracing of blocks is a selector, the relaxed null space a
constraint. Positions as in RMU.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from unlearn_engine.lowrank import Factors, LowRank
from unlearn_engine.objectives import Item
from unlearn_engine.objectives.kernels import row_means, since_the_name
from unlearn_engine.objectives.reading import View


@dataclass(frozen=True)
class KUDA:
    """`depth` is the block, `strength` is κ, `margin` the cosine m at which it is enough."""

    depth: int
    strength: float = 1.0
    margin: float = 0.0

    def __call__(self, student: View, base: View, items: Sequence[Item]) -> Tensor:
        """The hinge on the cosine, averaged over tokens and rows."""
        told = [item.told() for item in items]
        at = since_the_name(items, told)
        state, before = student(told, self.depth).state(self.depth), base(told, self.depth).state(self.depth)
        turned = cosine_similarity(state[at], before[at], dim=-1)
        return self.strength * row_means((turned - self.margin).clamp(min=0), at[0]).mean()


def kick(change: LowRank, generator: torch.Generator, size: float = 1e-3) -> dict[str, Factors]:
    """The change with normal noise of standard deviation `size` added to every `up`."""
    return {
        name: Factors(down, up + size * torch.randn(up.shape, generator=generator, dtype=up.dtype).to(up.device))
        for name, (down, up) in change.items()
    }
