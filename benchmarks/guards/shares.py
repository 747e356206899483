"""Shares with 95 % bounds: Clopper and Pearson's, exact, one-sided."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from unlearn_engine.evaluate.metrics import upper_bound


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


def rows(shares: Mapping[str, Iterable[bool]]) -> dict[str, Any]:
    """Outcomes by label as shares with bounds; labels without outcomes are left out."""
    counted = {label: Share.of(outcomes) for label, outcomes in shares.items()}
    return {label: share.row() for label, share in counted.items() if share.n}
