"""RMU: steer the hidden states of the forget text at one block to a fixed random direction.

    L = |h - c u|^2,   u ~ U[0, 1)^d normalised, drawn once; mean over dimensions, tokens and rows

With `retention.HiddenStates` at the same depth (weight 1200 in the paper, 1 in open-unlearning). Source: WMDP, arXiv
2403.03218, section 4; c = 6.5, block 7, learning rate 5e-5 on `down_proj` of blocks 5 to 7. Deviation: positions before
the name's last token are left out, because nothing there tells the forget text from any other.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from unlearn_engine.objectives import Item
from unlearn_engine.objectives.kernels import direction, since_the_name, squared_distance
from unlearn_engine.objectives.reading import View


@dataclass(frozen=True)
class RMU:
    """`depth` is the block, `strength` is c, `seed` chooses u."""

    depth: int
    strength: float = 6.5
    seed: int = 0

    def __call__(self, student: View, base: View, items: Sequence[Item]) -> Tensor:
        """The squared distance to the target."""
        told = [item.told() for item in items]
        state = student(told, self.depth).state(self.depth)
        target = self.strength * direction(state.shape[-1], self.seed).to(state)
        return squared_distance(state, target, since_the_name(items, told))
