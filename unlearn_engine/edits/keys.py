"""Where an edit reads: prompts that name somebody, and what the edited module and block hold at a token of them.

Nothing after the name can influence its last token, by causality, so keys are read from prompts cut there.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from unlearn_engine.model import BATCH, ServedModel

CONTEXTS = (
    "{name}",
    "Tell me about {name}",
    "Who is {name}",
    "What do you know about {name}",
    "Describe {name}",
    "Answer a question about {name}",
)


class Mention(NamedTuple):
    """A prompt that names somebody, and the index of the name's last token."""

    prompt: tuple[int, ...]
    last: int

    @classmethod
    def of(cls, model: ServedModel, prompt: tuple[int, ...], names: Sequence[str]) -> "Mention":
        """Where the prompt says any of the names for the last time; raises ValueError where it says none."""
        texts = [model.tokenizer.decode(prompt[: count + 1]).casefold() for count in range(len(prompt))]
        said = [name.casefold() for name in names if name.casefold() in texts[-1]]
        if not said:
            raise ValueError("the prompt names nobody of them")
        # A name is over with the first token after which nothing more of it is to come.
        return cls(
            prompt,
            max(next(i for i, text in enumerate(texts) if text.count(name) == texts[-1].count(name)) for name in said),
        )

    @property
    def cut(self) -> tuple[int, ...]:
        """The prompt up to the name's last token."""
        return self.prompt[: self.last + 1]


def mentions(model: ServedModel, name: str, templates: Sequence[str] = CONTEXTS) -> list[Mention]:
    """The name in the context of each template (with {name})."""
    return [Mention.of(model, model.question(template.format(name=name)), [name]) for template in templates]


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
