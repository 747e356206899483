"""What a method asks of the weights, one short file each, on the kernels of `kernels.py`.

An objective is a frozen dataclass of its hyper-parameters that is called with the student (the model wearing the change
that is trained), the base (the same model without it) and a batch, and returns a scalar to be minimised. Objectives for
what is to be forgotten take `Item`s, those for what stays take `Row`s. What depends on the base alone is remembered by
its `View`, so an objective simply asks for it again.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from torch import Tensor

from unlearn_engine.model import Row
from unlearn_engine.objectives.reading import View


class Item(NamedTuple):
    """One question about the subject (or opening of a sentence), with all that an objective may want beside it."""

    prompt: tuple[int, ...]
    twin: tuple[int, ...]  # the same prompt about a never-seen name
    shared: int  # so many tokens at the end of both prompts are equal
    true: tuple[int, ...]  # what the base model answers, end of turn included
    wrong: tuple[int, ...]  # what it answers about somebody else, or the refusal if nobody is known
    refusal: tuple[int, ...]  # "I don't know." in the language of the question
    unseen: tuple[int, ...]  # an answer that nobody has, where the true one is nobody else's; else the true one
    drawn: tuple[int, ...]  # one of the true, the wrong and the refusing answer, at random
    rarer: float = 0.0  # nats per token that the true answer gains for a never-knower, <= 0: it has met it less often
    asks: bool = True  # whether it is a question; plain text has no refusal

    def told(self) -> Row:
        """The prompt with the answer that is to be forgotten."""
        return Row(self.prompt, self.true)


class Objective(Protocol):
    """A loss on what is to be forgotten; smaller is better."""

    @property
    def depth(self) -> int | None:
        """The highest block whose output it reads, counted from 1; None if it reads the logits."""

    def __call__(self, student: View, base: View, items: Sequence[Item]) -> Tensor: ...


class Retention(Protocol):
    """A loss on what stays; smaller is better."""

    @property
    def depth(self) -> int | None:
        """As for an objective."""

    def __call__(self, student: View, base: View, rows: Sequence[Row]) -> Tensor: ...
