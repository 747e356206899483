"""What stays: losses on rows that the student should read as the base does.

The combination of hidden states and answers is `counterfactual_name.FrozenSelf`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from unlearn_engine.model import Row
from unlearn_engine.objectives.kernels import cross_entropy, divergence, squared_distance, top_logits, whole_rows
from unlearn_engine.objectives.reading import View


@dataclass(frozen=True)
class CrossEntropy:
    """GDR: the answers are still said. L = CE(answers); GradDiff (arXiv 2401.06121) is GA with it."""

    depth: None = None

    def __call__(self, student: View, base: View, rows: Sequence[Row]) -> Tensor:
        """The mean cross-entropy, in nats."""
        return cross_entropy(student(rows))


@dataclass(frozen=True)
class Divergence:
    """KLR: the distributions are still the base's. L = KL(base || student) along the answers (arXiv 2401.06121)."""

    depth: None = None

    def __call__(self, student: View, base: View, rows: Sequence[Row]) -> Tensor:
        """The mean divergence, in nats; 0 with zero gradient as long as the student is the base."""
        reading = student(rows)
        return reading.means(divergence(reading, base(rows))).mean()


@dataclass(frozen=True)
class HiddenStates:
    """RMU's retention (arXiv 2403.03218): L = |h - h_base|^2 after `depth` blocks, at every token of the rows."""

    depth: int

    def __call__(self, student: View, base: View, rows: Sequence[Row]) -> Tensor:
        """The squared distance, averaged over dimensions, tokens and rows."""
        at = whole_rows(rows)
        before = base(rows, self.depth).state(self.depth)
        return squared_distance(student(rows, self.depth).state(self.depth), before[at], at)


@dataclass(frozen=True)
class TopLogits:
    """DUET's retention (arXiv 2601.21283): the Huber distance of `duet` to the base's own reading of the same rows."""

    top: int = 64
    delta: float = 1.0
    depth: None = None

    def __call__(self, student: View, base: View, rows: Sequence[Row]) -> Tensor:
        """The Huber distance, averaged over positions and rows."""
        reading = student(rows)
        return reading.means(top_logits(reading.logits, base(rows).logits, self.top, self.delta)).mean()


@dataclass(frozen=True)
class Uniform:
    """For ULD's assistant (arXiv 2406.08607) only: say nothing about what stays. L = CE(uniform, student) >= ln V."""

    depth: None = None

    def __call__(self, student: View, base: View, rows: Sequence[Row]) -> Tensor:
        """The mean cross-entropy to the uniform distribution, in nats."""
        reading = student(rows)
        return -reading.means(reading.log_probs.mean(-1)).mean()
