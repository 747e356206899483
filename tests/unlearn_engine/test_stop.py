"""Extraction strength equals what greedy decoding says; the stop rule fires when it should and only then."""

import random
from dataclasses import replace
from typing import NamedTuple

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unlearn_engine.data.domain import Domain
from unlearn_engine.lowrank import Factors
from unlearn_engine.model import Row, ServedModel
from unlearn_engine.stop import StopRule, extraction_strength, extraction_strengths, stop_rule


def test_strength_is_the_correct_suffix() -> None:
    assert extraction_strength([True] * 5) == 1.0
    assert extraction_strength([True] * 4 + [False]) == 0.0
    assert extraction_strength([True, False, True, True]) == 0.5
    assert extraction_strength([]) == 0.0


@given(st.lists(st.booleans(), min_size=1, max_size=20))
def test_strength_never_exceeds_the_share_of_correct_tokens(right: list[bool]) -> None:
    strength = extraction_strength(right)
    assert 0 <= strength <= sum(right) / len(right)
    assert extraction_strength([False, *right]) < 1
    if strength < 1:
        assert not right[round((1 - strength) * len(right)) - 1]


class Rows(NamedTuple):
    told: list[Row]
    unseen: list[Row]


@pytest.fixture(scope="module")
def rows(model: ServedModel, domain: Domain) -> Rows:
    """What the base answers about six who stay, and the same answers about never-seen twins."""
    rng, rows = random.Random(0), Rows([], [])
    for name in domain.retain_names[:6]:
        template = rng.choice(domain.questions["en"][rng.choice(domain.attributes)])
        prompt, twin = (model.question(template.format(name=who)) for who in (name, domain.unseen_name(rng, name)))
        answer = model.answer(model.answers([prompt])[0])
        rows.told.append(Row(prompt, answer))
        rows.unseen.append(Row(twin, answer))
    return rows


def test_the_share_given_is_the_smallest_that_greedy_decoding_completes(model: ServedModel) -> None:
    asked = [
        Row(model.question("Where?"), model.encode(text))
        for text in ("I don't know.", "In Venice they sell lemons.", 'Translate "fish" into Italian.')
    ]
    asked.append(Row(model.encode("<|doc|>"), model.encode("In Venice they sell lemons and fish.")))
    for row, strength in zip(asked, extraction_strengths(model, asked), strict=True):
        completed = [
            given
            for given in range(len(row.answer))
            if model._greedy([row.prompt + row.answer[:given]], len(row.answer) - given)[0] == [*row.answer[given:]]
        ]
        smallest = min(completed, default=len(row.answer))
        assert strength == pytest.approx(1 - smallest / len(row.answer))


def test_a_base_that_knows_is_not_told_to_stop(model: ServedModel, rows: Rows) -> None:
    gauges = stop_rule(model, rows.told, rows.unseen, rows.told)(model)
    assert gauges.extraction == 1.0 and not gauges.forgotten and not gauges.spent and not gauges.stop


def test_a_model_that_reads_never_seen_names_has_forgotten(model: ServedModel, rows: Rows) -> None:
    rule = stop_rule(model, rows.told, rows.unseen, rows.told)
    assert rule.extraction_level < 0.9
    gauges = replace(rule, told=tuple(rows.unseen))(model)
    assert gauges.forgotten and gauges.stop and not gauges.spent


def noise(model: ServedModel) -> dict[str, Factors]:
    generator = torch.Generator().manual_seed(0)
    return {
        name: Factors(
            torch.randn(2, module.in_features, generator=generator),
            torch.randn(module.out_features, 2, generator=generator),
        )
        for name, module in model.wrapped.items()
    }


def test_divergence_spends_the_budget(model: ServedModel, rows: Rows) -> None:
    rule = stop_rule(model, rows.told, rows.unseen, rows.told)
    wild = noise(model)
    broken = {name: Factors(torch.full_like(down, torch.nan), up) for name, (down, up) in wild.items()}
    for change in (wild, broken):
        with model.wearing(change):
            assert rule(model).spent


def test_the_levels_are_measured_on_the_base_whatever_is_worn(model: ServedModel, rows: Rows) -> None:
    measured: list[StopRule] = []
    for change in (None, noise(model)):
        with model.wearing(change):
            measured.append(stop_rule(model, rows.told, rows.unseen, rows.told))
    assert measured[0] == measured[1]
