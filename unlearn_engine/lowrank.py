"""Low-rank weight changes: what an adapter is made of, and the linear layer that can wear one."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import linear


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
    """A change of zero that training can start from: `down` uniform as in LoRA (arXiv 2106.09685), `up` zero."""
    return {
        name: Factors(
            (torch.rand(rank, module.in_features, generator=generator) * 2 - 1) * module.in_features**-0.5,
            torch.zeros(module.out_features, rank),
        )
        for name, module in modules.items()
    }


class LowRankLinear(nn.Module):
    """A frozen linear layer plus whatever change it wears at the moment."""

    def __init__(self, frozen: nn.Linear) -> None:
        super().__init__()
        self.frozen = frozen
        self.worn: Factors | None = None

    def forward(self, inputs: Tensor) -> Tensor:
        """Map [..., in_features] to [..., out_features]."""
        outputs: Tensor = self.frozen(inputs)
        return outputs if self.worn is None else outputs + linear(linear(inputs, self.worn.down), self.worn.up)
