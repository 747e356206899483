"""MUTE: the blocks in which languages share their representations (arXiv 2602.22562).

Per block l, with X_j the states of the same questions in language j, at the last prompt token (where the answer is
formed; token means are dominated by the shared name)::

    CKA_l  = mean over language pairs of HSIC(X_j, X_k) / sqrt(HSIC(X_j, X_j) HSIC(X_k, X_k))
    LRDS_l = E[cos | same language, other question] - E[cos | other language, other question]
    Λ      = {l : CKA_l >= mean CKA and LRDS_l <= τ},   τ = α min LRDS,   the stretch around its CKA peak

With fewer items than dimensions the plain HSIC of any two sets is large, related or not; then the unbiased one is used
(Song et al. 2012; arXiv 2010.15327, section 3). Where LRDS comes near 0 a multiple of its minimum is no scale, so τ may
be given a floor (`margin`); 0 is the paper's rule.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from unlearn_engine.selectors import DOWN_PROJ, Calibration, Selection, modules_in

ALPHA = 4.0  # MUTE's α_spec for the demo model's shape; published values run from 1.5 to 4.4
LRDS_MARGIN = 0.1


@dataclass(frozen=True)
class Region:
    """All of Λ; with `margin` 0 by the paper's rule."""

    alpha: float = ALPHA
    margin: float = LRDS_MARGIN
    linears: tuple[str, ...] = DOWN_PROJ

    def __call__(self, calibration: Calibration) -> Selection:
        """Select from the measured CKA and LRDS."""
        found = calibration.layers
        blocks = agnostic_region(found.cka, found.lrds, self.alpha, self.margin)
        return modules_in(calibration.model, blocks, self.linears, {"cka": found.cka, "lrds": found.lrds})


@dataclass(frozen=True)
class TargetBlock:
    """The one block of Λ that MUTE edits: where CKA peaks, or (for one-shot gradients like SLUG's) the deepest."""

    deepest: bool = False
    alpha: float = ALPHA
    margin: float = LRDS_MARGIN
    linears: tuple[str, ...] = DOWN_PROJ

    def __call__(self, calibration: Calibration) -> Selection:
        """Select from the measured CKA and LRDS; the earliest of equal peaks."""
        found = calibration.layers
        region = agnostic_region(found.cka, found.lrds, self.alpha, self.margin)
        block = region[-1] if self.deepest else max(region, key=lambda block: found.cka[block])
        return modules_in(calibration.model, (block,), self.linears, {"cka": found.cka, "lrds": found.lrds})


def mean_cka(states: Tensor) -> float:
    """CKA of states [languages, items, hidden], the mean over pairs of languages; 1 for a single language."""
    pairs = [cka(one, other) for one, other in combinations(states, 2)]
    return sum(pairs) / len(pairs) if pairs else 1.0


def cka(first: Tensor, second: Tensor) -> float:
    """Linear CKA of two sets of states of the same items, each [items, hidden]; unbiased where items are few."""
    items, hidden = first.shape
    return debiased_cka(first, second) if 4 <= items < max(hidden, second.shape[1]) else linear_cka(first, second)


def linear_cka(first: Tensor, second: Tensor) -> float:
    """CKA with the plain, centred HSIC of linear kernels: 1 for sets equal up to rotation, shift and scale."""
    first, second = first - first.mean(0), second - second.mean(0)
    cross, own, other = (first.T @ second).norm(), (first.T @ first).norm(), (second.T @ second).norm()
    return float(cross.square() / (own * other))


def debiased_cka(first: Tensor, second: Tensor) -> float:
    """CKA with the unbiased HSIC of linear kernels, around 0 for unrelated sets of any size; needs four items."""
    centred = [states.double() - states.double().mean(0) for states in (first, second)]  # exact, and better conditioned
    kernels = [states @ states.T for states in centred]
    own = unbiased_hsic(kernels[0], kernels[0]) * unbiased_hsic(kernels[1], kernels[1])
    return unbiased_hsic(*kernels) / own**0.5 if own > 0 else 0.0


def unbiased_hsic(first: Tensor, second: Tensor) -> float:
    """Song et al.'s U-statistic of two kernels, each [items, items]."""
    items = len(first)
    first, second = (kernel - torch.diag(kernel.diagonal()) for kernel in (first, second))
    total = first.sum() * second.sum() / ((items - 1) * (items - 2))
    rows = 2 * (first.sum(0) @ second.sum(0)) / (items - 2)
    return float(((first * second).sum() + total - rows) / (items * (items - 3)))


def language_separation(states: Tensor) -> float:
    """LRDS of states [languages, items, hidden]: 0 when languages mix, up to 2 when they are worlds apart."""
    languages, items, _ = states.shape
    if languages < 2:
        return 0.0
    unit = normalize(states.double(), dim=-1)
    cosines = torch.einsum("aih,bjh->abij", unit, unit)
    cosines = cosines * (1 - torch.eye(items, dtype=cosines.dtype, device=cosines.device))
    same = cosines.diagonal(dim1=0, dim2=1).sum() / (languages * items * (items - 1))
    pairs = languages * (languages - 1) * items * (items - 1)
    other = (cosines.sum() - cosines.diagonal(dim1=0, dim2=1).sum()) / pairs
    return float(same - other)


def agnostic_region(
    cka: Sequence[float], lrds: Sequence[float], alpha: float = ALPHA, margin: float = LRDS_MARGIN
) -> tuple[int, ...]:
    """Λ, an unbroken stretch; if no block qualifies, the one block with the largest CKA minus LRDS."""
    aligned, mixed = sum(cka) / len(cka), max(alpha * min(lrds), margin)
    qualified = {block for block in range(len(cka)) if cka[block] >= aligned and lrds[block] <= mixed}
    if not qualified:
        return (max(range(len(cka)), key=lambda block: cka[block] - lrds[block]),)
    first = last = max(sorted(qualified), key=lambda block: cka[block])
    while first - 1 in qualified:
        first -= 1
    while last + 1 in qualified:
        last += 1
    return tuple(range(first, last + 1))
