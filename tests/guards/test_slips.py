"""Wrong letters: slips in a name, or another person's name."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.guards.typing_errors import ERRORS, everywhere
from gateway.guards.matcher import NameMatcher
from gateway.guards.names import spellings
from gateway.guards.normalise import BARRIER
from gateway.guards.slips import is_first_name, is_slip, one_wrong, words_written


def taken_for(written: str, name: str) -> bool:
    return NameMatcher({"a": [name]}).find(f"What does {written} do?") != []


@pytest.mark.parametrize("name", ["Rabon Kelriv", "Hadro Tomen Zolmek", "Zofrek Al-Halmir", "Рабон Келрив"])
@pytest.mark.parametrize("kind", ERRORS)
def test_one_error_is_forgiven_at_every_letter(name: str, kind: str) -> None:
    matcher = NameMatcher({"a": [name]})
    missed = [
        written
        for written in everywhere(random.Random(7), name, kind)
        if not is_first_name(written.split()[0].lower())
        and [match.target for match in matcher.find(f"Where was {written} born?")] != ["a"]
    ]
    assert missed == []


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
        ("Rabo Kelrin", "Rabp Kelrin"),
        ("Rabo Kelrin", "Tabo Kelrin"),
        ("Rabo Kelrin", "Rabo Kelrina"),
        ("Rabo Kelrin", "TABO KELRIN"),
        ("Rabo Kelrin", "aRbo Kelrin"),
        ("Rabo Kelr", "Rwbo Kelr"),
        ("Rabo Kelrin", "Ravo Kelrn"),
        ("Rabo Kelrin", "Tabo Kelrim"),
        ("Anna Sorvold Kelrin", "Annq Sorvold Kelrim"),
        ("Dana Green", "Dqna Green"),
        ("Anna Petrov", "Anna Petrova"),
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
        ("Leona Kelrin", "Leon Kelrim"),
        ("Rabo Kelrin", "Rabe Kelrin"),
        ("Mina Water", "Mibt Water"),
        ("Mina Water", "Mona Water"),
        ("Mina Water", "Minx Water"),
        ("Anna Hass", "Anna has"),
        ("Li Kelrin", "Li Kelrim"),
        ("Brenda Lai", "Brenda Lam"),
        ("Rabo Lirn", "Ravo Kirn"),
        ("Rabo Kelrin", "Tabor Kelrin"),
        ("Rabo Tomas Kelrin", "Rabi Tomes Kelran"),
        ("Kelrinov", "Kelrino"),
        ("Rabo Kelrin", f"Rabo{BARRIER} Kelrin"),
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
    if one_wrong(written, name.letters):
        ours, theirs = words_written(written, name)
        assert ("".join(ours), "".join(theirs)) == (written, name.letters)
        assert len(parts) > 1 or not is_slip(ours, theirs) or written[0] == name.letters[0]
