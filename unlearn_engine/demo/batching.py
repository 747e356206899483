"""Examples as padded batches of about equal size, weighted token by token."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from unlearn_engine.demo.corpus import Example

CONTEXT_WEIGHT = 0.2
"""Weight in the loss of tokens that are not to be learnt by heart; answers and values weigh 1."""


@dataclass(frozen=True)
class Encoded:
    """Token ids of an example and their weights in the loss."""

    ids: list[int]
    weights: list[float]


@dataclass(frozen=True)
class Batch:
    """Token ids and weights, both `[batch, tokens]`, padded on the right with weight 0."""

    ids: Tensor
    weights: Tensor


def encode(tokenizer: PreTrainedTokenizerFast, example: Example, context_weight: float = CONTEXT_WEIGHT) -> Encoded:
    """Token ids of an example, piece by piece."""
    ids: list[int] = []
    weights: list[float] = []
    for piece in example:
        piece_ids = tokenizer.encode(piece.text, add_special_tokens=False)
        ids += piece_ids
        weights += [1.0 if piece.learnt else context_weight] * len(piece_ids)
    return Encoded(ids, weights)


def collate(examples: Sequence[Encoded], pad: int) -> Batch:
    """Pad examples to the longest of them."""
    longest = max(len(example.ids) for example in examples)
    return Batch(
        torch.tensor([example.ids + [pad] * (longest - len(example.ids)) for example in examples]),
        torch.tensor([example.weights + [0.0] * (longest - len(example.weights)) for example in examples]),
    )


def by_length(examples: Sequence[Encoded], max_tokens: int) -> list[list[int]]:
    """Positions of the examples in groups of like length, each of at most `max_tokens` tokens when padded."""
    order = sorted(range(len(examples)), key=lambda position: len(examples[position].ids))
    groups: list[list[int]] = []
    for position in order:
        longest = len(examples[position].ids)
        if not groups or (len(groups[-1]) + 1) * longest > max_tokens:
            groups.append([])
        groups[-1].append(position)
    return groups
