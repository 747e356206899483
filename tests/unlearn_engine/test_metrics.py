"""The measures agree with values that can be worked out by hand."""

import math
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unlearn_engine.evaluate.metrics import (
    extraction_strength,
    ks_p_value,
    ks_statistic,
    log_truth_ratio,
    upper_bound,
)

SAMPLE = st.lists(st.floats(-50, 50), min_size=1, max_size=30)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([1, 2, 3], [1, 2, 3], 0.0),
        ([1, 2, 3], [4, 5, 6], 1.0),
        ([1, 2, 3, 4], [3, 4, 5, 6], 0.5),
        ([1, 1, 2], [1, 2, 2], 1 / 3),
        ([0.5], [0, 1], 0.5),
    ],
)
def test_ks_on_known_samples(first: list[float], second: list[float], expected: float) -> None:
    assert ks_statistic(first, second) == pytest.approx(expected)


@given(SAMPLE, SAMPLE)
def test_ks_is_symmetric_bounded_and_blind_to_monotone_maps(first: list[float], second: list[float]) -> None:
    distance = ks_statistic(first, second)
    assert 0 <= distance <= 1
    assert ks_statistic(second, first) == pytest.approx(distance)
    doubled = ks_statistic([2 * value + 1 for value in first], [2 * value + 1 for value in second])
    assert doubled <= distance + 1e-9  # rounding can only merge neighbours


def test_ks_needs_samples() -> None:
    with pytest.raises(ValueError, match="non-empty"):
        ks_statistic([], [1.0])


def test_upper_bound_at_zero_is_the_rule_of_three() -> None:
    for trials in (36, 48, 300):
        assert upper_bound(0, trials) == pytest.approx(1 - 0.05 ** (1 / trials), abs=1e-9)


def test_upper_bound_matches_tables() -> None:
    assert upper_bound(1, 10) == pytest.approx(0.3942, abs=1e-4)
    assert upper_bound(5, 50) == pytest.approx(0.1988, abs=5e-4)
    assert upper_bound(10, 10) == 1.0
    assert upper_bound(0, 0) == 1.0


def test_truth_ratio_separates_knowing_from_guessing() -> None:
    assert log_truth_ratio(-1.0, [-1.0, -1.0]) == pytest.approx(0.0)
    assert log_truth_ratio(-0.1, [-5.0, -5.0]) == pytest.approx(-4.9)
    assert log_truth_ratio(-3.0, [math.log(0.1), math.log(0.3)]) == pytest.approx(math.log(0.2) + 3.0)


@pytest.mark.parametrize(("scaled", "chance"), [(0.828, 0.4993), (1.0, 0.2700), (1.3581, 0.05), (1.6276, 0.01)])
def test_ks_p_value_tends_to_kolmogorovs_distribution(scaled: float, chance: float) -> None:
    assert ks_p_value(scaled / math.sqrt(1500), 3001, 2999) == pytest.approx(chance, rel=0.06)


@pytest.mark.parametrize(("first", "second"), [(1, 1), (3, 4), (5, 5), (4, 7)])
def test_ks_p_value_counts_the_orders_in_which_samples_can_be_mixed(first: int, second: int) -> None:
    mixed = [
        ks_statistic(chosen, [rank for rank in range(first + second) if rank not in chosen])
        for chosen in combinations(range(first + second), first)
    ]
    for statistic in sorted(set(mixed)):
        share = sum(other >= statistic - 1e-12 for other in mixed) / len(mixed)
        assert ks_p_value(statistic, first, second) == pytest.approx(share, abs=1e-9)


@pytest.mark.parametrize("size", [3, 40, 200, 400])
def test_ks_p_value_of_samples_that_lie_apart_is_two_orders_of_all(size: int) -> None:
    assert ks_p_value(1.0, size, size) == pytest.approx(2 / math.comb(2 * size, size))


def test_far_tail_of_ks_follows_kolmogorovs_series() -> None:
    first, second, statistic = 2410, 7190, 0.07
    root = math.sqrt(first * second / (first + second))
    series = 2 * math.exp(-2 * (statistic * (root + 0.12 + 0.11 / root)) ** 2)
    assert series < 1e-6
    assert ks_p_value(statistic, first, second) == pytest.approx(series, rel=0.1)


def test_ks_p_value_falls_with_distance_and_with_sample_size() -> None:
    assert ks_p_value(0.0, 30, 30) == 1.0
    falling = [ks_p_value(d, 30, 30) for d in (0.05, 0.1, 0.2, 0.4, 0.8, 1.0)]
    assert falling == sorted(falling, reverse=True)
    assert ks_p_value(0.2, 300, 300) < ks_p_value(0.2, 30, 30)


@pytest.mark.parametrize(
    ("hits", "strength"),
    [
        ([True, True, True, True], 1.0),
        ([False, True, True, True], 0.75),
        ([True, False, True, True], 0.5),
        ([True, True, True, False], 0.0),
        ([False, False], 0.0),
    ],
)
def test_extraction_strength_is_what_can_be_finished(hits: list[bool], strength: float) -> None:
    assert extraction_strength(hits) == strength


def test_extraction_strength_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one token"):
        extraction_strength([])
