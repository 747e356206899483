"""BLUR: forgetting comes first, retaining gets what does not oppose it (arXiv 2506.08164).

With g_f and g_r the gradients of both losses, over all parameters together::

    ForgetFirst   g = g_f + α (g_r - (<g_f, g_r> / |g_f|²) g_f)     used for WMDP, with RMU's losses and α = 800
    RetainWithin  g = g_r + (γ - <g_r, g_f> / |g_f|²) g_f           used for MUSE and TOFU, with γ = 1

Both take from g_r its part along g_f and put back a fixed amount of g_f: <g, g_f> is |g_f|² in the first and γ |g_f|²
in the second, whatever retaining asks for. They differ in what is scaled. Once nothing is left to forget g_f vanishes,
and with it the direction to project on: then both follow g_r alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from unlearn_engine.rules import Loss
from unlearn_engine.rules.gradients import Gradient, assign, combined, dot, gradient

VANISHED = 1e-20  # |g_f|²


@dataclass(frozen=True)
class ForgetFirst:
    """The forget gradient whole, and α times what of the retain gradient is orthogonal to it."""

    alpha: float = 1.0

    def __call__(self, parameters: Sequence[Tensor], forget: Loss, retain: Loss) -> tuple[float, float]:
        """Set the combined gradient; two backward passes."""
        (forgetting, g_f), (retaining, g_r) = gradient(forget, parameters), gradient(retain, parameters)
        share = overlap(g_r, g_f)
        assign(parameters, combined((1.0 - self.alpha * share, g_f), (self.alpha, g_r)))
        return forgetting, retaining


@dataclass(frozen=True)
class RetainWithin:
    """The retain gradient, moved along the forget gradient until it forgets at the rate γ."""

    gamma: float = 1.0

    def __call__(self, parameters: Sequence[Tensor], forget: Loss, retain: Loss) -> tuple[float, float]:
        """Set the combined gradient; two backward passes."""
        (forgetting, g_f), (retaining, g_r) = gradient(forget, parameters), gradient(retain, parameters)
        share = overlap(g_r, g_f)
        assign(parameters, combined((self.gamma - share, g_f), (1.0, g_r)))
        return forgetting, retaining


def overlap(g_r: Gradient, g_f: Gradient) -> float:
    """The coefficient of g_f in g_r's projection on it; 0 when g_f has vanished."""
    size = dot(g_f, g_f)
    return dot(g_r, g_f) / size if size > VANISHED else 0.0
