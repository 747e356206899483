"""Every way to train an adapter that forgets, a row each: what is minimised, how, where and for how long."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from unlearn_engine.model import ServedModel
from unlearn_engine.objectives.counterfactual_name import CounterfactualName, FrozenSelf
from unlearn_engine.train import Plan, Recipe


@dataclass(frozen=True)
class Method:
    """A row of the table; the plan is made for one run, on a model whose wrapped modules are those that may change."""

    plan: Callable[[ServedModel], Plan]
    recipe: Recipe = field(default_factory=Recipe)


def _counterfactual_name(model: ServedModel) -> Plan:
    changed = sorted({int(name.split(".")[2]) + 1 for name in model.wrapped})
    layers = tuple(sorted({*changed, model.blocks}))
    return Plan(CounterfactualName(layers), FrozenSelf(layers))


METHODS: Mapping[str, Method] = {"default": Method(_counterfactual_name)}
