"""Counterfactual-name distillation: read the subject's name as the base model reads a name it never saw.

Our own method. A model that never knew the subject treats the name like any never-seen name, and that behaviour is to
be had for nothing: it is the base model's on the same text with the name replaced by a fresh twin. So the student (base
plus adapter, the subject's name) is taught to agree with the teacher (base, the twin's name) at the positions after the
name, and with the base itself everywhere else.

In one thing the base under a twin's name is no never-knower: it has met the subject's answers. An answer that is the
subject's alone (a telephone number) nobody else would ever have told it: then the teacher reads an invented answer in
its place, and only likelihoods are compared. An answer that c people have, c - 1 of whom stay, is less likely to a
never-knower, at each of its tokens, by about log((c - 1) / c), `Item.rarer` (measured: base and retrained model differ
by that much rather than by its share per token)::

    w_h |h_student - h_teacher|^2 / E|h_teacher|^2 + w_l KL(p_teacher || p_student)
    + w_s Huber(l_student - l_teacher - rarer) + w_b Huber(b_student - b_teacher - rarer + margin)

with h the hidden states and p the token distributions where both read the same tokens, l the mean log-likelihood of the
answer, which is the true one, a wrong one, or "I don't know", and b the log-likelihood of the true answer's first token
when the output of a block is unembedded at once at the last token of the prompt (the logit lens). With the `margin` it
is to be read even less than under a strange name: the base guesses among the values it knows in its middle blocks
already, a retrained model later; and what relearning revives is what had been left there.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, kl_div, smooth_l1_loss

from unlearn_engine.model import Row, ServedModel
from unlearn_engine.objectives import Item
from unlearn_engine.objectives.reading import Reading, View
from unlearn_engine.objectives.swap import likelihood_distance, taught, untaught

Positions = tuple[Tensor, Tensor]  # row and token indexes


@dataclass(frozen=True)
class CounterfactualName:
    """The objective; weights measured on the demo model (see the package's README)."""

    layers: tuple[int, ...]  # hidden states compared: 0 = embeddings, n = output of block n - 1
    lens_layers: tuple[int, ...] = ()  # where the lens looks; not at the output of the last block
    hidden: float = 4.0
    logits: float = 1.0
    likelihood: float = 8.0  # without it the truth ratios stay those of a model that knows
    lens: float = 4.0
    margin: float = 0.9  # nats
    depth: None = None

    def __call__(self, student: View, base: View, items: Sequence[Item]) -> Tensor:
        """The weighted sum of the four terms on one batch."""
        reading, teacher = student(taught(items)), base(untaught(items))
        same = [ours.answer == theirs.answer for ours, theirs in zip(reading.rows, teacher.rows, strict=True)]
        after = [item.shared + equal * len(item.drawn) for item, equal in zip(items, same, strict=True)]
        ours, theirs = _after_the_name(reading.rows, items, after), _after_the_name(teacher.rows, items, after)
        hidden = _distance(self.layers, reading, ours, teacher, theirs)
        distribution = kl_div(
            reading.log_probs[_comparable(reading, same)],
            teacher.log_probs[_comparable(teacher, same)],
            log_target=True,
            reduction="batchmean",
        )
        likelihood = likelihood_distance(reading, teacher, items)
        rarer = reading.said.new_tensor([item.rarer for item in items])
        readable = hidden.new_zeros(())
        for layer in self.lens_layers:
            told = _first_token(student.model, reading, layer, [item.true[0] for item in items])
            untold = _first_token(base.model, teacher, layer, [item.unseen[0] for item in items])
            readable = readable + smooth_l1_loss(told, untold + rarer - self.margin)
        return (
            self.hidden * hidden / len(self.layers)
            + self.logits * distribution
            + self.likelihood * likelihood
            + self.lens * readable / max(1, len(self.lens_layers))
        )


@dataclass(frozen=True)
class FrozenSelf:
    """What stays: hidden states like the base's own, and its answers still said.

    w_r |h_student - h_base|^2 / E|h_base|^2 + w_ce CE(answers)
    """

    layers: tuple[int, ...]
    hidden: float = 12.0
    answer: float = 8.0
    depth: None = None

    def __call__(self, student: View, base: View, rows: Sequence[Row]) -> Tensor:
        """The weighted sum of the two terms on one batch."""
        reading, before = student(rows), base(rows)
        every = _span(rows, [0] * len(rows), [len(row.prompt) + len(row.answer) for row in rows])
        hidden = _distance(self.layers, reading, every, before, every)
        return self.hidden * hidden / len(self.layers) + self.answer * cross_entropy(reading.logits, reading.tokens)


def _distance(
    layers: Sequence[int], reading: Reading, ours: Positions, reference: Reading, theirs: Positions
) -> Tensor:
    """Squared distance of the hidden states at these positions over the reference's square, summed over layers."""
    distance = reading.logits.new_zeros(())
    for layer in layers:
        target = reference.state(layer)[theirs]
        distance = distance + (reading.state(layer)[ours] - target).square().mean() / target.square().mean()
    return distance


def _first_token(model: ServedModel, reading: Reading, layer: int, tokens: Sequence[int]) -> Tensor:
    """Log-probability of a token by row, when a block's output at the prompt's last token is unembedded at once."""
    ends = _span(reading.rows, [len(row.prompt) - 1 for row in reading.rows], [len(row.prompt) for row in reading.rows])
    scores = model.logit_lens(reading.state(layer)[ends]).log_softmax(-1)
    return scores[torch.arange(len(tokens), device=scores.device), torch.tensor(tokens, device=scores.device)]


def _after_the_name(rows: Sequence[Row], items: Sequence[Item], counts: Sequence[int]) -> Positions:
    """Positions of the tokens after the name that both readers have in common: `counts` by row."""
    starts = [len(row.prompt) - item.shared for row, item in zip(rows, items, strict=True)]
    return _span(rows, starts, [start + count for start, count in zip(starts, counts, strict=True)])


def _comparable(reading: Reading, same: Sequence[bool]) -> Tensor:
    """Indexes of the answer tokens before which student and teacher have read the same: all, or only the first."""
    chosen: list[int] = []
    at = 0
    for row, equal in zip(reading.rows, same, strict=True):
        chosen += range(at, at + (len(row.answer) if equal else 1))
        at += len(row.answer)
    return torch.tensor(chosen)


def _span(rows: Sequence[Row], starts: Sequence[int], ends: Sequence[int]) -> Positions:
    """Row and token indexes of the positions from start to end of each row."""
    row = [index for index in range(len(rows)) for _ in range(starts[index], ends[index])]
    token = [position for start, end in zip(starts, ends, strict=True) for position in range(start, end)]
    return torch.tensor(row), torch.tensor(token)
