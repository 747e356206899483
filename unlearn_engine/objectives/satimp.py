"""SatImp: weights for saturation (forget what is likely) and importance (spare what is certain).

    L = mean over tokens of sg[p_t^β1 (1 - p_t)^β2] log p_t

Source: arXiv 2505.11953; β1 = 5, β2 = 1, forget weight .1 as in open-unlearning.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from unlearn_engine.objectives import Item
from unlearn_engine.objectives.kernels import weighted_log_prob
from unlearn_engine.objectives.reading import View


@dataclass(frozen=True)
class SatImp:
    """Exponents; `importance` = 0 is WGA."""

    saturation: float = 5.0
    importance: float = 1.0
    depth: None = None

    def __call__(self, student: View, base: View, items: Sequence[Item]) -> Tensor:
        """The weighted mean log-probability of the true answers."""
        reading = student([item.told() for item in items])
        likely = reading.said.exp()
        return weighted_log_prob(reading, likely**self.saturation * (1 - likely) ** self.importance)
