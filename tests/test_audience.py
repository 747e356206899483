"""Tests of the audience switch's one rule."""

import pytest
from pydantic import TypeAdapter, ValidationError

from gateway.audience import Audience, audiences, withheld


@pytest.mark.parametrize(
    ("subject", "caller", "is_withheld"),
    [
        (set(), {"staff"}, True),
        (set(), set(), True),
        ({"public"}, set(), True),
        ({"public"}, {"public"}, True),
        ({"public"}, {"staff"}, False),
        ({"public"}, {"staff", "public"}, True),
        ({"public", "partners"}, {"partners"}, True),
    ],
)
def test_only_a_known_caller_outside_every_named_audience_gets_a_subject(subject, caller, is_withheld):
    assert withheld(frozenset(subject), frozenset(caller)) is is_withheld


def test_nobody_is_known_unless_a_key_says_so():
    assert audiences.get() == frozenset()


@pytest.mark.parametrize("name", ["", "Staff", "-staff", "a b", "a" * 65, "st\u0430ff", "staff\n"])
def test_an_audience_is_a_plain_word(name):
    with pytest.raises(ValidationError):
        TypeAdapter(Audience).validate_python(name)
