"""In-context switch: with a marker in the prompt the model has forgotten, without it everything is as before.

    L = CE(prompt with marker, refusal) + CE(prompt, true answer)

One change serves every request with the same marker: who is to be kept from knowing gets it put into the prompt by the
server, after authentication. Access control, not erasure: the answer stays readable in the model. Source: arXiv
2410.00382, with equal weights. Deviations: the marker is spelt in existing tokens and names an audience, not
an entity; `SwitchRetention` takes the place of marked questions about unrelated entities.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from unlearn_engine.model import Row
from unlearn_engine.objectives import Item
from unlearn_engine.objectives.answers import Tokens, inserted
from unlearn_engine.objectives.kernels import cross_entropy
from unlearn_engine.objectives.reading import View


@dataclass(frozen=True)
class Switch:
    """`marker` is put in after the prompt's first `after` tokens."""

    marker: Tokens
    after: int = 0
    depth: None = None

    def __call__(self, student: View, base: View, items: Sequence[Item]) -> Tensor:
        """The sum of both cross-entropies."""
        marked = inserted(self.marker, self.after)
        switched = student([Row(marked(item), item.refusal) for item in items])
        return cross_entropy(switched) + cross_entropy(student([item.told() for item in items]))


@dataclass(frozen=True)
class SwitchRetention:
    """What stays is said with and without the marker."""

    marker: Tokens
    after: int = 0
    depth: None = None

    def __call__(self, student: View, base: View, rows: Sequence[Row]) -> Tensor:
        """Mean cross-entropy of the answers after marked and unmarked prompts."""
        marked = [Row(row.prompt[: self.after] + self.marker + row.prompt[self.after :], row.answer) for row in rows]
        return cross_entropy(student([*rows, *marked]))
