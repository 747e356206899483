"""Copies of a model that may be changed at will: what an attacker does to weights that were handed out."""

from copy import deepcopy

import torch
from torch import nn

from unlearn_engine.lowrank import LowRank
from unlearn_engine.model import ServedModel
from unlearn_engine.placement import dense_weight


def copied(model: ServedModel) -> ServedModel:
    """The same model with weights of its own; the tokenizer is shared."""
    return deepcopy(model, {id(model.tokenizer): model.tokenizer})


@torch.no_grad()
def merged(model: ServedModel, change: LowRank | None) -> ServedModel:
    """A copy whose weights contain the change (computed in fp32)."""
    copy = copied(model)
    for name, factors in (change or {}).items():
        weight = dense_weight(copy.wrapped[name])
        weight += factors.up @ factors.down
    return copy


def block_linears(model: ServedModel) -> dict[str, nn.Linear]:
    """Every linear layer of every block, by full name; embeddings and the unembedding are not among them."""
    return {
        name.removesuffix(".frozen"): module
        for name, module in model.network.named_modules()
        if isinstance(module, nn.Linear) and ".layers." in name
    }
