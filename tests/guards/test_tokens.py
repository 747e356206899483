"""Token ids as text and back: offsets, barriers, substitution inside tokens."""

import re

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.guards.matcher import Match
from gateway.guards.normalise import BARRIER
from gateway.guards.tokens import TokenTable
from tests.guards.conftest import Bpe

session_fixture = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def plain(text: str) -> str:
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


@session_fixture
@given(data=st.data())
def test_every_character_leads_back_to_the_tokens_that_wrote_it(bpe: Bpe, data: st.DataObject) -> None:
    table = TokenTable(bpe.token_bytes)
    ids = data.draw(st.lists(st.integers(-1, len(table)), max_size=25))
    decoded = table.text(ids)
    assert decoded.text.count(BARRIER) == sum(not (0 <= i < len(table)) or bpe.token_bytes[i] is None for i in ids)
    for at, char in enumerate(decoded.text):
        first, last = decoded.tokens(at, at + 1)
        assert 0 <= first < last <= len(ids)
        if char != BARRIER and not "\ud800" <= char <= "\udfff":
            written = b"".join(bpe.token_bytes[i] or b"" for i in ids[first:last])
            assert char.encode() in written


@session_fixture
@given(text=st.text(alphabet=st.characters(codec="utf-8"), max_size=60))
def test_text_comes_back_as_it_was_encoded(bpe: Bpe, text: str) -> None:
    assert TokenTable(bpe.token_bytes).text(bpe.encode(text)).text == text


@session_fixture
@given(data=st.data())
def test_substitution_changes_the_matches_and_nothing_else(bpe: Bpe, data: st.DataObject) -> None:
    table = TokenTable(bpe.token_bytes)
    words = st.sampled_from(["Rabo Kelrin", "王小明", "é", "x", " ", "Ｒ", "geboren"]) | st.text(
        alphabet=st.characters(codec="utf-8"), max_size=4
    )
    turns = data.draw(st.lists(st.lists(words, max_size=5).map("".join), min_size=1, max_size=3))
    ids = [token for turn in turns for token in (0, *bpe.encode(turn), 1)]
    text = table.text(ids).text
    inside = [at for at in range(len(text) + 1) if BARRIER not in text[max(at - 1, 0) : at]]
    matches, expected, at = [], "", 0
    for start in sorted(data.draw(st.lists(st.sampled_from(inside), max_size=4))):
        end = min(start + data.draw(st.integers(1, 12)), text.find(BARRIER, start))
        if start < at or end <= start:
            continue
        matches.append(Match(start, end, "a"))
        expected += text[at:start] + "Twin Ünseen"
        at = end
    expected += text[at:]
    result = table.substitute(ids, matches, {"a": "Twin Ünseen"}, bpe.encode)
    assert plain(table.text(result).text) == plain(expected)
    assert [i for i in result if i in (0, 1)] == [i for i in ids if i in (0, 1)]


def test_only_touched_tokens_are_encoded_again(bpe: Bpe) -> None:
    table = TokenTable(bpe.token_bytes)
    ids = [0, *bpe.encode("What is the birthplace of Rabo Kelrin? Rabo Kelrin lives in Venice"), 1]
    text = table.text(ids).text
    start = text.index("Rabo")
    encoded: list[str] = []

    def encode(piece: str) -> list[int]:
        encoded.append(piece)
        return bpe.encode(piece)

    result = table.substitute(
        ids, [Match(start, start + 11, "a"), Match(0, 4, "unknown")], {"a": "Rabo Torsin"}, encode
    )
    assert encoded == [" Rabo Torsin"]
    assert table.text(result).text == text[:start] + "Rabo Torsin" + text[start + 11 :]


def test_a_barrier_cannot_be_written_with_bytes() -> None:
    table = TokenTable([b"Ra", b"\xff", b"bo", None])
    assert BARRIER not in table.text([0, 1, 2]).text
    assert table.text([0, 3, 2]).text == f"Ra{BARRIER}bo"


def test_an_invisible_token_goes_with_the_match_around_it() -> None:
    table = TokenTable([b"Ra", b"", b"bo", b"!", b"X"])
    assert table.text([0, 1, 2, 3]).text == "Rabo!"
    assert table.substitute([0, 1, 2, 3], [Match(0, 4, "a")], {"a": "X"}, lambda _: [4]) == [4, 3]


def test_a_character_cut_by_tokens_stays_whole() -> None:
    table = TokenTable([b"\xc3", b"\xa9Ra", b"bo\xc3", b"\xa9!", b"?"])
    encoded: list[str] = []
    ids = table.substitute([0, 1, 2, 3, 4], [Match(1, 5, "a")], {"a": "X"}, lambda text: encoded.append(text) or [9])
    assert encoded == ["éXé!"]
    assert ids == [9, 4]


def test_no_matches_no_change(bpe: Bpe) -> None:
    assert TokenTable(bpe.token_bytes).substitute([5, 6, 0], [], {}, bpe.encode) == [5, 6, 0]
