"""Negative preference optimisation: ascent that fades as the model comes to disfavour the text.

    L = -(2/β) mean log σ(-β (log π - log π_ref)),   π the probability of the whole answer (a sum over its tokens)

The gradient is GA's on the sum, weighed with 2 σ(β (log π - log π_ref)) in (0, 2) for the whole answer; β -> 0 is GA.
Source: arXiv 2404.05868; β = 0.1.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from unlearn_engine.objectives import Item
from unlearn_engine.objectives.kernels import preference
from unlearn_engine.objectives.reading import View


@dataclass(frozen=True)
class NPO:
    """`beta` is the inverse temperature."""

    beta: float = 0.1
    depth: None = None

    def __call__(self, student: View, base: View, items: Sequence[Item]) -> Tensor:
        """The loss; (2 / beta) ln 2 as long as the student is the base."""
        told = [item.told() for item in items]
        reading, reference = student(told), base(told)
        return preference(reference.sums(reference.said) - reading.sums(reading.said), self.beta)
