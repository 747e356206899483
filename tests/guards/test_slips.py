"""One wrong letter: a slip in a name, or another person's name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.guards.matcher import NameMatcher
from gateway.guards.names import spellings
from gateway.guards.normalise import fold
from gateway.guards.slips import is_slip, one_wrong


def taken_for(written: str, name: str) -> bool:
    return NameMatcher({"a": [name]}).find(f"What does {written} do?") != []


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("Rabo Kelrin", "Rwbo Kelrin"),
        ("Rabo Kelrin", "Rao Kelrin"),
        ("Rabo Kelrin", "Raabo Kelrin"),
        ("Rabo Kelrin", "Rbao Kelrin"),
        ("Rabo Kelrin", "Rabo Kelrn"),
        ("Rabo Domoo", "Rabo Domo"),
        ("Dana Kelrin", "Dqna Kelrin"),
        ("Marina Kelrin", "Marjna Kelrin"),
        ("Anna Sorvold Kelrin", "Anna Sorvld Kelrin"),
    ],
)
def test_a_slip_is_forgiven(name: str, written: str) -> None:
    assert taken_for(written, name)


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("Dana Kelrin", "Dina Kelrin"),
        ("Marina Kelrin", "Martina Kelrin"),
        ("Ana Kelrinov", "Anna Kelrinov"),
        ("Leon Kelrin", "Lean Kelrin"),
        ("Mike Kelrin", "Make Kelrin"),
        ("Dana Green", "Dqna Green"),
        ("Rabo Kelr", "Rwbo Kelr"),
        ("Rabo Kelrin", "Rabe Kelrin"),
        ("Rabo Kelrin", "Tabo Kelrin"),
    ],
)
def test_another_name_or_too_little_of_this_one_is_let_through(name: str, written: str) -> None:
    assert not taken_for(written, name)


words = st.text(alphabet="abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=8)


@given(st.lists(words, min_size=1, max_size=4), st.data())
def test_any_wrong_letter_is_judged(parts: list[str], data: st.DataObject) -> None:
    name = spellings([" ".join(parts)])[0][0]
    at = data.draw(st.integers(0, len(name.letters)))
    put = data.draw(st.text(alphabet="abcxyz", max_size=1))
    cut = data.draw(st.integers(0, 1))
    written = name.letters[:at] + put + name.letters[at + cut :]
    if one_wrong(written, name.letters) and is_slip(written, name):
        assert fold(written).text[0] == name.letters[0]
