"""How the two losses become one step: gradient rules that combine them, constraints that bound the change.

A rule is called once per step with two closures on the SAME batch; each call builds a fresh graph, so a rule asks as
often as it needs. What a rule learns on the way (a dual variable, a penalty that grows) lives in the rule, so a run
starts with a new one. A constraint is called after each optimiser step and projects the factors in place.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from torch import Tensor

from unlearn_engine.lowrank import Factors

Loss = Callable[[], Tensor]  # a scalar with a graph to the parameters


class GradientRule(Protocol):
    """Sets `.grad` of every parameter from what forgetting and retaining ask for."""

    def __call__(self, parameters: Sequence[Tensor], forget: Loss, retain: Loss) -> tuple[float, float]:
        """Return the values of the two losses where the gradients were taken."""


class Constraint(Protocol):
    """Brings the factors back, in place, to where they may be."""

    def __call__(self, change: Mapping[str, Factors]) -> None: ...
