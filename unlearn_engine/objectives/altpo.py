"""AltPO: prefer an alternative answer, fluent and in the domain, over the true one.

    L = DPO loss with preferred = alternative, rejected = true answer; the mean over all alternatives

Source: arXiv 2409.13474; learning rate 5e-5, β = 0.1, retain weight 2 were the best of an independent sweep.
Deviation: the published alternatives are made up by the model itself, five to a question; ours are what the base model
says about somebody else, one to an item (items are drawn afresh for each step, so there are many in the end). They are
falsehoods about the subject: give `alternatives` refusals in the model's own words where that is not acceptable.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from unlearn_engine.model import Row
from unlearn_engine.objectives import Item
from unlearn_engine.objectives.answers import Answers, somebody_elses
from unlearn_engine.objectives.dpo import preferring
from unlearn_engine.objectives.reading import View


@dataclass(frozen=True)
class AltPO:
    """`alternatives` gives the preferred answers of an item, at least one."""

    beta: float = 0.1
    alternatives: Answers = somebody_elses
    depth: None = None

    def __call__(self, student: View, base: View, items: Sequence[Item]) -> Tensor:
        """The preference loss; (2 / beta) ln 2 as long as the student is the base."""
        pairs = [(Row(item.prompt, answer), item.told()) for item in items for answer in self.alternatives(item)]
        preferred, rejected = zip(*pairs, strict=True)
        return preferring(student, base, preferred, rejected, self.beta)
