"""UNDIAL: distil the model from itself with the true token's logit lowered.

    L = CE(softmax(base logits - β at the true token), student)

Source: arXiv 2402.10052; β = 10, learning rate 1e-4, LoRA rank 8.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from unlearn_engine.objectives import Item
from unlearn_engine.objectives.kernels import target_distribution
from unlearn_engine.objectives.reading import View


@dataclass(frozen=True)
class UNDIAL:
    """`strength` is β, in nats."""

    strength: float = 10.0
    depth: None = None

    def __call__(self, student: View, base: View, items: Sequence[Item]) -> Tensor:
        """Cross-entropy to the adjusted self."""
        told = [item.told() for item in items]
        reading, logits = student(told), base(told).logits
        truth = reading.tokens[:, None]
        lowered = logits.scatter_add(1, truth, -self.strength * logits.new_ones(truth.shape))
        return target_distribution(reading, lowered.softmax(-1))
