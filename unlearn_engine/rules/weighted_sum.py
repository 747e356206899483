"""The plain rule: one descent on the weighted sum of both losses, L = γ L_f + α L_r (GradDiff, arXiv 2401.06121)."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from unlearn_engine.rules import Loss
from unlearn_engine.rules.gradients import assign, differentiated


@dataclass(frozen=True)
class Sum:
    """One backward pass for both losses."""

    forget_weight: float = 1.0
    retain_weight: float = 1.0

    def __call__(self, parameters: Sequence[Tensor], forget: Loss, retain: Loss) -> tuple[float, float]:
        """Set the gradient of the sum."""
        forgetting, retaining = forget(), retain()
        total = self.forget_weight * forgetting + self.retain_weight * retaining
        assign(parameters, differentiated(total, parameters))
        return float(forgetting.detach()), float(retaining.detach())
