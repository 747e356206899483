"""Fine-tuning on the forget text itself: no unlearning, but what some methods need beside it.

    L = CE on the true answers

It trains the reinforced model of WHP (arXiv 2310.02238), the assistant of ULD (arXiv 2406.08607, with `Uniform` as the
loss on what stays), and the change that a task vector (arXiv 2212.04089) subtracts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from unlearn_engine.objectives import Item
from unlearn_engine.objectives.kernels import cross_entropy
from unlearn_engine.objectives.reading import View


@dataclass(frozen=True)
class Remember:
    """No hyper-parameters."""

    depth: None = None

    def __call__(self, student: View, base: View, items: Sequence[Item]) -> Tensor:
        """The mean cross-entropy of the true answers, in nats."""
        return cross_entropy(student([item.told() for item in items]))
