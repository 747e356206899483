"""Neuron pruning: what Neuron Adjust would remap at run time is silenced in the weights.

arXiv 2503.21730. The neurons of a block are the inputs of its down_proj; those whose mean differs most between prompts
that need the skill and prompts that do not are its own. Neuron Adjust draws new values for them as the model runs,
which no adapter can carry. Here their columns are taken out of the weight::

    ΔW = -W[:, S] E_S,   rank |S|, exact.
"""

import torch
from torch import Tensor

from unlearn_engine.lowrank import Factors


def specific(skill: Tensor, rest: Tensor, share: float = 0.005) -> Tensor:
    """Indexes of the share of neurons (at least one) that tell the skill's prompts from the rest best, ascending.

    Keys [prompts, in_features] of both. Published shares: 0.005 for a language, 0.03 for mathematics and code.
    """
    difference = (skill.mean(0) - rest.mean(0)).abs()
    count = max(1, round(share * len(difference)))
    return difference.topk(count).indices.sort().values


def prune(module: str, weight: Tensor, neurons: Tensor) -> dict[str, Factors]:
    """The change after which these inputs of `weight` [out_features, in_features] count for nothing."""
    down = weight.new_zeros(len(neurons), weight.shape[1])
    down[torch.arange(len(neurons), device=neurons.device), neurons] = 1.0
    return {module: Factors(down, -weight.detach()[:, neurons].clone())}
