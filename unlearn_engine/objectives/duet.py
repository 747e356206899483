"""DUET: distil, by its top logits, a teacher that was told not to know.

    L = mean over positions of Huber(student logits, teacher logits) on the teacher's top K tokens

Only the query is needed: teacher and student are compared where the answer begins and along the refusal, never along
the true answer. Source: arXiv 2601.21283; same weight for `retention.TopLogits` on what stays. K = 64 and δ = 1 are
ours. The published teacher is the base with an instruction in front of the prompt (`answers.inserted`); the default is
the base reading a never-seen twin, which needs no obedience.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from unlearn_engine.model import Row
from unlearn_engine.objectives import Item
from unlearn_engine.objectives.answers import Prompt, twin
from unlearn_engine.objectives.kernels import top_logits
from unlearn_engine.objectives.reading import View


@dataclass(frozen=True)
class DUET:
    """`teacher` makes the prompt that the base reads; `top` is K, `delta` the Huber threshold in nats."""

    teacher: Prompt = twin
    top: int = 64
    delta: float = 1.0
    depth: None = None

    def __call__(self, student: View, base: View, items: Sequence[Item]) -> Tensor:
        """The Huber distance, averaged over positions and rows."""
        reading = student([Row(item.prompt, item.refusal) for item in items])
        wanted = base([Row(self.teacher(item), item.refusal) for item in items]).logits
        return reading.means(top_logits(reading.logits, wanted, self.top, self.delta)).mean()
