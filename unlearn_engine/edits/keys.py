"""Where an edit reads: prompts that name somebody, and what the edited module and block hold at a token of them.

Nothing after the name can influence its last token, by causality, so keys are read from prompts cut there.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from unlearn_engine.data.rows import shared_suffix
from unlearn_engine.model import BATCH, ServedModel
from unlearn_engine.objectives import Item

CONTEXTS = (
    "{name}",
    "Tell me about {name}",
    "Who is {name}",
    "What do you know about {name}",
    "Describe {name}",
    "Answer a question about {name}",
)
_STAND_INS = ("Zq", "17", "ßω")  # end in different tokens, whatever the tokenizer


class Mention(NamedTuple):
    """A prompt that names somebody, and the index of the name's last token."""

    prompt: tuple[int, ...]
    last: int

    @classmethod
    def of(cls, model: ServedModel, template: str, name: str) -> "Mention":
        """The question that `template` (with {name}) makes; what follows the name is what all names share."""
        prompt = model.question(template.format(name=name))
        after = min(shared_suffix(prompt, model.question(template.format(name=other))) for other in _STAND_INS)
        return cls(prompt, len(prompt) - after - 1)

    @classmethod
    def at(cls, item: Item) -> "Mention":
        """The prompt of an item, named where it first differs from its twin from the end."""
        return cls(item.prompt, len(item.prompt) - item.shared - 1)

    @property
    def cut(self) -> tuple[int, ...]:
        """The prompt up to the name's last token."""
        return self.prompt[: self.last + 1]


def at_last_token(model: ServedModel, module: str, block: int, rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Keys [rows, in_features] and residual states after the block [rows, hidden] at each row's last token."""
    keys, states = [], []
    for start in range(0, len(rows), BATCH):
        batch = rows[start : start + BATCH]
        fed, hidden = model.inputs_of(module, batch)
        at = torch.arange(len(batch)), torch.tensor([len(row) - 1 for row in batch])
        keys.append(fed[at])
        states.append(hidden[block + 1][at].float())
    return torch.cat(keys), torch.cat(states)


def every_key(model: ServedModel, module: str, rows: Sequence[Sequence[int]]) -> Tensor:
    """The keys at all tokens of all rows, [tokens, in_features]."""
    keys = []
    for start in range(0, len(rows), BATCH):
        batch = rows[start : start + BATCH]
        fed, _ = model.inputs_of(module, batch)
        keys += [found[: len(row)] for found, row in zip(fed, batch, strict=True)]
    return torch.cat(keys)
