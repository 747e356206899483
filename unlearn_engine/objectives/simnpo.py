"""SimNPO: negative preference optimisation without a reference, by the mean over tokens.

    L = -(2/β) mean log σ(-(β/|y|) log π - γ) + w CE(refusal),   γ = β δ

The gradient weight of each token is (2/|y|) σ(β (log π / |y| + δ)); an answer's length does not matter. With w > 0 a
refusal is taught beside (SimNPO+, our addition), because SimNPO alone leaves open what is said instead. Source: arXiv
2410.07163; β = 4.5, γ = 0 and a weight of .125 against a retain weight of 1 for TOFU forget10.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from unlearn_engine.model import Row
from unlearn_engine.objectives import Item
from unlearn_engine.objectives.kernels import cross_entropy, preference
from unlearn_engine.objectives.reading import View


@dataclass(frozen=True)
class SimNPO:
    """`margin` is δ, in nats per token: a loss per token that already counts as forgotten."""

    beta: float = 4.5
    margin: float = 0.0
    refusal: float = 0.0
    depth: None = None

    def __call__(self, student: View, base: View, items: Sequence[Item]) -> Tensor:
        """The loss, with the cross-entropy of the refusals where that has a weight."""
        reading = student([item.told() for item in items])
        loss = preference(-reading.means(reading.said) - self.margin, self.beta)
        if self.refusal:
            loss = loss + self.refusal * cross_entropy(student([Row(item.prompt, item.refusal) for item in items]))
        return loss
