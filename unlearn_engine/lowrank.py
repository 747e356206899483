"""Low-rank weight changes: what an adapter is made of, and the linear layer that can wear one."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from unlearn_engine.placement import dense_weight


class Factors(NamedTuple):
    """One module's change: its weight becomes W + up @ down."""

    down: Tensor  # [rank, in_features], LoRA's A
    up: Tensor  # [out_features, rank], LoRA's B with the scale folded in


LowRank = Mapping[str, Factors]  # full module name -> change


def rank(change: LowRank) -> int:
    """The highest rank among the modules; 0 for no change."""
    return max((factors.down.shape[0] for factors in change.values()), default=0)


def concatenate(*changes: LowRank) -> dict[str, Factors]:
    """The change whose weight difference is the sum of the given ones; ranks add up module by module."""
    joined: dict[str, Factors] = {}
    for change in changes:
        for name, factors in change.items():
            known = joined.get(name)
            joined[name] = (
                Factors(torch.cat([known.down, factors.down]), torch.cat([known.up, factors.up], dim=1))
                if known
                else factors
            )
    return joined


def initial(modules: Mapping[str, nn.Linear], rank: int, generator: torch.Generator) -> dict[str, Factors]:
    """A change of zero that training can start from: `down` uniform as in LoRA (arXiv 2106.09685), `up` zero.

    Each module's on its own device; the same numbers on any.
    """
    return {
        name: Factors(
            _uniform(rank, module.in_features, generator).to(module.weight.device),
            torch.zeros(module.out_features, rank, device=module.weight.device),
        )
        for name, module in modules.items()
    }


def widened(change: LowRank, rank: int, generator: torch.Generator) -> dict[str, Factors]:
    """The same change with room to learn: modules of a lower rank get rows in `down` as at the start of training."""
    wider: dict[str, Factors] = {}
    for name, (down, up) in change.items():
        missing = max(0, rank - down.shape[0])
        rows = _uniform(missing, down.shape[1], generator).to(down)
        wider[name] = Factors(torch.cat([down, rows]), torch.cat([up, up.new_zeros(len(up), missing)], dim=1))
    return wider


def _uniform(rank: int, inputs: int, generator: torch.Generator) -> Tensor:
    rows: Tensor = (torch.rand(rank, inputs, generator=generator) * 2 - 1) * inputs**-0.5
    return rows


def scaled(change: LowRank, factor: float) -> dict[str, Factors]:
    """The change times a number, at the same rank."""
    return {name: Factors(down, factor * up) for name, (down, up) in change.items()}


@torch.no_grad()
def recompress(change: LowRank, rank: int | None = None) -> tuple[dict[str, Factors], dict[str, float]]:
    """The nearest change of at most that rank in each module (None: lossless), and what was lost by module.

    The loss is the share of discarded energy, sum of σ_i² beyond the rank over sum of all σ_i². Rows of `down` come out
    orthonormal, strongest first; directions of no weight are dropped whatever the rank, at least one row stays. W
    itself is never formed: with B = Q_b R_b and Aᵀ = Q_a R_a, the singular values are those of R_b R_aᵀ.
    """
    smaller, lost = {}, {}
    for name, factors in change.items():
        left, sizes, right = _singular(factors)
        floor = float(sizes[0]) * max(factors.down.shape[1], factors.up.shape[0]) * torch.finfo(sizes.dtype).eps
        kept = max(1, min(int((sizes > floor).sum()), len(sizes) if rank is None else rank))
        smaller[name] = Factors(right[:kept], left[:, :kept] * sizes[:kept])
        energy = sizes.double().square()
        lost[name] = float(energy[kept:].sum() / energy.sum()) if energy.sum() > 0 else 0.0
    return smaller, lost


@torch.no_grad()
def relative_norms(change: LowRank, modules: Mapping[str, nn.Linear]) -> dict[str, float]:
    """‖ΔW‖_F / ‖W‖_F by module: edits that pile up damage the model as this grows."""
    return {
        name: float(_singular(factors)[1].norm() / dense_weight(modules[name]).to(factors.down.dtype).norm())
        for name, factors in change.items()
    }


@torch.no_grad()
def overlaps(new: LowRank, old: LowRank) -> dict[str, float]:
    """How much of what the new change reads the old one reads too, by module that both change; from 0 to 1.

    ‖Q_newᵀ Q_old‖²_F / rank(new), with Q the orthonormal bases of the inputs to which the changes respond: the mean
    squared cosine between the two subspaces.
    """
    shared = {name: (new[name], old[name]) for name in new if name in old}
    bases = {
        name: [next(iter(recompress({name: factors})[0].values())).down for factors in pair]
        for name, pair in shared.items()
    }
    return {name: float((one @ other.T).square().sum() / len(one)) for name, (one, other) in bases.items()}


def _singular(factors: Factors) -> tuple[Tensor, Tensor, Tensor]:
    """U [out_features, k], σ [k] and Vᵀ [k, in_features] of up @ down, k at most the rank."""
    left, left_core = torch.linalg.qr(factors.up)
    right, right_core = torch.linalg.qr(factors.down.T)
    inner_left, sizes, inner_right = torch.linalg.svd(left_core @ right_core.T, full_matrices=False)
    return left @ inner_left, sizes, inner_right @ right.T


class LowRankLinear(nn.Module):
    """A frozen linear layer plus whatever change it wears at the moment."""

    def __init__(self, frozen: nn.Linear) -> None:
        super().__init__()
        self.frozen = frozen
        self.worn: Factors | None = None

    def wear(self, factors: Factors | None) -> None:
        """Put on a change, on this layer's own device; gradients still reach the factors that were given."""
        self.worn = factors and Factors(*(factor.to(self.frozen.weight.device) for factor in factors))

    def forward(self, inputs: Tensor) -> Tensor:
        """Map [..., in_features] to [..., out_features]."""
        outputs: Tensor = self.frozen(inputs)
        return outputs if self.worn is None else outputs + linear(linear(inputs, self.worn.down), self.worn.up)
