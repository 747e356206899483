"""The training loop: AdamW on a low-rank change of the wrapped modules, nothing else moves."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

from unlearn_engine.data.rows import RowSource, Target
from unlearn_engine.lowrank import Factors, LowRank, initial
from unlearn_engine.model import ServedModel
from unlearn_engine.objectives import counterfactual_name

REHEARSAL_SHARE = 0.5  # of the forget rows, when earlier subjects have to stay forgotten
WARM_UP = 5
DECAY_SHARE = 0.3
REVIEW_EVERY = 8  # steps


@dataclass(frozen=True)
class Recipe:
    """The hyper-parameters of one run; measured on the demo model."""

    rank: int = 16
    steps: int = 56
    forget_rows: int = 24
    retain_rows: int = 56
    learning_rate: float = 4e-3
    weights: counterfactual_name.Weights = field(default_factory=counterfactual_name.Weights)


def train(
    model: ServedModel,
    rows: RowSource,
    new: Sequence[Target],
    earlier: Sequence[Target],
    start: LowRank | None,
    recipe: Recipe,
    seed: int,
    progress: Callable[[float], None],
) -> dict[str, Factors]:
    """Return the change after `recipe.steps` steps from `start` (None: from zero); the base is never touched.

    Each forget row is about one of `new`, or with REHEARSAL_SHARE about one of `earlier`. Deterministic for a seed and
    a number of threads.
    """
    rng = random.Random(seed)
    change = start or initial(model.wrapped, recipe.rank, torch.Generator().manual_seed(seed))
    change = {name: Factors(*(factor.detach().clone().float() for factor in change[name])) for name in model.wrapped}
    parameters = [factor.requires_grad_() for factors in change.values() for factor in factors]
    optimizer = torch.optim.AdamW(parameters, lr=recipe.learning_rate, weight_decay=0.0)
    blocks = {int(name.split(".")[2]) + 1 for name in model.wrapped}
    layers = sorted(blocks | {model.blocks})

    for step in range(recipe.steps):
        remaining = (recipe.steps - step) / (DECAY_SHARE * recipe.steps)
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate * min(1.0, (step + 1) / WARM_UP, remaining)
        if step % REVIEW_EVERY == REVIEW_EVERY - 1:
            with model.wearing(change):
                rows.review(rng)
        pairs = []
        for _ in range(recipe.forget_rows):
            rehearse = earlier and rng.random() < REHEARSAL_SHARE
            pairs.append(rows.pair(rng, rng.choice(earlier if rehearse else new)))
        kept = [rows.retained(rng) for _ in range(recipe.retain_rows)]
        loss, _ = counterfactual_name.loss(model, change, pairs, kept, layers, recipe.weights)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        progress((step + 1) / recipe.steps)
    return {name: Factors(*(factor.detach() for factor in factors)) for name, factors in change.items()}
