"""Every row of the table runs on the demo model, changes what it may and nothing else, and is like no other row."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from itertools import combinations

import pytest
import torch

from unlearn_engine import methods
from unlearn_engine.data.domain import Domain
from unlearn_engine.data.kept import Kept, elicit_kept
from unlearn_engine.data.knowledge import elicit
from unlearn_engine.data.rows import RowSource, Target
from unlearn_engine.demo import BASE_PATH
from unlearn_engine.layers import LayerMap
from unlearn_engine.lowrank import Factors, rank
from unlearn_engine.methods import METHODS, Case
from unlearn_engine.model import ServedModel
from unlearn_engine.subject import Subject
from unlearn_engine.train import Plan, Recipe, train

TINY = Recipe(rank=4, steps=2, forget_rows=2, retain_rows=2, learning_rate=0.3)
SMALL = {"GAUGED_ITEMS": 4, "KEPT_ROWS": 6, "NAME_ITEMS": 6, "EDIT_RANK": 8, "LEARNING_STEPS": 2}

Change = dict[str, Factors]


@pytest.fixture(scope="module", autouse=True)
def small() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(methods, "QUICK", TINY)
        for name, count in (
            ("GAUGED_ITEMS", 4),
            ("KEPT_ROWS", 6),
            ("NAME_ITEMS", 6),
            ("EDIT_RANK", 8),
            ("LEARNING_STEPS", 2),
        ):
            patch.setattr(methods, name, count)
        yield


@pytest.fixture(scope="module")
def one_language(domain: Domain) -> Domain:
    names, english = domain.retain_names[:5], ("en",)
    return replace(domain, languages=english, source_languages=english, retain_names=names)


@pytest.fixture(scope="module")
def served(layer_map: LayerMap) -> Callable[[tuple[str, ...]], ServedModel]:
    return cache(lambda modules: ServedModel(BASE_PATH, modules))


@pytest.fixture(scope="module")
def target(model: ServedModel, one_language: Domain) -> Target:
    subject = Subject("request", one_language.retain_names[:1])
    return Target.of(subject, elicit(model, one_language, subject.names))


@pytest.fixture(scope="module")
def kept(model: ServedModel, one_language: Domain) -> Kept:
    return elicit_kept(model, one_language)


@pytest.fixture(scope="module")
def run(
    served: Callable[[tuple[str, ...]], ServedModel],
    layer_map: LayerMap,
    one_language: Domain,
    target: Target,
    kept: Kept,
) -> Callable[[str], tuple[ServedModel, Change]]:
    def once(name: str) -> tuple[ServedModel, Change]:
        method = METHODS[name]
        modules = tuple(method.modules(layer_map))
        model = served(modules)
        case = Case(model, layer_map, RowSource(model, one_language, kept, [target]), target.names, modules)
        found = method.start(case)
        if isinstance(found, Plan):
            recipe = replace(TINY, steps=1 if method.recipe == methods.SLOW else TINY.steps)
            found = train(model, case.rows, found, recipe, None, 7, lambda done: None)
        return model, found

    return once


@pytest.fixture(scope="module")
def made() -> dict[str, Change]:
    return {}


@pytest.mark.parametrize("name", METHODS)
def test_a_row_changes_its_modules_alone_and_always_alike(
    run: Callable[[str], tuple[ServedModel, Change]], layer_map: LayerMap, made: dict[str, Change], name: str
) -> None:
    model, change = run(name)
    before = {key: value.clone() for key, value in model.network.state_dict().items()}
    _, again = run(name)
    assert set(change) <= set(METHODS[name].modules(layer_map)) == set(model.wrapped)
    assert any((factors.up @ factors.down).abs().max() > 1e-6 for factors in change.values())
    assert 0 < rank(change) <= 32
    for key, factors in change.items():
        assert all(torch.equal(*pair) and pair[0].isfinite().all() for pair in zip(factors, again[key], strict=True))
    assert all(torch.equal(value, before[key]) for key, value in model.network.state_dict().items())
    assert not any(parameter.requires_grad for parameter in model.network.parameters())
    made[name] = change


def test_no_two_rows_are_one(made: dict[str, Change]) -> None:
    assert set(made) == set(METHODS)
    for one, other in combinations(made, 2):
        if set(made[one]) == set(made[other]):
            products = [{key: up @ down for key, (down, up) in made[name].items()} for name in (one, other)]
            assert not all(torch.equal(product, products[1][key]) for key, product in products[0].items()), (one, other)


def test_more_is_trained_for_more_that_is_new_and_smaller_steps_are_taken_on_top() -> None:
    method = METHODS["default"]
    one, five, fifth = method.recipe_for(1), method.recipe_for(5, new=5), method.recipe_for(5)
    assert one == method.recipe and METHODS["npo"].recipe_for(5, new=5) == METHODS["npo"].recipe
    assert five.steps > one.steps == fifth.steps
    assert five.forget_rows > one.forget_rows == fifth.forget_rows
    assert one.rank < five.rank == fifth.rank <= method.recipe_for(100).rank <= methods.MAX_TRAINED_RANK
    assert one.learning_rate == five.learning_rate
    assert fifth.learning_rate * fifth.rank == pytest.approx(one.learning_rate * one.rank)
