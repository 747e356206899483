"""Where the rows come from: the full model, the retain-only model, and the full model unlearned by each method."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from benchmarks.tofu.data import Tofu
from benchmarks.tofu.rows import AuthorRows
from unlearn_engine import methods
from unlearn_engine.evaluate.copies import block_linears
from unlearn_engine.lowrank import LowRank
from unlearn_engine.model import ServedModel
from unlearn_engine.objectives.dpo import DPO
from unlearn_engine.objectives.ga import GradientAscent
from unlearn_engine.objectives.idk import IDK
from unlearn_engine.objectives.npo import NPO
from unlearn_engine.objectives.retention import CrossEntropy, Divergence
from unlearn_engine.objectives.simnpo import SimNPO
from unlearn_engine.rules.weighted_sum import Sum
from unlearn_engine.train import Plan, Recipe, train

Progress = Callable[[str, float], None]  # stage, fraction done


class Folder(Protocol):
    """Where a trained model is."""

    def __call__(self, *, retain_only: bool) -> Path: ...


RECIPE = Recipe(steps=50, forget_rows=20, retain_rows=40, learning_rate=2e-3)
"""Of every row alike: five times over the forget05 set, as in the paper; a LoRA on all linear layers, as none is."""


@dataclass(frozen=True)
class Order:
    """What a row needs to know to make its candidate."""

    tofu: Tofu
    model: Folder
    progress: Progress


@dataclass(frozen=True)
class Candidate:
    """A model to be evaluated, wearing a change."""

    model: ServedModel
    change: LowRank | None = None
    seconds: float = 0.0  # of unlearning


def unlearned(plan: Callable[[ServedModel], Plan], order: Order, recipe: Recipe = RECIPE) -> Candidate:
    """The full model with an adapter trained by a plan."""
    full = order.model(retain_only=False)
    model = ServedModel(full, tuple(block_linears(ServedModel(full))))
    began = time.perf_counter()
    change = train(
        model, AuthorRows(model, order.tofu), plan(model), recipe, None, 0, partial(order.progress, "unlearning")
    )
    return Candidate(model, change, time.perf_counter() - began)


SANITY: Mapping[str, Callable[[Order], Candidate]] = {
    "base": lambda order: Candidate(ServedModel(order.model(retain_only=False))),
    "retain-only": lambda order: Candidate(ServedModel(order.model(retain_only=True))),
}
"""Rows that are no methods."""

PLANS: Mapping[str, Callable[[ServedModel], Plan]] = {
    "GA": lambda model: Plan(GradientAscent(), CrossEntropy(), Sum(retain_weight=0.0)),
    "GradDiff": lambda model: Plan(GradientAscent(), CrossEntropy()),
    "GA-KL": lambda model: Plan(GradientAscent(), Divergence()),
    "IDK": lambda model: Plan(IDK(), CrossEntropy()),
    "DPO": lambda model: Plan(DPO(), CrossEntropy()),
    "NPO": lambda model: Plan(NPO(), CrossEntropy()),
    "SimNPO": lambda model: Plan(SimNPO(), CrossEntropy(), Sum(forget_weight=0.125)),
    "counterfactual-name": methods.counterfactual_name,
}


def default(order: Order) -> Candidate:
    """The gateway's own erasure as it trains for that many people, longer than RECIPE."""
    people = len(order.tofu.forgotten)
    return unlearned(methods.counterfactual_name, order, methods.METHODS["default"].recipe_for(people, new=people))


METHODS: Mapping[str, Callable[[Order], Candidate]] = {
    **{name: partial(unlearned, plan) for name, plan in PLANS.items()},
    "default": default,
}
"""Method -> how its candidate is made."""
