"""MEOW: write over the memory with several inverted facts, without anything to retain.

    L = mean over an item's inverted answers of CE(prompt, inverted answer)

Source: arXiv 2409.11844: four wrong answers by a language model, of which the three with the highest MEMO (`memo.memo`,
`memo.choose`) are trained on. Deviation: confident falsehoods about a person are no default; refusals take their place.
With a single refusal that is IDK. What MEOW adds is several: give `inverted` a choice (`wordings` makes one of a table
of refusals, `answers.falsehoods` is the published kind).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from unlearn_engine.model import Row
from unlearn_engine.objectives import Item
from unlearn_engine.objectives.answers import Answers, Tokens, refusal
from unlearn_engine.objectives.kernels import cross_entropy
from unlearn_engine.objectives.reading import View


@dataclass(frozen=True)
class MEOW:
    """`inverted` gives the answers of an item that are trained on, at least one."""

    inverted: Answers = refusal
    depth: None = None

    def __call__(self, student: View, base: View, items: Sequence[Item]) -> Tensor:
        """The mean cross-entropy of the inverted answers, in nats."""
        return cross_entropy(student([Row(item.prompt, answer) for item in items for answer in self.inverted(item)]))


def wordings(table: Mapping[Tokens, Sequence[Tokens]]) -> Answers:
    """Inverted facts from a table: a refusal, and all the ways to say it; one not in the table stays alone."""
    return lambda item: table.get(item.refusal, refusal(item))
