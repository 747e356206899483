"""Round weights to few bits: does what was erased come back in the quantised model? (arXiv 2410.16454)

Symmetric round-to-nearest in groups of GROUP inputs of each output, as in the common weight-only formats: with s the
largest magnitude of a group over 2^(bits-1) - 1, every weight w becomes s round(w / s). Fake quantisation: the rounded
values are stored in the tensor's own type, so that any code can compute with them.
"""

import torch
from torch import Tensor
from torch.nn.functional import pad

from unlearn_engine.evaluate.copies import block_linears, copied, merged
from unlearn_engine.lowrank import Factors, LowRank
from unlearn_engine.model import ServedModel
from unlearn_engine.placement import dense_weight

GROUP = 64


def rounded(weight: Tensor, bits: int, group: int = GROUP) -> Tensor:
    """`weight` [out_features, in_features] on the grid of `bits`; the last group of a row may be shorter."""
    rows, columns = weight.shape
    groups = pad(weight, (0, -columns % group)).view(rows, -1, group)
    scale = groups.abs().amax(-1, keepdim=True) / (2 ** (bits - 1) - 1)
    scale = torch.where(scale == 0, torch.ones_like(scale), scale)
    return ((groups / scale).round() * scale).view(rows, -1)[:, :columns].contiguous()


@torch.no_grad()
def quantised(model: ServedModel, bits: int, change: LowRank | None = None) -> ServedModel:
    """A copy with every linear layer of the blocks rounded, after merging `change` into it if there is one.

    Without, a change may be worn on top of the rounded base, as a server of adapters does.
    """
    copy = merged(model, change) if change else copied(model)
    for linear in block_linears(copy).values():
        weight = dense_weight(linear)
        weight.copy_(rounded(weight, bits))
    return copy


def quantised_change(change: LowRank, bits: int) -> dict[str, Factors]:
    """The change with both factors rounded: an adapter that is itself stored in few bits."""
    return {name: Factors(rounded(down, bits), rounded(up, bits)) for name, (down, up) in change.items()}
