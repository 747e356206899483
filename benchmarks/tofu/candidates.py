"""Where the rows come from: the full model, the retain-only model, and the full model unlearned by each method."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.tofu.data import Tofu
from unlearn_engine.lowrank import LowRank
from unlearn_engine.model import ServedModel

Progress = Callable[[str, float], None]  # stage, fraction done


@dataclass(frozen=True)
class Order:
    """What a row needs to know to make its candidate."""

    tofu: Tofu
    full: Path
    retain_only: Path
    progress: Progress


@dataclass(frozen=True)
class Candidate:
    """A model to be evaluated, wearing a change."""

    model: ServedModel
    change: LowRank | None = None
    seconds: float = 0.0  # of unlearning


SANITY: Mapping[str, Callable[[Order], Candidate]] = {
    "base": lambda order: Candidate(ServedModel(order.full)),
    "retain-only": lambda order: Candidate(ServedModel(order.retain_only)),
}
"""Rows that are no methods."""

METHODS: Mapping[str, Callable[[Order], Candidate]] = {}
"""Method -> how its candidate is made."""
