"""The greedy cover: likeness is a likeness, coverage is submodular, the choice is near the best and sensible."""

from itertools import combinations
from math import e

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unlearn_engine.data.domain import Domain
from unlearn_engine.languages import LANGUAGES, OTHER, choose_sources, coverage, known, likeness, strengths

CODES = sorted(LANGUAGES)
some = st.lists(st.sampled_from(CODES), min_size=2, max_size=9, unique=True)
SPEAKERS = {code: known(code).speakers for code in CODES}


@given(st.sampled_from(CODES), st.sampled_from(CODES))
def test_likeness_is_symmetric_and_largest_with_itself(one: str, other: str) -> None:
    assert likeness(one, other) == likeness(other, one)
    assert 0 <= likeness(one, other) <= OTHER < likeness(one, one) == 1 or one == other


def test_likeness_follows_the_family_tree() -> None:
    assert likeness("es", "it") > likeness("es", "en") > likeness("es", "ta")
    assert likeness("ja", "zh") > likeness("ko", "zh"), "a shared script counts"
    assert likeness("hi", "ur") > likeness("hi", "fa"), "a shared genus counts"


@given(some, st.data())
def test_coverage_is_monotone_and_submodular(targets: list[str], data: st.DataObject) -> None:
    larger = data.draw(st.lists(st.sampled_from(targets), unique=True, min_size=1))
    smaller = larger[: data.draw(st.integers(0, len(larger) - 1))]
    added = data.draw(st.sampled_from(CODES))
    before, after = (coverage(sources, targets, SPEAKERS) for sources in (smaller, larger))
    gains = [coverage([*sources, added], targets, SPEAKERS) for sources in (smaller, larger)]
    assert before <= after + 1e-12
    assert gains[0] - before >= gains[1] - after - 1e-12


@given(some, st.integers(1, 4))
def test_greedy_is_within_the_bound_of_the_best(targets: list[str], count: int) -> None:
    chosen = choose_sources(targets, count)
    assert len(chosen) == min(count, len(targets)) == len(set(chosen))
    best = max(coverage(sources, targets, SPEAKERS) for sources in combinations(targets, len(chosen)))
    assert coverage(chosen, targets, SPEAKERS) >= (1 - 1 / e) * best


@given(some)
def test_choosing_more_only_adds(targets: list[str]) -> None:
    assert choose_sources(targets, 3)[:2] == choose_sources(targets, 2)
    assert coverage(choose_sources(targets, len(targets)), targets, SPEAKERS) == pytest.approx(1.0)


def test_the_demo_languages_get_one_of_each_kind(domain: Domain) -> None:
    chosen = choose_sources(domain.languages, 3)
    assert {known(code).genus for code in chosen} == {"Germanic", "Romance", "Chinese"}


def test_weights_and_data_change_the_choice() -> None:
    targets = ("es", "it", "fr", "zh")
    assert choose_sources(targets, 1, weights={"es": 1, "it": 1, "fr": 1, "zh": 10}) == ("zh",)
    assert choose_sources(targets, 1, weights=dict.fromkeys(targets, 1.0)) != ("zh",)
    plenty = {"es": 10, "it": 1e6, "fr": 10, "zh": 10}
    assert choose_sources(targets, 1, weights=dict.fromkeys(targets, 1.0), data=plenty) == ("it",)
    assert strengths({"a": 1e6, "b": 1e3, "c": 0})["b"] == pytest.approx(0.5, abs=0.01)


def test_a_language_without_features_is_named() -> None:
    with pytest.raises(ValueError, match="'xx'"):
        choose_sources(("en", "xx"), 1)
