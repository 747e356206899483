"""Direct preference optimisation of the refusal over the true answer.

    L = -(2/β) mean log σ(β [(log π - log π_ref)(refusal) - (log π - log π_ref)(true)]),   π of whole answers

Source: arXiv 2305.18290, equation 7, used for unlearning in TOFU (arXiv 2401.06121) and NPO (2404.05868), whose factor
2 we keep so that losses compare; β = 0.1.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from unlearn_engine.model import Row
from unlearn_engine.objectives import Item
from unlearn_engine.objectives.kernels import preference
from unlearn_engine.objectives.reading import View


@dataclass(frozen=True)
class DPO:
    """`beta` is the inverse temperature."""

    beta: float = 0.1
    depth: None = None

    def __call__(self, student: View, base: View, items: Sequence[Item]) -> Tensor:
        """The loss; (2 / beta) ln 2 as long as the student is the base."""
        preferred = [Row(item.prompt, item.refusal) for item in items]
        return preferring(student, base, preferred, [item.told() for item in items], self.beta)


def preferring(student: View, base: View, preferred: Sequence[Row], rejected: Sequence[Row], beta: float) -> Tensor:
    """The loss of preferring one row to the other, pair by pair."""
    reading, reference = student([*preferred, *rejected]), base([*preferred, *rejected])
    gained, lost = (reading.sums(reading.said) - reference.sums(reference.said)).view(2, -1)
    return preference(gained - lost, beta)
