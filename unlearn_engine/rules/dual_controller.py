"""PDU: forget as hard as the retain loss allows, by one dual variable (arXiv 2506.05314).

    minimise w L_f   subject to   L_r <= ε,   ε = (1 + tolerance) L_r(before) + slack
    step on  w L_f + λ L_r,       λ <- max(0, λ + step (L_r - ε))

The paper's own forget loss is the spread of the logits; this is its controller alone, for any pair of losses. `slack`
(in the retain loss's unit) is for losses that measure the distance from the base: they start at 0, of which no
tolerance is a share.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor

from unlearn_engine.rules import Loss
from unlearn_engine.rules.gradients import assign, differentiated


@dataclass
class DualController:
    """Holds λ and ε of one run; ε is fixed by `bound`, or at the first step from the retain loss found there."""

    forget_weight: float = 1.0
    tolerance: float = 0.3
    slack: float = 0.0
    dual_step: float = 5.0
    bound: float | None = None
    dual: float = field(default=0.0, init=False)

    def __call__(self, parameters: Sequence[Tensor], forget: Loss, retain: Loss) -> tuple[float, float]:
        """Update λ with what the retain loss is now, then set the gradient of the Lagrangian."""
        forgetting, retaining = forget(), retain()
        found = float(retaining.detach())
        if self.bound is None:
            self.bound = (1 + self.tolerance) * found + self.slack
        self.dual = max(0.0, self.dual + self.dual_step * (found - self.bound))
        assign(parameters, differentiated(self.forget_weight * forgetting + self.dual * retaining, parameters))
        return float(forgetting.detach()), found
