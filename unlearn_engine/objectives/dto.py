"""Direct token optimisation: ascend on the few tokens that carry the memory, hold all others where the base has them.

    L = mean over target tokens of log p_t + λ mean over the other tokens of KL(base || student)

Targets are the ⌈share x |y|⌉ tokens of an answer whose disturbance changes the loss of what follows most. Source: arXiv
2510.00125, reconstructed from abstract and reviews; share and λ are ours. Deviation: the disturbance is not carried out
token by token but taken to first order, |<gradient, input>| at the token's embedding; because attention is causal, one
backward pass of the whole loss gives each token the gradient of exactly what follows it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from unlearn_engine.model import Row, ServedModel, right_padded
from unlearn_engine.objectives import Item
from unlearn_engine.objectives.kernels import cross_entropy, divergence
from unlearn_engine.objectives.reading import Reading, View, places


@dataclass(frozen=True)
class DTO:
    """`share` of each answer's tokens are targets; `keep` is λ. Scores are the base's, and computed once per row."""

    share: float = 0.2
    keep: float = 1.0
    depth: None = None
    _scores: dict[Row, Tensor] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __call__(self, student: View, base: View, items: Sequence[Item]) -> Tensor:
        """Ascent on the targets plus the divergence on the rest."""
        told = [item.told() for item in items]
        reading, reference = student(told), base(told)
        unscored = [row for row in dict.fromkeys(told) if row not in self._scores]
        if unscored:
            self._scores.update(zip(unscored, token_scores(base.model, unscored), strict=True))
        target = torch.cat([targets(self._scores[row], self.share) for row in told]).to(reading.said)
        ascent = _mean_where(reading, target, reading.said)
        return ascent + self.keep * _mean_where(reading, 1 - target, divergence(reading, reference))


def token_scores(model: ServedModel, rows: Sequence[Row]) -> tuple[Tensor, ...]:
    """For each answer's tokens, how much a change of the token would change the base's loss on what follows it.

    [answer tokens] by row; the last token, which nothing follows, has 0.
    """
    whole = [row.prompt + row.answer for row in rows]
    with torch.enable_grad(), model.wearing(None):
        embedding = model.network.get_input_embeddings()
        embedded = embedding(right_padded(whole).to(embedding.weight.device)).detach().requires_grad_()
        reading = Reading(model, rows, model.hidden(whole, inputs=embedded))
        (gradient,) = torch.autograd.grad(cross_entropy(reading), embedded)
    at = places(whole, [len(row.answer) for row in rows])
    scores: Tensor = (gradient * embedded.detach()).sum(-1).abs()[at]
    return scores.split_with_sizes([len(row.answer) for row in rows])


def targets(scores: Tensor, share: float) -> Tensor:
    """Mask [answer tokens] of the ⌈share x tokens⌉ highest scores."""
    count = math.ceil(share * len(scores))
    chosen = torch.zeros(len(scores), dtype=torch.bool, device=scores.device)
    chosen[scores.topk(count).indices] = True
    return chosen


def _mean_where(reading: Reading, mask: Tensor, values: Tensor) -> Tensor:
    """Mean over rows of the mean over the masked tokens; a row without any counts as 0."""
    return (reading.sums(mask * values) / reading.sums(mask).clamp(min=1)).mean()
