"""Shares with 95 % bounds: Clopper and Pearson's, exact, one-sided."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import exp, lgamma, log, log1p
from typing import Any

CONFIDENCE = 0.95
NEGLIGIBLE = 2_000  # terms so far below the hits add nothing


@dataclass(frozen=True)
class Share:
    """So many hits among so many trials."""

    hits: int
    n: int

    @classmethod
    def of(cls, outcomes: Iterable[bool]) -> "Share":
        """Count outcomes."""
        listed = list(outcomes)
        return cls(sum(listed), len(listed))

    @property
    def share(self) -> float:
        """Hits per trial. Raises ZeroDivisionError without trials: a share that nobody measured is none."""
        return self.hits / self.n

    @property
    def upper(self) -> float:
        """The true share is below this with 95 % confidence."""
        return upper_bound(self.hits, self.n)

    @property
    def lower(self) -> float:
        """The true share is above this with 95 % confidence."""
        return 1 - upper_bound(self.n - self.hits, self.n)

    def row(self) -> dict[str, float]:
        """As it is written to a file."""
        return {"hits": self.hits, "n": self.n, "share": self.share, "lower": self.lower, "upper": self.upper}


def upper_bound(hits: int, n: int, confidence: float = CONFIDENCE) -> float:
    """The share at which so few hits among `n` have probability 1 - `confidence`, to 1e-9."""
    if hits >= n:
        return 1.0
    low, high = hits / n, 1.0
    while high - low > 1e-9:
        middle = (low + high) / 2
        if _at_most(hits, n, middle) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high


def rows(shares: Mapping[str, Iterable[bool]]) -> dict[str, Any]:
    """Outcomes by label as shares with bounds; labels without outcomes are left out."""
    counted = {label: Share.of(outcomes) for label, outcomes in shares.items()}
    return {label: share.row() for label, share in counted.items() if share.n}


def _at_most(hits: int, n: int, share: float) -> float:
    """Probability of at most so many hits."""
    if share >= 1:
        return float(hits >= n)
    found, missed, whole = log(share), log1p(-share), lgamma(n + 1)
    logs = (
        whole - lgamma(k + 1) - lgamma(n - k + 1) + k * found + (n - k) * missed
        for k in range(hits, max(-1, hits - NEGLIGIBLE), -1)
    )
    return sum(map(exp, logs))
