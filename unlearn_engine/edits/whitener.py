"""The operator that every closed-form edit of a block shares: what it may read of a key, and the joint solve.

With C the second moment of the keys that stay, K_r a bank of neighbours' keys, and P the projector off the directions
that C uses most (AlphaEdit, arXiv 2410.02355; ROCR, arXiv 2506.07795), edits are the regularised least squares

    min_Δ  ‖Δ P K - R‖² + tr(Δ M Δᵀ),   M = λ I + μ C + ν K_r K_rᵀ,   read through P,

whose solution is the adapter A = (M⁻¹ P K)ᵀ, B = R (I + A P K)⁻¹. A request's rows of A depend on nothing but its own
keys; only the n by n system for B knows about the others. So a request is added or withdrawn exactly, in any order.

Deviations from ROCR, whose update is the case μ = ν = 0: λ and the eigenvalue threshold are shares of the mean diagonal
of C, since the published 1 and 2e-2 mean something only at the key scale of its models, and keys that stay are
protected softly (μ) as well, which needs no threshold.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from unlearn_engine.lowrank import Factors


@dataclass(frozen=True)
class Protection:
    """How strongly keys that stay resist an edit, against a unit of squared error in what is asked.

    A small ridge lets nearly equal keys with different moves (questions about one name) pull the edit apart: measured
    on the demo model, it then moves nothing as asked once the keys are those of a bf16 forward.
    """

    ridge: float = 1.0  # λ, times the mean diagonal of C
    kept: float = 1.0  # μ
    neighbours: float = 10.0  # ν
    threshold: float | None = (
        None  # directions of C above so many times its mean diagonal are never read; None: all are
    )


@dataclass(frozen=True)
class Whitener:
    """k -> M⁻¹ P k for one module, in fp64; made once from the base model and the keys that stay."""

    protected: Tensor  # [in_features, p], orthonormal: what P removes
    root: Tensor  # [in_features, in_features], Cholesky factor of M

    @classmethod
    def of(cls, kept: Tensor, protection: Protection, neighbours: Tensor | None = None) -> "Whitener":
        """From keys that stay [n, in_features], and optionally names that are to stay most of all [m, in_features]."""
        kept = kept.double()
        moment = kept.T @ kept / len(kept)
        scale = moment.diagonal().mean()
        identity = torch.eye(len(moment), dtype=moment.dtype, device=moment.device)
        protected = moment[:, :0]
        if protection.threshold is not None:
            energies, directions = torch.linalg.eigh(moment)
            protected = directions[:, energies > protection.threshold * scale]
        metric = protection.ridge * scale * identity + protection.kept * moment
        if neighbours is not None:
            bank = _off(neighbours.double(), protected)
            metric = metric + protection.neighbours * bank.T @ bank
        return cls(protected, torch.linalg.cholesky(metric))

    def project(self, keys: Tensor) -> Tensor:
        """P k for keys [n, in_features]."""
        return _off(keys.double(), self.protected)

    def __call__(self, keys: Tensor) -> Tensor:
        """M⁻¹ P k for keys [n, in_features]."""
        whitened: Tensor = torch.cholesky_solve(self.project(keys).T, self.root)
        return whitened.T


class Redirection(NamedTuple):
    """What one request asks of the block: outputs of its keys are to move. Its keys tell of the subject."""

    id: str
    keys: Tensor  # P k, [n, in_features]
    rows: Tensor  # M⁻¹ P k, [n, in_features]
    moves: Tensor  # r, [n, out_features]


@dataclass(frozen=True, repr=False)
class Redirections:
    """The requests that share one block, in the order of their ids."""

    whitener: Whitener
    requests: tuple[Redirection, ...] = ()

    def adding(self, id_: str, keys: Tensor, moves: Tensor) -> "Redirections":
        """With one more request, keys [n, in_features] and moves [n, out_features]; the same id is replaced."""
        others = self.withdrawing(id_).requests
        request = Redirection(id_, self.whitener.project(keys), self.whitener(keys), moves.double())
        return replace(self, requests=tuple(sorted((*others, request), key=lambda other: other.id)))

    def withdrawing(self, id_: str) -> "Redirections":
        """Without that request, as if it had never been asked."""
        return replace(self, requests=tuple(request for request in self.requests if request.id != id_))

    def solve(self) -> Factors:
        """The joint edit in fp64, one row of rank for each key; raises ValueError when there is no request."""
        keys, rows, moves = self._stacked()
        return Factors(rows, torch.linalg.solve(self._system(keys, rows), moves).T.contiguous())

    def change(self, module: str) -> dict[str, Factors]:
        """The joint edit as a change of that module, in fp32."""
        down, up = self.solve()
        return {module: Factors(down.float(), up.float())}

    def collateral(self, keys: Tensor) -> Tensor:
        """Which share of every requested move other keys [m, in_features] would suffer, [m, n]; no forward is run.

        The displacement of key j is the sum of the moves weighted with row j; above a norm of 0.1 or so for a name that
        stays, the edit is better not made.
        """
        known, rows, _ = self._stacked()
        shares: Tensor = torch.linalg.solve(self._system(known, rows).T, rows @ keys.double().T)
        return shares.T

    def _stacked(self) -> tuple[Tensor, Tensor, Tensor]:
        if not self.requests:
            raise ValueError("nobody is to be redirected")
        return (
            torch.cat([request.keys for request in self.requests]),
            torch.cat([request.rows for request in self.requests]),
            torch.cat([request.moves for request in self.requests]),
        )

    @staticmethod
    def _system(keys: Tensor, rows: Tensor) -> Tensor:
        """(I + A P K)ᵀ; symmetric up to rounding, as A P K = (P K)ᵀ M⁻¹ P K."""
        return torch.eye(len(keys), dtype=keys.dtype, device=keys.device) + keys @ rows.T


def _off(keys: Tensor, directions: Tensor) -> Tensor:
    return keys - keys @ directions @ directions.T
