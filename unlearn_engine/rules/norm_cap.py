"""A cap on the size of the change: no module's |B A|_F grows beyond its limit.

Ascent on low-rank factors explodes (arXiv 2509.24166 bounds them with a sine; bounding the PRODUCT element by element
would make it dense, so we rescale). Both factors shrink by the same amount, which keeps them balanced, and the
direction of the change stays what it was.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from unlearn_engine.lowrank import Factors
from unlearn_engine.placement import dense_weight


@dataclass(frozen=True)
class NormCap:
    """By module the largest Frobenius norm of its change."""

    limits: Mapping[str, float]

    @classmethod
    def share(cls, modules: Mapping[str, nn.Linear], share: float = 0.05) -> "NormCap":
        """Limits that are a share of the norm of each module's own weight."""
        return cls({name: share * float(dense_weight(module).detach().norm()) for name, module in modules.items()})

    @torch.no_grad()
    def __call__(self, change: Mapping[str, Factors]) -> None:
        """Rescale every change that is too large."""
        for name, factors in change.items():
            size = product_norm(factors)
            if name in self.limits and size > self.limits[name]:
                for factor in factors:
                    factor.mul_((self.limits[name] / size) ** 0.5)


@torch.no_grad()
def product_norm(factors: Factors) -> float:
    """|B A|_F from the two small Gram matrices: |B A|² = tr(Bᵀ B A Aᵀ)."""
    down, up = factors.down.double(), factors.up.double()
    return float((up.T @ up * (down @ down.T)).sum().clamp(min=0).sqrt())
