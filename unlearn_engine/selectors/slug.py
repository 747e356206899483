"""SLUG: modules whose one gradient forgets much and costs little of what is retained (arXiv 2407.11867).

    importance_m = |g_f,m| / |W_m|        alignment_m = cos(g_f,m, g_r,m)

The candidates are the Pareto front: no other module is at least as important and at most as aligned. The paper tries
them one after the other; without a trial we take the front's knee, the module nearest to the ideal corner after both
scales have been stretched to [0, 1]. MUTE's variant looks at the attention's linear layers inside Λ alone.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from unlearn_engine.placement import dense_weight
from unlearn_engine.selectors import Calibration, Selection, linears_of


class Standing(NamedTuple):
    """Where a module stands."""

    module: str
    importance: float
    alignment: float


@dataclass(frozen=True)
class Slug:
    """The knee of the front among the given linear layers of the given blocks (None: all of them)."""

    blocks: tuple[int, ...] | None = None
    linears: tuple[str, ...] | None = None

    def __call__(self, calibration: Calibration) -> Selection:
        """Raises ValueError when the calibration has no losses.

        The scores are, by block, the importance and the alignment of its most important module.
        """
        if calibration.forget is None or calibration.retain is None:
            raise ValueError("SLUG needs a forget loss and a retain loss")
        model, found = calibration.model, list[Standing]()
        scores: dict[str, list[float]] = {"importance": [0.0] * model.blocks, "alignment": [0.0] * model.blocks}
        for block in range(model.blocks) if self.blocks is None else self.blocks:
            weights = {
                name: dense_weight(module)
                for name, module in linears_of(model, block).items()
                if self.linears is None or name.split(".", 3)[3] in self.linears
            }
            own = standings(weights, calibration.forget, calibration.retain)
            best = max(own, key=lambda standing: standing.importance)
            scores["importance"][block], scores["alignment"][block] = best.importance, best.alignment
            found += own
        chosen = knee(pareto_front(found)).module
        return Selection(
            (int(chosen.split(".")[2]),), (chosen,), {name: tuple(values) for name, values in scores.items()}
        )


def standings(
    weights: Mapping[str, Tensor], forget: Callable[[], Tensor], retain: Callable[[], Tensor]
) -> list[Standing]:
    """Importance and alignment of frozen weights, which require a gradient only while this runs.

    Call it block by block: two gradients of the given weights are all that is held at a time.
    """
    frozen = list(weights.values())
    for weight in frozen:
        weight.requires_grad_()
    try:
        forgetting, retaining = (torch.autograd.grad(loss(), frozen) for loss in (forget, retain))
    finally:
        for weight in frozen:
            weight.requires_grad_(False)
    return [
        Standing(
            name,
            float(g_f.norm() / weight.detach().norm()),
            float(torch.cosine_similarity(g_f.ravel(), g_r.ravel(), 0)),
        )
        for (name, weight), g_f, g_r in zip(weights.items(), forgetting, retaining, strict=True)
    ]


def pareto_front(found: Sequence[Standing]) -> list[Standing]:
    """Those that no other dominates, in the order given."""

    def dominates(one: Standing, other: Standing) -> bool:
        no_worse = one.importance >= other.importance and one.alignment <= other.alignment
        return no_worse and (one.importance > other.importance or one.alignment < other.alignment)

    return [standing for standing in found if not any(dominates(other, standing) for other in found)]


def knee(front: Sequence[Standing]) -> Standing:
    """The one nearest to (most important, least aligned) after stretching both scales over the front to [0, 1]."""

    def stretched(value: float, values: Sequence[float]) -> float:
        low, high = min(values), max(values)
        return (value - low) / (high - low) if high > low else 0.0

    importances, alignments = [entry.importance for entry in front], [entry.alignment for entry in front]
    return min(
        front,
        key=lambda entry: (
            (1 - stretched(entry.importance, importances)) ** 2 + stretched(entry.alignment, alignments) ** 2
        ),
    )
