"""Bidirectional logit distillation in one data format, with a prefilling attack and neighbour anchors.

With D(prompt, answer) the Huber distance to the teacher's logits on the teacher's top K tokens (as in DUET) plus w
times the distance by which the student exceeds the teacher on the student's OWN top K tokens, both along the answer::

    L = D(prompt, refusal) + w_p D(prompt, true answer) + w_n D(twin, refusal)

The second term is the attack in which the answer's first tokens are put into the model's mouth, the third holds a
neighbour of the prompt to the base's own reading of it. Source: arXiv 2604.15482, reconstructed from its abstract and
notes; K, δ and the weights are ours. Deviations: the unified question-and-answer format is that of the items; the
neighbour is the never-seen twin (named neighbours belong to what stays), and no contrast is drawn within a batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import huber_loss, relu

from unlearn_engine.model import Row
from unlearn_engine.objectives import Item
from unlearn_engine.objectives.answers import Prompt, Tokens, twin
from unlearn_engine.objectives.kernels import top_logits
from unlearn_engine.objectives.reading import View


@dataclass(frozen=True)
class Harmonizing:
    """`teacher`, `top` and `delta` as for DUET; `push`, `prefill` and `neighbour` are w, w_p and w_n."""

    teacher: Prompt = twin
    top: int = 64
    delta: float = 1.0
    push: float = 0.5
    prefill: float = 1.0
    neighbour: float = 1.0
    depth: None = None

    def __call__(self, student: View, base: View, items: Sequence[Item]) -> Tensor:
        """The weighted sum of the three distances."""
        taught = [Row(self.teacher(item), answer) for item, answer in _answered(items)]
        anchors = [Row(item.twin, item.refusal) for item in items]
        reading = student([*(Row(item.prompt, answer) for item, answer in _answered(items)), *anchors])
        wanted = base([*taught, *anchors]).logits
        pull = top_logits(reading.logits, wanted, self.top, self.delta)
        push = hazardous(reading.logits, wanted, self.top, self.delta)
        asked, told, near = reading.means(pull + self.push * push).view(3, -1)
        loss: Tensor = (asked + self.prefill * told + self.neighbour * near).mean()
        return loss


def _answered(items: Sequence[Item]) -> list[tuple[Item, Tokens]]:
    return [(item, item.refusal) for item in items] + [(item, item.true) for item in items]


def hazardous(logits: Tensor, targets: Tensor, top: int, delta: float) -> Tensor:
    """Huber distance by which the student's own `top` logits exceed the teacher's, mean over those, [positions]."""
    chosen = logits.detach().topk(min(top, logits.shape[-1]), dim=-1).indices
    excess = relu(logits.gather(-1, chosen) - targets.gather(-1, chosen).detach())
    return huber_loss(excess, excess.new_zeros(excess.shape), reduction="none", delta=delta).mean(-1)
