"""When to stop training: when nothing more can be extracted than about names nobody has, or retaining has paid enough.

Extraction strength (arXiv 2406.09179; a gauge of arXiv 2506.12618 too) is 1 minus the smallest share of an
answer that has to be given as a prefix so that greedy decoding completes the rest. Greedy decoding from a true prefix
follows the truth exactly as long as every next token is the most likely one, so one teacher-forced forward tells it::

    ES = |longest suffix of the answer all of whose tokens are the most likely ones| / |answer|
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from unlearn_engine.model import Row, ServedModel, batches
from unlearn_engine.objectives.reading import places


def extraction_strength(most_likely: Sequence[bool]) -> float:
    """From whether each answer token is the model's first choice after the true ones before it; 0 for no answer."""
    if not most_likely:
        return 0.0
    wrong = [place for place, right in enumerate(reversed(most_likely)) if not right]
    return (wrong[0] if wrong else len(most_likely)) / len(most_likely)


@torch.no_grad()
def extraction_strengths(model: ServedModel, rows: Sequence[Row]) -> list[float]:
    """Extraction strength of each row's answer after its prompt, as the model stands."""
    found = [0.0] * len(rows)
    for batch in batches([len(row.prompt) + len(row.answer) for row in rows]):
        part = [rows[index] for index in batch]
        whole = [row.prompt + row.answer for row in part]
        at = places(whole, [len(row.answer) for row in part], before=1)
        chosen = model.logits(model.hidden(whole)[-1][at]).argmax(-1).tolist()
        said = [token for row in part for token in row.answer]
        right = [one == other for one, other in zip(chosen, said, strict=True)]
        for index, row in zip(batch, part, strict=True):
            found[index] = extraction_strength(right[: len(row.answer)])
            right = right[len(row.answer) :]
    return found


class Gauges(NamedTuple):
    """What the stop rule measured, and its verdict."""

    extraction: float  # mean over the rows that are to be forgotten
    retain_loss: float  # nats per token
    forgotten: bool
    spent: bool

    @property
    def stop(self) -> bool:
        """Whether training should end here."""
        return self.forgotten or self.spent


@dataclass(frozen=True)
class StopRule:
    """Asked every `every` steps; a retain loss that is not a number counts as spent."""

    told: tuple[Row, ...]
    kept: tuple[Row, ...]
    extraction_level: float  # forgotten at or below it
    retain_limit: float  # nats per token; spent above it
    every: int = 8

    def __call__(self, model: ServedModel) -> Gauges:
        """Gauge the model wearing the change."""
        extraction, loss = mean_extraction(model, self.told), retain_loss(model, self.kept)
        return Gauges(extraction, loss, extraction <= self.extraction_level, not loss <= self.retain_limit)


def stop_rule(
    model: ServedModel,
    told: Sequence[Row],
    unseen: Sequence[Row],
    kept: Sequence[Row],
    *,
    margin: float = 0.02,
    tolerance: float = 0.3,
    slack: float = 0.05,
    every: int = 8,
) -> StopRule:
    """The rule with its levels measured on the base.

    `told` are questions with the answers to forget, `unseen` the same answers after the same questions about never-seen
    names: forgotten is what is no stronger than those, plus `margin`.
    The retain budget is (1 + tolerance) times the base's loss plus `slack` nats, since a base that is certain has a
    loss of almost nothing.
    """
    with model.wearing(None):
        level = mean_extraction(model, unseen) + margin
        before = retain_loss(model, kept)
    return StopRule(tuple(told), tuple(kept), level, (1 + tolerance) * before + slack, every)


def mean_extraction(model: ServedModel, rows: Sequence[Row]) -> float:
    """Mean extraction strength; 0 for no rows."""
    return sum(extraction_strengths(model, rows)) / len(rows) if rows else 0.0


def retain_loss(model: ServedModel, rows: Sequence[Row]) -> float:
    """Mean over rows of the loss per answer token, in nats; 0 for no rows."""
    return -sum(model.mean_log_likelihoods(rows)) / len(rows) if rows else 0.0
