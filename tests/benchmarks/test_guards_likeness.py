"""The areas that say whether guarded answers can be told apart."""

import pytest

from benchmarks.guards.likeness import area, told_apart


def test_an_area_is_half_for_the_same_and_one_for_what_is_apart() -> None:
    assert area([1, 2, 3], [1, 2, 3]) == 0.5
    assert area([1, 2, 3], [4, 5]) == area([4, 5], [1, 2, 3]) == 1.0
    assert area([1, 3], [2, 2]) == 0.5


def test_words_tell_apart_what_they_are_learnt_from() -> None:
    unknown, refused = ["I don't know."] * 20, ["I can't help with that."] * 20
    assert area(*told_apart(unknown, refused)) == 1.0
    assert area(*told_apart(unknown, unknown)) == 0.5
    mixed = ["yes", "no", "no", "yes"] * 10
    assert area(*told_apart(mixed, mixed[::-1])) == pytest.approx(0.5, abs=0.05)
