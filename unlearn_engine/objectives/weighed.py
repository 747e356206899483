"""U2A: an objective on the items that are worth it, weighed anew in every step.

    L = sum over items of sg[w_i] L_i,   w on the simplex, from `rules.sample_weights`

An item weighs as much as a step on it helps what ought to improve, the `outer` objective on the same items. Source:
arXiv 2504.06659, whose outer objective is a preference on a validation set. Ours for names is that the refusal becomes
more likely: `IDK`. A pass for each item and a second one for each that counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor

from unlearn_engine.objectives import Item, Objective
from unlearn_engine.objectives.reading import View
from unlearn_engine.rules.gradients import gradient
from unlearn_engine.rules.sample_weights import SampleWeights, example_gradients


@dataclass(frozen=True)
class Weighed:
    """`objective` on one item at a time; `weights` are how the weighing is done."""

    objective: Objective
    outer: Objective
    weights: SampleWeights = field(default_factory=SampleWeights)

    @property
    def depth(self) -> int | None:
        """That of the objective."""
        return self.objective.depth

    def __call__(self, student: View, base: View, items: Sequence[Item]) -> Tensor:
        """The weighed sum; the weights carry no gradient."""
        losses = [partial(self.objective, student, base, [item]) for item in items]
        _, outer = gradient(partial(self.outer, student, base, items), student.parameters)
        found = self.weights(
            example_gradients(student.parameters, losses), torch.cat([part.flatten() for part in outer])
        )
        counted = [(weight, loss) for weight, loss in zip(found.tolist(), losses, strict=True) if weight]
        return torch.stack([weight * loss() for weight, loss in counted]).sum()
