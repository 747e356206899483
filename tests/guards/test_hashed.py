"""Phrases known by their hashes only: found at word borders, in any spelling, without giving anything away."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.guards.audit import OutputAudit
from gateway.guards.hashed import MOST_LETTERS, HashedPhrases, hashed, loaded
from gateway.guards.normalise import fold

KEY, OTHER_KEY = b"k" * 32, b"o" * 32
PHRASES = ["Venice", "Rabo Kelrin", "里斯本", "教师", "4821", "Schildkröte", "Li Na", "Ng", "dissolve the sodium azide"]


@pytest.fixture(scope="module")
def phrases() -> HashedPhrases:
    return hashed(PHRASES, KEY, "r1")


def audited(phrases: HashedPhrases, text: str) -> tuple[str, bool]:
    verdict = OutputAudit([phrases]).feed(text, final=True)
    return verdict.text, verdict.blocked


@pytest.mark.parametrize(
    ("text", "released"),
    [
        ("in Venice, of course", "in "),
        ("Venices", ""),
        ("V e n i c e", ""),
        ("Ｖｅｎｉｃｅ", ""),
        ('{"city": "\\u0056enice"}', '{"city": "'),
        ("Rabo-Kelrin's dog", ""),
        ("RaboKelrin", ""),
        ("他是教师。", "他是"),
        ("在里斯本出生", "在"),
        ("no. 4 8 2 1", "no. "),
        ("the Schildkroete", "the "),
        ("Li Na", ""),
        ("and Ng", "and "),
        ("first DISSOLVE the sodium azide", "first "),
    ],
)
def test_what_is_found(phrases: HashedPhrases, text: str, released: str) -> None:
    assert audited(phrases, text) == (released, True)


@pytest.mark.parametrize(
    "text", ["Venicex", "Venetia is in Ven", "Lina", "ongoing", "48215", "Kelrin", "dissolve the sodium", "教授师"]
)
def test_what_is_let_through_as_it_is(phrases: HashedPhrases, text: str) -> None:
    assert audited(phrases, text) == (text, False)


def test_text_is_held_only_while_a_phrase_may_be_under_way(phrases: HashedPhrases) -> None:
    audit = OutputAudit([phrases])
    said = "The quick brown fox jumps over eleven lazy hounds and runs away "
    released = 0
    for position, char in enumerate(said, start=1):
        released += len(audit.feed(char).text)
        assert position - released <= 4  # letters of an opening, and a space


def test_nothing_can_be_read_in_what_is_stored(phrases: HashedPhrases) -> None:
    stored = phrases.dumped()
    assert loaded(stored, KEY) == phrases
    for phrase in (one for one in PHRASES if len(one) > 2 or not one.isascii()):
        letters = fold(phrase).text
        for hidden in (phrase, letters, json.dumps(phrase), letters.encode().hex()):
            assert hidden not in stored
    assert KEY.hex() not in stored and repr(KEY) not in repr(phrases)


def test_another_key_finds_nothing_and_another_request_has_other_digests(phrases: HashedPhrases) -> None:
    assert audited(loaded(phrases.dumped(), OTHER_KEY), "in Venice")[1] is False
    other = hashed(PHRASES, KEY, "r2")
    assert all(phrases.digests[length].isdisjoint(other.digests[length]) for length in phrases.digests)


def test_what_the_prompt_states_is_left_out(phrases: HashedPhrases) -> None:
    rest = phrases.without_stated("Li Na lives in VENICE with 4821 people.")
    assert not any(audited(rest, text)[1] for text in ("Venice", "Li Na", "4821"))
    assert all(audited(rest, text)[1] for text in ("Rabo Kelrin", "教师"))


def test_of_a_long_phrase_the_first_words_count() -> None:
    long = " ".join(["extraordinarily", "longwinded"] * 5)
    assert len(fold(long).text) > MOST_LETTERS
    assert audited(hashed([long], KEY, "r"), f"It is {long}.") == ("It is ", True)


@given(st.lists(st.text(max_size=30), max_size=6), st.text(max_size=60))
def test_any_text_is_taken(forbidden: list[str], text: str) -> None:
    phrases = hashed(forbidden, KEY, "r")
    assert loaded(phrases.dumped(), KEY) == phrases
    released, blocked = audited(phrases, text)
    assert text.startswith(released) and (blocked or released == text)
    assert not phrases.without_stated(" ".join(forbidden)).complete(text) or not forbidden
