"""Rank-one redirection: send the subjects' keys in one MLP to where never-seen names end up, in closed form.

After ROME (arXiv 2202.05262), MEMIT (arXiv 2210.07229) and ROCR (arXiv 2506.07795). Deviations, all measured on the
demo model: the key is read at the last prompt token (at the name's last token the edit does nothing there), the target
is the residual state that never-seen names have, and it is overshot by a factor. All subjects in one block are solved
jointly, so adding or withdrawing one gives exactly the solution for the others alone.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from unlearn_engine.lowrank import Factors
from unlearn_engine.model import BATCH, ServedModel

RIDGE = 0.01  # times the mean diagonal of the second moment
MULTIPLIER = 2.25  # of the move towards the never-seen names' state
LAST_TOKEN_WEIGHT = 100.0  # of kept keys at the position where the edit acts, against 1 at every other

Rows = Sequence[Sequence[int]]  # token ids


def second_moment(keys: Tensor, ridge: float = RIDGE) -> Tensor:
    """C = mean of k kᵀ over `keys` [n, in_features] plus the ridge; [in_features, in_features] in fp64."""
    keys = keys.double()
    moment = keys.T @ keys / len(keys)
    return moment + ridge * moment.diagonal().mean() * torch.eye(len(moment), dtype=moment.dtype, device=moment.device)


def solve(keys: Tensor, moves: Tensor, moment: Tensor) -> Factors:
    """The smallest change (in the metric of `moment`) with which every key's output moves as asked.

    With K [n, in_features] the keys, R [n, out_features] the moves and C the moment::

        ΔW = Rᵀ (K C⁻¹ Kᵀ)⁻¹ K C⁻¹,   so that ΔW k_i = r_i exactly, at rank n.

    Raises torch.linalg.LinAlgError when the keys are linearly dependent.
    """
    keys, moves = keys.double(), moves.double()
    whitened = torch.linalg.solve(moment, keys.T)  # C⁻¹ Kᵀ, [in_features, n]
    down = torch.linalg.solve(keys @ whitened, whitened.T)
    return Factors(down.float(), moves.T.float().contiguous())


def redirect(
    model: ServedModel, module: str, block: int, subjects: Sequence[Rows], unseen: Rows, kept: Rows
) -> dict[str, Factors]:
    """One joint edit of `module` (the down_proj of `block`) for all subjects, as the model stands.

    `subjects` are, per name, questions about it; `unseen` questions about never-seen names; `kept` questions about
    people who stay and other prompts, whose keys are to be disturbed least.
    """
    every, last = [], []
    for start in range(0, len(kept), BATCH):
        rows = kept[start : start + BATCH]
        fed, _ = model.inputs_of(module, rows)
        every += [keys[: len(row)] for keys, row in zip(fed, rows, strict=True)]
        last += [keys[len(row) - 1] for keys, row in zip(fed, rows, strict=True)]
    _, target = _mean_at_last_token(model, module, block, unseen)
    keys, states = zip(*(_mean_at_last_token(model, module, block, rows) for rows in subjects), strict=True)
    moves = MULTIPLIER * (target - torch.stack(states))
    moment = second_moment(torch.cat([*every, LAST_TOKEN_WEIGHT**0.5 * torch.stack(last)]))
    return {module: solve(torch.stack(keys), moves, moment)}


def _mean_at_last_token(model: ServedModel, module: str, block: int, rows: Rows) -> tuple[Tensor, Tensor]:
    """Mean key [in_features] and mean residual state after the block [hidden] at the last token of each row."""
    fed, states = model.inputs_of(module, rows)
    at = torch.arange(len(rows)), torch.tensor([len(row) - 1 for row in rows])
    return fed[at].mean(0), states[block + 1][at].float().mean(0)
