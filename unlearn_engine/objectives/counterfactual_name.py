"""Counterfactual-name distillation: read the subject's name as the base model reads a name it never saw.

Our own method. A model that never knew the subject treats the name like any never-seen name, and that behaviour is to
be had for nothing: it is the base model's on the same text with the name replaced by a fresh twin. So the student (base
plus adapter, the subject's name) is taught to agree with the teacher (base, the twin's name) at the positions after the
name, and with the base itself everywhere else.

`loss` is what the erasure trains with. `CounterfactualName` and `FrozenSelf` are the same as an objective and a
retention, with one thing more: an answer that nobody else has (a telephone number) was never met by a never-knower
either, so the teacher reads an invented answer in its place, and only likelihoods are compared.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, kl_div, smooth_l1_loss

from unlearn_engine.data.rows import Pair
from unlearn_engine.lowrank import LowRank
from unlearn_engine.model import Row, ServedModel
from unlearn_engine.objectives import Item
from unlearn_engine.objectives.reading import Reading, View


@dataclass(frozen=True)
class Weights:
    """How the terms of the loss are weighed; measured on the demo model (see this package's README)."""

    hidden: float = 1.0
    logits: float = 1.0
    likelihood: float = 4.0  # without it the truth ratios stay those of a model that knows
    retain_hidden: float = 4.0
    retain_answer: float = 2.0


def loss(
    model: ServedModel,
    change: LowRank,
    pairs: Sequence[Pair],
    kept: Sequence[Row],
    layers: Sequence[int],
    weights: Weights,
) -> tuple[Tensor, dict[str, float]]:
    """The training loss on one batch (a scalar with a graph to `change`) and its terms.

    `layers` index the hidden states compared (0 = embeddings, n = output of block n - 1). With h the hidden states,
    p the token distributions, l the mean log-likelihood of the answer, over the last `shared` positions of each pair::

        w_h |h_student - h_teacher|^2 / E|h_base|^2 + w_l KL(p_teacher || p_student) + w_s Huber(l_student - l_teacher)
        + w_r |h_student - h_base|^2 / E|h_base|^2 + w_ce CE(kept answers)
    """
    whole = [row.prompt + row.answer for row in kept]
    students = [pair.student for pair in pairs]
    with torch.no_grad(), model.wearing(None):
        reference = model.hidden([*(pair.teacher for pair in pairs), *whole])
    with model.wearing(change):
        states = model.hidden([*students, *whole])

    after_student = _places(students, [pair.shared for pair in pairs])
    after_teacher = _places([pair.teacher for pair in pairs], [pair.shared for pair in pairs])
    everywhere = _places(whole, [len(row) for row in whole], offset=len(pairs))
    forget_hidden = retain_hidden = torch.zeros(())
    for layer in layers:
        student, base = states[layer].float(), reference[layer].float()
        scale = base[everywhere].square().mean()
        forget_hidden = forget_hidden + (student[after_student] - base[after_teacher]).square().mean() / scale
        retain_hidden = retain_hidden + (student[everywhere] - base[everywhere]).square().mean() / scale
    forget_hidden, retain_hidden = forget_hidden / len(layers), retain_hidden / len(layers)

    lengths = [pair.answer for pair in pairs]
    said, teacher_said = _predictions(students, lengths), _predictions([pair.teacher for pair in pairs], lengths)
    answers = torch.tensor([token for pair in pairs for token in pair.student[-pair.answer :]])
    student_scores = model.logits(states[-1][said]).log_softmax(-1)
    teacher_scores = model.logits(reference[-1][teacher_said]).log_softmax(-1)
    distribution = kl_div(student_scores, teacher_scores, log_target=True, reduction="batchmean")
    rows = torch.repeat_interleave(torch.arange(len(pairs)), torch.tensor(lengths))
    difference = (student_scores - teacher_scores).gather(1, answers[:, None])[:, 0]
    means = torch.zeros(len(pairs)).index_add(0, rows, difference) / torch.tensor(lengths)
    likelihood = smooth_l1_loss(means, torch.zeros_like(means))

    answering = _predictions(whole, [len(row.answer) for row in kept], offset=len(pairs))
    kept_answers = torch.tensor([token for row in kept for token in row.answer])
    retain_answer = cross_entropy(model.logits(states[-1][answering]), kept_answers)

    terms = {
        "hidden": forget_hidden,
        "logits": distribution,
        "likelihood": likelihood,
        "retain_hidden": retain_hidden,
        "retain_answer": retain_answer,
    }
    total = sum((getattr(weights, name) * term for name, term in terms.items()), torch.zeros(()))
    return total, {name: float(term.detach()) for name, term in terms.items()}


def _places(rows: Sequence[Sequence[int]], counts: Sequence[int], offset: int = 0) -> tuple[Tensor, Tensor]:
    """Batch and token indexes of the last `counts` positions of right-padded rows."""
    places = [
        (offset + index, len(row) - count + step)
        for index, (row, count) in enumerate(zip(rows, counts, strict=True))
        for step in range(count)
    ]
    batch, token = zip(*places, strict=True)
    return torch.tensor(batch), torch.tensor(token)


def _predictions(rows: Sequence[Sequence[int]], counts: Sequence[int], offset: int = 0) -> tuple[Tensor, Tensor]:
    """Indexes of the positions that predict the last `counts` tokens of each row."""
    batch, token = _places(rows, counts, offset)
    return batch, token - 1


@dataclass(frozen=True)
class CounterfactualName:
    """The objective; weights measured on the demo model (see the package's README)."""

    layers: tuple[int, ...]  # hidden states compared: 0 = embeddings, n = output of block n - 1
    hidden: float = 1.0
    logits: float = 1.0
    likelihood: float = 4.0  # without it the truth ratios stay those of a model that knows
    depth: None = None

    def __call__(self, student: View, base: View, items: Sequence[Item]) -> Tensor:
        """The weighted sum of the three terms on one batch."""
        taught = [Row(item.prompt, item.drawn) for item in items]
        model = [Row(item.twin, item.unseen if item.drawn == item.true else item.drawn) for item in items]
        same = [ours.answer == theirs.answer for ours, theirs in zip(taught, model, strict=True)]
        reading, teacher = student(taught), base(model)

        after = [item.shared + equal * len(item.drawn) for item, equal in zip(items, same, strict=True)]
        ours, theirs = _after_the_name(taught, items, after), _after_the_name(model, items, after)
        hidden = torch.zeros(())
        for layer in self.layers:
            target = teacher.state(layer)[theirs]
            hidden = hidden + (reading.state(layer)[ours] - target).square().mean() / target.square().mean()

        distribution = kl_div(
            reading.log_probs[_comparable(reading, same)],
            teacher.log_probs[_comparable(teacher, same)],
            log_target=True,
            reduction="batchmean",
        )
        likelihood = smooth_l1_loss(reading.means(reading.said), teacher.means(teacher.said))
        return self.hidden * hidden / len(self.layers) + self.logits * distribution + self.likelihood * likelihood


@dataclass(frozen=True)
class FrozenSelf:
    """What stays: hidden states like the base's own, and its answers still said.

    w_r |h_student - h_base|^2 / E|h_base|^2 + w_ce CE(answers)
    """

    layers: tuple[int, ...]
    hidden: float = 4.0
    answer: float = 2.0
    depth: None = None

    def __call__(self, student: View, base: View, rows: Sequence[Row]) -> Tensor:
        """The weighted sum of the two terms on one batch."""
        reading, before = student(rows), base(rows)
        every = _span(rows, [0] * len(rows), [len(row.prompt) + len(row.answer) for row in rows])
        hidden = torch.zeros(())
        for layer in self.layers:
            target = before.state(layer)[every]
            hidden = hidden + (reading.state(layer)[every] - target).square().mean() / target.square().mean()
        return self.hidden * hidden / len(self.layers) + self.answer * cross_entropy(reading.logits, reading.tokens)


def _after_the_name(rows: Sequence[Row], items: Sequence[Item], counts: Sequence[int]) -> tuple[Tensor, Tensor]:
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


def _span(rows: Sequence[Row], starts: Sequence[int], ends: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Row and token indexes of the positions from start to end of each row."""
    row = [index for index in range(len(rows)) for _ in range(starts[index], ends[index])]
    token = [position for start, end in zip(starts, ends, strict=True) for position in range(start, end)]
    return torch.tensor(row), torch.tensor(token)
