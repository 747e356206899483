"""What is ruled out by arithmetic in a long text could not have matched."""

import random
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.guards.disguises import WAYS
from gateway.guards import ciphers, encodings, pieces
from gateway.guards.matcher import NameMatcher
from gateway.guards.normalise import codes_of
from gateway.guards.places import LONG_TEXT, Beginnings, matches

EXPRESSIONS: dict[str, tuple[re.Pattern[str], Beginnings]] = {
    **{str(number): reader[:2] for number, reader in enumerate(ciphers._READERS)},
    "numbered": (pieces._NUMBERED, pieces._numbered_beginnings),
    "middle": (pieces._MIDDLE, pieces._middle_beginnings),
    "drawn out": (pieces._DRAWN_OUT, pieces._thrice_beginnings),
    "spread": (encodings._SPREAD, encodings._spread_beginnings),
}
SIGNIFICANT = [
    *"0179abqAB.,-\n)(+:;\\|/_–=&\"'“”«é가\u0301ɐǝɹ😀𝟏٣⠁⠃\ufe00\U000e0101·•[]{}% ",
    *("65, ", "chr(66)+", ")  .chr(", "1) a ", "2. b\n", ". ", "-- / ", "0" * 9, "1" * 29, "aaa", "a A. b ", "x y z "),
]
SPELT = ["alfa ", "Echo, ", "golf ", "Mi\u212ae ", "Sierra-", "os\u017fcar ", "x-ray ", "xray", "lima / ", "ß", "inns "]
LABELLED = [
    *(
        "first name",
        "Laſt",
        "fırst: ",
        "family",
        "surname",
        "Familienname",
        "apelido",
        "отчество",
        "фамилия: ",
        "имя ",
        "姓：",
        "名",
    ),
    *(
        "nom de famille",
        "sobrenome",
        "given_names",
        "middle names = ",
        "prénom est ",
        "and ",
        "with the ",
        "; ((\n<",
        "Ana",
        ": ",
        " is ",
        "ß",
    ),
]
FILLER = "The bakery on the corner sells bread. "
LONG = "." * LONG_TEXT


@pytest.mark.parametrize("name", EXPRESSIONS)
@given(some=st.data())
def test_an_expression_matches_at_the_same_places(name: str, some: st.DataObject) -> None:
    pattern, beginnings = EXPRESSIONS[name]
    few = some.draw(st.lists(st.sampled_from(SIGNIFICANT), min_size=1, max_size=8))
    text = "".join(some.draw(st.lists(st.sampled_from(few), max_size=80)))
    for said in (text, f"{text}{LONG}", f"{LONG}{text}"):
        every = [found.span() for found in pattern.finditer(said)]
        assert {start for start, _ in every} <= {*beginnings(codes_of(said)).tolist()}
        assert [found.span() for found in matches(pattern, said, beginnings)] == every


@given(st.lists(st.sampled_from(SPELT), max_size=30).map("".join))
def test_spelling_words_are_read_in_a_long_text_as_in_a_short_one(text: str) -> None:
    assert [*ciphers.ciphers(f"{text}{LONG}")] == [*ciphers.ciphers(text)]


@given(st.lists(st.sampled_from(LABELLED), max_size=16).map("".join))
def test_labels_are_read_in_a_long_text_as_in_a_short_one(text: str) -> None:
    assert [*pieces.left_out(f"{text}{LONG}")] == [*pieces.left_out(f"{text}..")]


@given(st.lists(st.sampled_from([*"aZ3+/=\r\n ", "Z" * 9, "\r\n"]), max_size=30).map("".join))
def test_wrapped_lines_begin_where_they_or_the_line_before_do(text: str) -> None:
    line = re.compile(r"[A-Za-z0-9+/]{4,76}\r?\Z")
    wrapped = [
        (found, line.search(text[max(0, found.start() - 76) : found.start()]))
        for found in encodings._WRAPPED.finditer(text)
    ]
    expected = [(found.start() - len(before[0]), found.end()) for found, before in wrapped if before]
    expected += [(found.start() + 1, found.end()) for found, _ in wrapped if "\n" in found[0][1:]]
    assert sorted(encodings._wrapped(text)) == sorted(expected)


@given(st.lists(st.sampled_from([*"ɐǝɹbq aZ·.'"]), max_size=40).map("".join))
def test_what_is_upside_down_is_read_in_a_long_text_as_in_a_short_one(text: str) -> None:
    assert [*ciphers.ciphers(f"{text}\n{LONG}")] == [*ciphers.ciphers(f"{text}\n")]


@pytest.mark.parametrize("kind", WAYS)
def test_disguises_are_seen_in_a_long_text_as_in_a_short_one(kind: str) -> None:
    rng = random.Random(kind)
    for way in WAYS[kind].values():
        said = f"{way(rng, 'Krato Palorin')}\n"
        for read in (ciphers.ciphers, pieces.left_out, encodings._packed):
            short = [*read(said)]
            padding = "! " * (LONG_TEXT // 2)
            assert [*read(said + padding)] == short
            assert [what for _, _, what in read(padding + said)] == [what for _, _, what in short]


@pytest.mark.parametrize("kind", WAYS)
def test_who_is_named_is_found_anywhere_in_a_long_text_as_in_a_short_one(kind: str) -> None:
    matcher, rng = NameMatcher({"a": ["Krato Palorin"], "b": ["Mirela Dovanic"]}), random.Random(kind)
    for way in WAYS[kind].values():
        said = way(rng, "Krato Palorin")
        alone = matcher.find(f"{FILLER}\n{said}\n{FILLER}")
        for before, behind in ((1, 90), (45, 45), (90, 1)):
            long = matcher.find(f"{FILLER * before}\n{said}\n{FILLER * behind}")
            shift = (before - 1) * len(FILLER)
            assert long == [replace(match, start=match.start + shift, end=match.end + shift) for match in alone]
