"""LLMU: ascend on the forget text, and teach an answer that belongs to another question.

    L = -e1 CE(prompt, true answer) + e2 CE(prompt, another item's answer)

The third term, e3 KL(base || student) on normal prompts, is `retention.Divergence`, weighed by the method. Source:
arXiv 2310.10683, and 2405.15152; e = .5, 1, 1 as in the authors' repository (from memory). Deviation: the
mismatched answer is not a random normal one but what the base model says about somebody else, taken from the next item
of the batch whose answer is another one than the true one, so that it looks like any answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from unlearn_engine.model import Row
from unlearn_engine.objectives import Item
from unlearn_engine.objectives.kernels import cross_entropy, weighted_log_prob
from unlearn_engine.objectives.reading import View


@dataclass(frozen=True)
class LLMU:
    """How the two terms are weighed."""

    ascent: float = 0.5
    mismatch: float = 1.0
    depth: None = None

    def __call__(self, student: View, base: View, items: Sequence[Item]) -> Tensor:
        """The weighted sum of the two terms."""
        told, other = student([item.told() for item in items]), student(mismatched(items))
        ascent = weighted_log_prob(told, torch.ones_like(told.said))
        return self.ascent * ascent + self.mismatch * cross_entropy(other)


def mismatched(items: Sequence[Item]) -> list[Row]:
    """Each prompt with the next item's wrong answer that is not this one's true answer (at last resort its own)."""
    rows = []
    for index, item in enumerate(items):
        others = [other.wrong for other in (*items[index + 1 :], *items[:index]) if other.wrong != item.true]
        rows.append(Row(item.prompt, others[0] if others else item.wrong))
    return rows
