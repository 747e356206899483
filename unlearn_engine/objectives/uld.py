"""ULD: subtract an assistant that remembers, and distil the difference.

    target = softmax(base - α (assistant - its mean) where p_base >= filter x top p_base, base elsewhere)   (logits)
    L = KL(target || student) along the true answer

The assistant is the base with a second change, trained with `remember.Remember` on the forget text and
`retention.Uniform` (weight 5) on what stays; give its view. Source: arXiv 2406.08607; α = .8 and filter 1e-2
as in its repository. Deviations: the paper serves both models and subtracts at run time, we teach one model the
difference; the assistant is the whole model, not its first eight blocks; its logits are centred, which changes nothing
without the filter and makes a uniform assistant harmless with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import kl_div

from unlearn_engine.objectives import Item
from unlearn_engine.objectives.reading import View


@dataclass(frozen=True)
class ULD:
    """`strength` is α; `threshold` is the share of the top probability below which a token is left as it is."""

    assistant: View
    strength: float = 0.8
    threshold: float = 1e-2
    depth: None = None

    def __call__(self, student: View, base: View, items: Sequence[Item]) -> Tensor:
        """The divergence from the difference of the two models, averaged over tokens and rows."""
        told = [item.told() for item in items]
        with torch.no_grad():
            wanted = without(base(told).logits, self.assistant(told).logits, self.strength, self.threshold)
        reading = student(told)
        distance = kl_div(reading.log_probs, wanted.log_softmax(-1), reduction="none", log_target=True).sum(-1)
        return reading.means(distance).mean()


def without(base: Tensor, assistant: Tensor, strength: float, threshold: float) -> Tensor:
    """Base logits less what the assistant knows, both [..., vocabulary]."""
    likely = base.softmax(-1)
    kept = likely >= threshold * likely.amax(-1, keepdim=True)
    return base - strength * kept * (assistant - assistant.mean(-1, keepdim=True))
