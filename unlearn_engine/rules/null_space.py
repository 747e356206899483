"""Null-space constraint: the change does not see what the retained texts put into a module.

With C the second moment of the inputs that retained texts give a module and U its eigenvectors above a threshold, the
factor `down` (LoRA's A) is projected after every step, A <- A (I - U Uᵀ): then (B A) x = 0 for every x in the span of
U, whatever B is. This is the low-rank form of AlphaEdit's projection (arXiv 2410.02355) and of KUDA's (arXiv
2602.19275), which lets a random share of the directions through so that forgetting stays feasible. The share is drawn
once per run: drawn afresh at every step, as for gradients, the next projection would undo what the last let through.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from unlearn_engine.lowrank import Factors
from unlearn_engine.model import ServedModel, batches


@dataclass(frozen=True)
class NullSpace:
    """By module the protected directions, orthonormal columns [in_features, directions]."""

    protected: Mapping[str, Tensor]

    @torch.no_grad()
    def __call__(self, change: Mapping[str, Factors]) -> None:
        """Take the protected directions out of `down` of every module that has some."""
        for name, factors in change.items():
            if name in self.protected:
                directions = self.protected[name].to(factors.down)
                factors.down.sub_(factors.down @ directions @ directions.T)


def null_space(
    model: ServedModel,
    retained: Sequence[Sequence[int]],
    *,
    threshold: float = 2e-2,
    relative: bool = True,
    relaxation: float = 0.0,
    seed: int = 0,
) -> NullSpace:
    """The constraint for every wrapped module, from rows of token ids that stay, as the model stands."""
    generator = torch.Generator().manual_seed(seed)
    return NullSpace(
        {
            name: relaxed(protected_directions(moment, threshold, relative=relative), relaxation, generator)
            for name, moment in input_moments(model, retained).items()
        }
    )


def protected_directions(moment: Tensor, threshold: float, *, relative: bool = True) -> Tensor:
    """Eigenvectors of `moment` [in_features, in_features] whose eigenvalue exceeds the threshold, as columns.

    A relative threshold is a share of the largest eigenvalue; an absolute one (2e-2 in AlphaEdit) is in the squared
    unit of the inputs.
    """
    values, vectors = torch.linalg.eigh(moment.double())
    directions: Tensor = vectors[:, values > (threshold * values[-1] if relative else threshold)]
    return directions


def relaxed(directions: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """The directions without a random share of them: 0 keeps all protected, 1 protects none."""
    count = directions.shape[1]
    kept = torch.randperm(count, generator=generator)[round(share * count) :]
    return directions[:, kept.sort().values]


@torch.no_grad()
def input_moments(model: ServedModel, rows: Sequence[Sequence[int]]) -> dict[str, Tensor]:
    """Mean of x xᵀ over all tokens that each wrapped module is fed, [in_features, in_features] in fp64."""
    sums: dict[str, Tensor] = {}
    for batch in batches([len(row) for row in rows]):
        part = [rows[index] for index in batch]
        inside = torch.arange(max(map(len, part))) < torch.tensor([[len(row)] for row in part])
        with ExitStack() as hooks:
            for name, module in model.wrapped.items():
                hooks.callback(_summing(sums, name, module, inside).remove)
            model.hidden(part)
    return {name: total / sum(map(len, rows)) for name, total in sums.items()}


def _summing(
    sums: dict[str, Tensor], name: str, module: nn.Linear, inside: Tensor
) -> torch.utils.hooks.RemovableHandle:
    def add(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        fed = inputs[0][inside.to(inputs[0].device)].double()
        sums[name] = sums.get(name, torch.zeros((), dtype=fed.dtype, device=fed.device)) + fed.T @ fed

    return module.register_forward_pre_hook(add)
