"""Weighted gradient ascent: ascend most on the tokens that the model is surest of.

    L = mean over tokens of sg[p_t^β] log p_t

Source: arXiv 2502.19301 (WGA); β = 1 as in open-unlearning, whose mean over all tokens is here one over each answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from unlearn_engine.objectives import Item
from unlearn_engine.objectives.kernels import weighted_log_prob
from unlearn_engine.objectives.reading import View


@dataclass(frozen=True)
class WGA:
    """`beta` = 0 is gradient ascent."""

    beta: float = 1.0
    depth: None = None

    def __call__(self, student: View, base: View, items: Sequence[Item]) -> Tensor:
        """The weighted mean log-probability of the true answers."""
        reading = student([item.told() for item in items])
        return weighted_log_prob(reading, reading.said.exp() ** self.beta)
