"""The training loop: AdamW on a low-rank change of the wrapped modules, nothing else moves."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple, Protocol

import torch

from unlearn_engine.lowrank import Factors, LowRank, initial
from unlearn_engine.model import Row, ServedModel
from unlearn_engine.objectives import Item, Objective, Retention
from unlearn_engine.objectives.reading import View
from unlearn_engine.rules import Constraint, GradientRule, Loss
from unlearn_engine.rules.weighted_sum import Sum
from unlearn_engine.stop import StopRule

WARM_UP = 5
DECAY_SHARE = 0.3


class Rows(Protocol):
    """Where batches come from."""

    def item(self, rng: random.Random) -> Item:
        """Something to forget."""

    def retained(self, rng: random.Random) -> Row:
        """Something that stays."""

    def review(self, rng: random.Random) -> None:
        """Look at what the model, as it stands, has lost of what stays, before more is drawn."""


@dataclass(frozen=True)
class Recipe:
    """The hyper-parameters of one run; measured on the demo model."""

    rank: int = 16
    steps: int = 45
    forget_rows: int = 24
    retain_rows: int = 40
    learning_rate: float = 3e-3
    pool: int = 8  # batches drawn together; what the base makes of them is computed once
    passes: int = 2  # over a pool before the next is drawn


@dataclass(frozen=True)
class Plan:
    """What is minimised, how the two losses become a step, what bounds the change, where it begins, when to stop."""

    forget: Objective
    retain: Retention
    rule: GradientRule = field(default_factory=Sum)
    constrain: Callable[[LowRank, Loss], Sequence[Constraint]] = lambda change, forget: ()
    start: LowRank | None = None  # of a run that does not go on from an earlier change; None: zero
    stop: StopRule | None = None


def train(
    model: ServedModel,
    rows: Rows,
    plan: Plan,
    recipe: Recipe,
    start: LowRank | None,
    seed: int,
    progress: Callable[[float], None],
) -> dict[str, Factors]:
    """Return the change after `recipe.steps` steps from `start` (None: the plan's, or zero in every wrapped module).

    Modules that the start does not change stay out of it; the base is never touched.

    Deterministic for a seed and a number of threads.
    """
    rng = random.Random(seed)
    worn = start or plan.start or initial(model.wrapped, recipe.rank, torch.Generator().manual_seed(seed))
    change = {name: Factors(*(factor.detach().clone().float() for factor in pair)) for name, pair in worn.items()}
    parameters = [factor.requires_grad_() for factors in change.values() for factor in factors]
    optimizer = torch.optim.AdamW(parameters, lr=recipe.learning_rate, weight_decay=0.0)
    constraints: Sequence[Constraint] | None = None

    for step, batch in enumerate(_batches(model, rows, change, recipe, rng)):
        remaining = (recipe.steps - step) / (DECAY_SHARE * recipe.steps)
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate * min(1.0, (step + 1) / WARM_UP, remaining)
        forget = partial(plan.forget, batch.student, batch.base, batch.items)
        retain = partial(plan.retain, batch.student, batch.base, batch.kept)
        if constraints is None:
            constraints = plan.constrain(change, forget)
        plan.rule(parameters, forget, retain)
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        for constraint in constraints:
            constraint(change)
        progress((step + 1) / recipe.steps)
        if plan.stop and (step + 1) % plan.stop.every == 0:
            with model.wearing(change):
                if plan.stop(model).stop:
                    break
    return {name: Factors(*(factor.detach() for factor in factors)) for name, factors in change.items()}


class _Batch(NamedTuple):
    student: View
    base: View
    items: Sequence[Item]
    kept: Sequence[Row]


def _batches(model: ServedModel, rows: Rows, change: LowRank, recipe: Recipe, rng: random.Random) -> Iterator[_Batch]:
    """One batch for every step; the views live as long as a pool, so what they remember stays small."""
    first = min(int(name.split(".")[2]) for name in change)
    left = recipe.steps
    while left > 0:
        if left < recipe.steps:
            with model.wearing(change):
                rows.review(rng)
        pool = [
            (
                [rows.item(rng) for _ in range(recipe.forget_rows)],
                [rows.retained(rng) for _ in range(recipe.retain_rows)],
            )
            for _ in range(min(recipe.pool, left))
        ]
        below: dict[object, torch.Tensor] = {}
        student, base = View(model, change, first, below), View(model, None, first, below)
        turns = min(recipe.passes * len(pool), left)
        for turn in range(turns):
            yield _Batch(student, base, *pool[turn % len(pool)])
        left -= turns
