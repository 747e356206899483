"""Twin states: counterfactual-name distillation at one depth, so that nothing above it has to be computed.

    L = |h_student(x) - h_base(twin)|^2   after `depth` blocks, at the positions after the name

Our own, the first term of `counterfactual_name` without the other three, with `retention.HiddenStates` at the same
depth. It forgets within a few steps and costs what stays next to nothing; likelihoods are left further from those of a
model that never knew.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from unlearn_engine.model import Row
from unlearn_engine.objectives import Item
from unlearn_engine.objectives.kernels import squared_distance
from unlearn_engine.objectives.reading import View, places
from unlearn_engine.objectives.swap import taught


@dataclass(frozen=True)
class TwinStates:
    """`depth` is where the states are compared."""

    depth: int

    def __call__(self, student: View, base: View, items: Sequence[Item]) -> Tensor:
        """The squared distance, averaged over dimensions, tokens and rows; both read the answer drawn."""
        ours, theirs = taught(items), [Row(item.twin, item.drawn) for item in items]
        counts = [item.shared + len(item.drawn) for item in items]
        at, there = (places([row.prompt + row.answer for row in rows], counts) for rows in (ours, theirs))
        wanted = base(theirs, self.depth).state(self.depth)[there]
        return squared_distance(student(ours, self.depth).state(self.depth), wanted, at)
