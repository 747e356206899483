"""CE-U: cross-entropy to the model's own belief with the true token struck out.

    L = CE(sg[softmax(student logits, -∞ at the true token)], student)

Bounded pull in place of ascent: all that is asked is that the true token gives its mass to the others in proportion.
Source: arXiv 2503.01224; the first token of an answer is skipped as in open-unlearning. Deviation: a shorter answer's
only token is not skipped, for nothing would remain of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from unlearn_engine.objectives import Item
from unlearn_engine.objectives.reading import View


@dataclass(frozen=True)
class CEU:
    """The first `skipped` tokens of an answer are left alone; 0 where answers are a few tokens long."""

    skipped: int = 1
    depth: None = None

    def __call__(self, student: View, base: View, items: Sequence[Item]) -> Tensor:
        """Cross-entropy to the student's own distribution over the other tokens."""
        reading = student([item.told() for item in items])
        truth = reading.tokens[:, None]
        wanted = reading.logits.detach().scatter(1, truth, -torch.inf).softmax(-1)
        losses = -(wanted * reading.log_probs).sum(-1)
        counted = torch.cat([_counted(len(item.true), self.skipped) for item in items]).to(losses)
        return (reading.sums(counted * losses) / reading.sums(counted)).mean()


def _counted(tokens: int, skipped: int) -> Tensor:
    return torch.arange(tokens) >= min(skipped, tokens - 1)
