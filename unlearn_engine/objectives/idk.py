"""IDK: fine-tune on a refusal in place of the true answer.

    L = CE(prompt, refusal)

Also known as rejection tuning. Source: TOFU (arXiv 2401.06121); it leaves the knowledge in place and is here
to be compared with.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from unlearn_engine.model import Row
from unlearn_engine.objectives import Item
from unlearn_engine.objectives.kernels import cross_entropy
from unlearn_engine.objectives.reading import View


@dataclass(frozen=True)
class IDK:
    """No hyper-parameters; the refusal is the item's."""

    depth: None = None

    def __call__(self, student: View, base: View, items: Sequence[Item]) -> Tensor:
        """The mean cross-entropy of the refusals, in nats."""
        return cross_entropy(student([Row(item.prompt, item.refusal) for item in items]))
