"""OFMU: retain, subject to the forgetting problem being (nearly) solved, as a penalty (arXiv 2509.22483).

The paper maximises Φ = CE_f - β cos(∇CE_f, ∇L_r) inside and minimises L_r + ρ |∇Φ|² outside. For a forget loss L_f that
is minimised (CE_f = -L_f) the inner problem reads Ψ = L_f - β cos(∇L_f, ∇L_r), and one step is::

    T times   θ <- θ - η ∇Ψ(θ)
    then      gradient = ∇L_r + 2 ρ H ∇Ψ,     ρ <- growth ρ

∇cos = H_f u + H_r v with u, v the derivatives of the cosine by both gradients; these two products are central
differences of gradients. H ∇Ψ is exact (double backward) in L_f; the cosine's own second derivatives are left out
(our deviation: the paper gives no way to compute them). β, ρ, T and η are not published: the
defaults are ours, from the demo model.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from unlearn_engine.rules import Loss
from unlearn_engine.rules.gradients import Gradient, assign, combined, differentiated, dot, gradient, move


@dataclass
class PenaltyBilevel:
    """Holds the growing penalty of one run. Moves the parameters itself in the inner steps."""

    similarity: float = 0.1  # β
    penalty: float = 0.01  # ρ
    growth: float = 1.05  # of ρ by step
    inner_steps: int = 3  # T
    inner_rate: float = 3.0  # η, of plain gradient steps on the factors
    difference: float = 1e-2  # length of the finite differences; what bf16 can still tell apart

    def __call__(self, parameters: Sequence[Tensor], forget: Loss, retain: Loss) -> tuple[float, float]:
        """Take the inner steps, then set the outer gradient; the losses returned are those after the inner steps."""
        for _ in range(self.inner_steps):
            _, g_f = gradient(forget, parameters)
            _, g_r = gradient(retain, parameters)
            move(parameters, -self.inner_rate, self._inner(parameters, forget, retain, g_f, g_r))
        forgetting, g_f = gradient(forget, parameters)
        retaining, g_r = gradient(retain, parameters)
        outer = g_r
        if self.penalty:
            inner = self._inner(parameters, forget, retain, g_f, g_r)
            outer = combined((1.0, g_r), (2 * self.penalty, hessian_product(forget, parameters, inner)))
        self.penalty *= self.growth
        assign(parameters, outer)
        return forgetting, retaining

    def _inner(
        self, parameters: Sequence[Tensor], forget: Loss, retain: Loss, g_f: Gradient, g_r: Gradient
    ) -> Gradient:
        """∇Ψ at the parameters as they stand."""
        if not self.similarity:
            return g_f
        slope = cosine_slope(parameters, forget, retain, g_f, g_r, self.difference)
        return combined((1.0, g_f), (-self.similarity, slope))


def cosine_slope(
    parameters: Sequence[Tensor], forget: Loss, retain: Loss, g_f: Gradient, g_r: Gradient, difference: float
) -> Gradient:
    """The gradient of cos(∇L_f, ∇L_r) by the parameters; zero where one of the gradients vanishes."""
    size_f, size_r = dot(g_f, g_f) ** 0.5, dot(g_r, g_r) ** 0.5
    if not size_f or not size_r:
        return [torch.zeros_like(parameter) for parameter in parameters]
    cosine = dot(g_f, g_r) / (size_f * size_r)
    by_f = combined((1 / (size_f * size_r), g_r), (-cosine / size_f**2, g_f))
    by_r = combined((1 / (size_f * size_r), g_f), (-cosine / size_r**2, g_r))
    return combined(
        (1.0, differenced_product(forget, parameters, by_f, difference)),
        (1.0, differenced_product(retain, parameters, by_r, difference)),
    )


def differenced_product(loss: Loss, parameters: Sequence[Tensor], direction: Gradient, difference: float) -> Gradient:
    """Hessian times direction by central differences of the gradient; the parameters are put back bitwise."""
    size = dot(direction, direction) ** 0.5
    if not size:
        return [torch.zeros_like(parameter) for parameter in parameters]
    here = [parameter.detach().clone() for parameter in parameters]
    sides = []
    for step in (difference, -difference):
        move(parameters, step / size, direction)
        sides.append(gradient(loss, parameters)[1])
        for parameter, before in zip(parameters, here, strict=True):
            parameter.data.copy_(before)
    return combined((size / (2 * difference), sides[0]), (-size / (2 * difference), sides[1]))


def hessian_product(loss: Loss, parameters: Sequence[Tensor], direction: Gradient) -> Gradient:
    """Hessian times direction, exactly, by differentiating <gradient, direction>."""
    first = torch.autograd.grad(loss(), parameters, create_graph=True, allow_unused=True)
    along = sum(
        ((part * onto).sum() for part, onto in zip(first, direction, strict=True) if part is not None), torch.zeros(())
    )
    return differentiated(along, parameters)
