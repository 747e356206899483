"""CATNIP: NPO by token, with the model's own complement 1 - p as the reference.

    L = (2/β) mean over tokens of softplus(β log(p_t / sg[1 - p_t]))

The gradient weight on log p_t is 2 σ(β logit p_t) <= 2: what the model does not believe is left alone, and the length
of the answer does not matter. Source: arXiv 2602.02824, reconstructed from its reviews; β is not confirmed. Deviation:
the complement carries no gradient (with it the weight grows like 1/(1 - p)) and is kept above `floor`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import softplus

from unlearn_engine.objectives import Item
from unlearn_engine.objectives.reading import View


@dataclass(frozen=True)
class CATNIP:
    """`beta` = 1 gives twice the gradient of WGA."""

    beta: float = 1.0
    floor: float = 1e-3
    depth: None = None

    def __call__(self, student: View, base: View, items: Sequence[Item]) -> Tensor:
        """The loss on the true answers."""
        reading = student([item.told() for item in items])
        complement = (1 - reading.said.exp()).clamp(min=self.floor).log().detach()
        return (2 / self.beta) * reading.means(softplus(self.beta * (reading.said - complement))).mean()
