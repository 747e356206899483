"""Inverted hinge loss: hand the true token's probability to the runner-up, and to nobody else.

    L = mean over tokens of max(0, 1 + p_t - max over v != t of p_v),   in [0, 2]

Gradient on the logits: p_t (1 - p_t + p_v) at the true token, -p_v (1 - p_v + p_t) at the runner-up v, and -p_i (p_t -
p_v) elsewhere. Source: LoKU, arXiv 2408.06621; its initialisation is in `fila.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from unlearn_engine.objectives import Item
from unlearn_engine.objectives.reading import View


@dataclass(frozen=True)
class IHL:
    """No hyper-parameters."""

    depth: None = None

    def __call__(self, student: View, base: View, items: Sequence[Item]) -> Tensor:
        """The mean hinge on the true answers."""
        reading = student([item.told() for item in items])
        likely = reading.log_probs.exp()
        runner_up = likely.scatter(1, reading.tokens[:, None], 0).amax(-1)
        return reading.means((1 + reading.said.exp() - runner_up).clamp(min=0)).mean()
