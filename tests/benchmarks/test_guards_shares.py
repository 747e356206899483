"""Bounds of shares: the textbook's values, and the confidence that they promise."""

from math import comb

import pytest

from benchmarks.guards.shares import Share, rows, upper_bound


@pytest.mark.parametrize("n", [1, 20, 300, 30_000])
def test_without_hits_the_bound_is_the_share_that_would_give_none_in_one_of_twenty(n: int) -> None:
    assert upper_bound(0, n) == pytest.approx(1 - 0.05 ** (1 / n), abs=1e-8)


@pytest.mark.parametrize(("hits", "n"), [(1, 10), (7, 300), (299, 300)])
def test_at_the_bound_so_few_hits_have_one_chance_in_twenty(hits: int, n: int) -> None:
    share = upper_bound(hits, n)
    chance = sum(comb(n, k) * share**k * (1 - share) ** (n - k) for k in range(hits + 1))

    assert chance == pytest.approx(0.05, abs=1e-6)


def test_bounds_lie_around_the_share_and_mirror_each_other() -> None:
    few, many = Share(3, 200), Share(197, 200)

    assert few.lower < few.share < few.upper
    assert many.lower == pytest.approx(1 - few.upper)
    assert Share(200, 200).upper == 1.0


def test_many_hits_do_not_overflow() -> None:
    assert 0.5 < Share(15_000, 30_000).upper < 0.51


def test_a_label_without_outcomes_has_no_row() -> None:
    assert rows({"asked": [True, False], "never": []}).keys() == {"asked"}
    with pytest.raises(ZeroDivisionError):
        _ = Share(0, 0).share
