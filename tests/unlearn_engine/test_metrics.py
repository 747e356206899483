"""The measures agree with values that can be worked out by hand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unlearn_engine.evaluate.metrics import ks_statistic, log_truth_ratio, upper_bound

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
