"""Key Space Detection: does a prompt need the skill? A gate in front of the model, which changes no weight.

arXiv 2503.21730. The skill's region is a box around the mean key at the prompt's last token::

    inside  <=>  |k_i - μ_i| <= width σ_i  for every neuron i

Deviation: the published width is bisected until enough of the skill's prompts lie inside; the same width is a quantile
of their largest deviations, and computed as one.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

COVERAGE = 0.9


@dataclass(frozen=True)
class KeySpace:
    """The box of one skill in one block; it erases nothing, it only knows when to abstain."""

    mean: Tensor  # [in_features]
    deviation: Tensor  # [in_features]
    width: float  # in deviations

    @classmethod
    def of(cls, keys: Tensor, coverage: float = COVERAGE) -> "KeySpace":
        """The smallest box of these proportions that holds the share `coverage` of keys [prompts, in_features]."""
        mean, deviation = keys.mean(0), keys.std(0).clamp(min=torch.finfo(keys.dtype).tiny)
        distances = _largest(keys, mean, deviation)
        return cls(mean, deviation, float(distances.quantile(coverage, interpolation="higher")))

    def holds(self, keys: Tensor) -> Tensor:
        """Whether each key [prompts, in_features] lies inside, [prompts] of bool."""
        return _largest(keys, self.mean, self.deviation) <= self.width


def _largest(keys: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    return ((keys - mean).abs() / deviation).amax(-1)
