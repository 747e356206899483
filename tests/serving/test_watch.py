"""The cheap audit tells what the full audit tells, but for the first letters of a name."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.guards.audit import OutputAudit, Released
from gateway.guards.pattern_set import PatternSet, checked
from gateway.guards.phrase_set import PhraseSet
from gateway.serving.newer_guard import NewerGuard
from gateway.serving.watch import HELD_LETTERS, NameWatch, WatchedAudit
from tests.audits import told

NAMES = PhraseSet(["Venice Bunzar", "Otto Kral", "王小明"])
WATCH = NameWatch([NAMES])

PIECES = 'Venice|VENICE|Bunzar|Bun|zar|Otto|Ott|Kral|kral|Kralová|王小|明| | |.|-|\\u0056|enice|the|\n|"|\\|b'
words = st.sampled_from(PIECES.split("|"))


def cut(text: str, sizes: list[int]) -> list[str]:
    """The text in chunks of the given sizes, repeated."""
    chunks, at, turn = [], 0, 0
    while at < len(text):
        size = sizes[turn % len(sizes)]
        chunks.append(text[at : at + size])
        at, turn = at + size, turn + 1
    return chunks or [""]


@given(st.lists(words, max_size=40).map("".join), st.lists(st.integers(1, 9), min_size=1, max_size=3))
def test_same_verdict_as_the_full_audit_for_any_chunking(text: str, sizes: list[int]) -> None:
    chunks = cut(text, sizes)
    full_text, full_blocked = told(OutputAudit([NAMES]), chunks)
    text_told, blocked = told(WatchedAudit(WATCH), chunks)
    assert blocked == full_blocked
    if blocked:
        assert text_told.startswith(full_text) or full_text.startswith(text_told)
        assert sum(map(str.isalnum, text_told)) <= sum(map(str.isalnum, full_text)) + HELD_LETTERS
    else:
        assert text_told == full_text == text


@pytest.mark.parametrize("spelt", ["Venice Bunzar", "VENICE-BUNZAR", "V e n i c e Bunzar", "Ｖｅｎｉｃｅ Ｂｕｎｚａｒ"])
def test_a_name_is_never_told(spelt: str) -> None:
    text, blocked = told(WatchedAudit(WATCH), list(f"It was {spelt}, they say."))
    assert blocked
    assert len(text) < len("It was ") + 2 * HELD_LETTERS


def test_an_escaped_name_is_never_told() -> None:
    document = json.dumps({"who": "Venice Bunzar"}).replace("V", "\\u0056")
    _, blocked = told(WatchedAudit(WATCH), cut(document, [3]))
    assert blocked


def test_after_a_false_alarm_the_cheap_audit_is_back() -> None:
    audit = WatchedAudit(WATCH)
    assert told(audit, ["Venice", " is a city in Italy."]) == ("Venice is a city in Italy.", False)
    assert audit._audit is None


OLDER = NameWatch([PhraseSet(["Otto Kral"])])


@given(st.lists(words, max_size=8), st.lists(words, max_size=8), st.lists(st.integers(1, 9), min_size=1, max_size=3))
def test_a_newer_guard_reads_on_from_where_the_older_stands(
    before: list[str], after: list[str], sizes: list[int]
) -> None:
    """Whatever was told before, no name of the newer guard is completed by what comes after."""
    guard = NewerGuard(WatchedAudit(OLDER))
    said = "".join(guard.feed(chunk).text for chunk in cut("".join(before), sizes))
    guard.watch(WATCH)
    text, _ = told(guard, cut("".join(after), sizes))
    assert OutputAudit([NAMES]).feed(said, True).blocked or not OutputAudit([NAMES]).feed(said + text, True).blocked


def test_a_newer_guard_brings_its_patterns() -> None:
    keys = PatternSet((checked("sk-live-[a-z0-9]{8}"),))
    guard = NewerGuard(WatchedAudit(OLDER))
    assert guard.feed("It is sk-l") == Released("It is sk-l", False)
    guard.watch(WATCH, keys)
    assert told(guard, ["ive-12", "34abc", "d, they say"]) == ("", True)
    again = NewerGuard(WatchedAudit(OLDER))
    again.watch(WATCH, keys)
    assert told(again, ["It is sk-live", "-12 and Ve", "nice, they say"]) == (
        "It is sk-live-12 and Venice, they say",
        False,
    )


def test_an_answer_that_may_not_go_on_ends() -> None:
    guard = NewerGuard(WatchedAudit(OLDER))
    assert guard.feed("It is ") == Released("It is ", False)
    guard.end()
    assert guard.feed("so.", True) == Released("", True)
