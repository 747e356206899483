"""Gradient ascent: make the forget text less likely.

    L = mean over tokens of log p_t = -CE

Unbounded; a baseline, never to be shipped without a stop rule. Plus cross-entropy on what stays it is GradDiff. Source:
TOFU (arXiv 2401.06121); loss and its mean over tokens as in open-unlearning.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from unlearn_engine.objectives import Item
from unlearn_engine.objectives.kernels import weighted_log_prob
from unlearn_engine.objectives.reading import View


@dataclass(frozen=True)
class GradientAscent:
    """No hyper-parameters."""

    depth: None = None

    def __call__(self, student: View, base: View, items: Sequence[Item]) -> Tensor:
        """The mean log-probability of the true answers, in nats."""
        reading = student([item.told() for item in items])
        return weighted_log_prob(reading, torch.ones_like(reading.said))
