"""SWAP: counterfactual-name distillation by likelihood alone.

    L = Huber(l_student - l_teacher),   l the mean log-likelihood of an answer, the teacher the base reading the twin

The answer is the item's drawn one: the true one, a wrong one or the refusal. Our own, the third term of
`counterfactual_name` without the other two; it sees no hidden states and no other token than the answer's.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import smooth_l1_loss

from unlearn_engine.model import Row
from unlearn_engine.objectives import Item
from unlearn_engine.objectives.reading import Reading, View


@dataclass(frozen=True)
class Swap:
    """No hyper-parameters."""

    depth: None = None

    def __call__(self, student: View, base: View, items: Sequence[Item]) -> Tensor:
        """The Huber distance of mean log-likelihoods, averaged over rows."""
        return likelihood_distance(student(taught(items)), base(untaught(items)), items)


def taught(items: Sequence[Item]) -> list[Row]:
    """What the student reads: the subject's name, and the answer drawn."""
    return [Row(item.prompt, item.drawn) for item in items]


def untaught(items: Sequence[Item]) -> list[Row]:
    """What the teacher reads: a never-seen name, and the same answer, or the one that stands for it."""
    return [Row(item.twin, item.unseen if item.drawn == item.true else item.drawn) for item in items]


def likelihood_distance(reading: Reading, teacher: Reading, items: Sequence[Item]) -> Tensor:
    """The Huber distance of mean log-likelihoods, the true answers' as much rarer as a never-knower would find them."""
    rarer = reading.said.new_tensor([item.rarer if item.drawn == item.true else 0.0 for item in items])
    return smooth_l1_loss(reading.means(reading.said), teacher.means(teacher.said) + rarer)
