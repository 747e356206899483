"""Who's Harry Potter: learn the words of somebody who never read the book.

    v = base(twin) - α relu(reinforced(prompt) - base(prompt))   (logits along the true answer)
    L = CE(student, argmax v)

The reinforced model is the base with a second change, trained with `remember.Remember` on the forget text; give its
view (`View(model, change, first, below)`). Source: arXiv 2310.02238, section 2; α = 5 (from memory). Deviations: the
generic text is the never-seen twin's, in place of a dictionary of anchors, so that a token after a replaced one needs
no repair; labels of all answer tokens count.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import relu

from unlearn_engine.model import Row
from unlearn_engine.objectives import Item
from unlearn_engine.objectives.reading import View


@dataclass(frozen=True)
class WHP:
    """`strength` is α."""

    reinforced: View
    strength: float = 5.0
    depth: None = None

    def __call__(self, student: View, base: View, items: Sequence[Item]) -> Tensor:
        """Mean cross-entropy of the generic labels at the positions of the true answers."""
        told = [item.told() for item in items]
        with torch.no_grad():
            generic = base([Row(item.twin, item.true) for item in items]).logits
            labels = generic_logits(generic, self.reinforced(told).logits, base(told).logits, self.strength).argmax(-1)
        reading = student(told)
        return -reading.means(reading.log_probs.gather(1, labels[:, None])[:, 0]).mean()


def generic_logits(generic: Tensor, reinforced: Tensor, base: Tensor, strength: float) -> Tensor:
    """Generic logits less what reinforcement raised; all [..., vocabulary]. No logit is ever raised."""
    return generic - strength * relu(reinforced - base)
