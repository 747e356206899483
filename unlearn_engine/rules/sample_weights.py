"""U2A: how much each example is worth unlearning, from what that does to an outer objective (arXiv 2504.06659).

Reconstructed from the abstract and the reviews. With J an outer loss (what should improve: a preference or validation
loss) and L_i the loss minimised to unlearn example i, a step on L_i lowers J by <∇J, ∇L_i> to first order. Gradients
are normalised (the Hessian of the paper's influence term taken as the identity) and the weights of one round solve::

    minimise |∇J - Σ w_i ∇L_i|²   over w >= 0, Σ w_i = 1

in two stages: matching pursuit picks the examples, exponentiated gradient weighs them. An example that does not help
(<∇J, ∇L_i> <= 0) gets exactly 0; equal examples are picked together and get equal weights. If none helps there is
nothing to prefer, and all get the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from unlearn_engine.rules import Loss
from unlearn_engine.rules.gradients import gradient

TIE = 1e-9
HELPS = 1e-6  # cosine below which an example counts as orthogonal to the outer gradient


@dataclass(frozen=True)
class SampleWeights:
    """Hyper-parameters of one round of weighing; none are published, these are ours."""

    picks: int = 32  # rounds of matching pursuit, each picking an example (or several equal ones)
    steps: int = 200  # of exponentiated gradient
    step_size: float = 0.5

    def __call__(self, gradients: Tensor, outer: Tensor) -> Tensor:
        """Weights [examples] from per-example gradients [examples, parameters] and the outer one [parameters]."""
        examples, target = normalize(gradients.double(), dim=1), normalize(outer.double(), dim=0)
        chosen = matching_pursuit(examples, target, self.picks)
        weights = examples.new_zeros(len(examples))
        if not chosen:
            return weights + 1 / len(examples)
        weights[chosen] = exponentiated_gradient(examples[chosen], target, self.steps, self.step_size)
        return weights


def matching_pursuit(examples: Tensor, target: Tensor, picks: int) -> list[int]:
    """Indexes of the helpful unit gradients that explain the target best, greedily, equal ones together."""
    helpful = examples @ target > HELPS
    residual, chosen = target, torch.zeros(len(examples), dtype=torch.bool, device=examples.device)
    for _ in range(picks):
        gains = torch.where(helpful & ~chosen, examples @ residual, -torch.inf)
        if not len(gains) or float(gains.max()) <= HELPS:
            break
        chosen |= gains >= gains.max() - TIE
        best = examples[int(gains.argmax())]
        residual = residual - (best @ residual) * best
    return chosen.nonzero()[:, 0].tolist()


def exponentiated_gradient(examples: Tensor, target: Tensor, steps: int, step_size: float) -> Tensor:
    """Weights on the simplex that bring the mean example closest to the target, by mirror descent from uniform."""
    weights = examples.new_full((len(examples),), 1 / len(examples))
    for _ in range(steps):
        gains = examples @ (target - weights @ examples)
        weights = weights * (step_size * (gains - gains.max())).exp()
        weights = weights / weights.sum()
    return weights


def example_gradients(parameters: Sequence[Tensor], losses: Sequence[Loss]) -> Tensor:
    """Each loss's gradient, flat, [losses, parameters]; low-rank factors alone keep this small."""
    return torch.stack([torch.cat([part.flatten() for part in gradient(loss, parameters)[1]]) for loss in losses])
