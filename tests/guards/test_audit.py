"""The output audit: one verdict for any chunking, nothing altered that does not match, nothing held that cannot."""

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.guards.audit import OutputAudit
from gateway.guards.hashed import HashedPhrases, hashed
from gateway.guards.phrase_set import PhraseSet
from tests.guards.test_phrases import ends_in

PHRASES = ["Venice", "Rabo Kelrin", "里斯本", "4821", "Schildkröte"]
REWRITES = {"Rabo Torsin": "R. Kelrin", "Torsin": "Kelrin", "Torsin Velka": "Other Name"}
PIECES = [
    *(
        "Venice",
        "venice",
        "Ｖｅｎｉｃｅ",
        "Ven",
        "ice",
        "V\\u0056",
        "\\u0056enice",
        "\\",
        "\\u00",
        "\\n",
        "\\ud835",
        "\\udc15enice",
    ),
    *(
        "Rabo",
        "Kelrin",
        "Torsin",
        "TORSIN",
        "Velka",
        "s",
        " ",
        " ",
        ".",
        "-",
        "\u0301",
        "里斯",
        "本",
        "48",
        "21",
        "schildkröte",
    ),
]
texts = st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=14).map("".join)


def audited(
    chunks: list[str], phrases: Sequence[str | PhraseSet | HashedPhrases] = PHRASES, rewrites: dict[str, str] = REWRITES
) -> tuple[str, bool]:
    audit = OutputAudit(phrases, rewrites)
    released = [audit.feed(chunk) for chunk in chunks]
    released.append(audit.feed("", final=True))
    return "".join(piece.text for piece in released), released[-1].blocked


# Every kind of table: strings, a set compiled before, hashes, several of them together.
TABLES: list[list[str | PhraseSet | HashedPhrases]] = [
    [*PHRASES],
    [PhraseSet(PHRASES)],
    [hashed(PHRASES, b"k" * 32, "r")],
    [PhraseSet(PHRASES[:2]), hashed(PHRASES[2:], b"k" * 32, "r"), "Ven ice", "教师"],
]


@pytest.mark.parametrize("tables", TABLES)
@given(text=texts, cuts=st.lists(st.integers(0, 60), max_size=8))
def test_the_verdict_does_not_depend_on_the_chunks(
    tables: list[str | PhraseSet | HashedPhrases], text: str, cuts: list[int]
) -> None:
    at = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    chunks = [text[a:b] for a, b in itertools.pairwise(at)]
    assert audited(chunks, tables) == audited([text], tables) == audited(list(text), tables)


@given(text=texts)
def test_hashes_find_no_more_than_the_phrases_themselves(text: str) -> None:
    released, blocked = audited([text], TABLES[2], {})
    assert not blocked or audited([text], PHRASES, {})[1]
    assert text.startswith(released) and (blocked or released == text)


@given(text=texts.filter(lambda text: "\\" not in text))
def test_blocks_exactly_what_the_definition_says(text: str) -> None:
    released, blocked = audited([text], rewrites={})
    assert blocked == ends_in(text + " ", PHRASES, 0)
    assert text.startswith(released)
    assert blocked or released == text


@given(text=st.text(alphabet=st.characters(codec="utf-8", exclude_characters="v4s里rRV\\"), max_size=80))
def test_text_that_cannot_begin_a_match_is_never_held(text: str) -> None:
    audit = OutputAudit(["Venice", "4821", "里斯本", "Schildkröte"], {"Rabo Torsin": "x"})
    for char in text:
        if PhraseSet([char]).letters & set("v4s里r"):
            return
        assert audit.feed(char).text == char


@pytest.mark.parametrize(
    ("written", "released", "blocked"),
    [
        ("He lives in Venice, of course.", "He lives in ", True),
        ('{"city": "\\u0056enice"}', '{"city": "', True),
        ('{"city": "V\\u0065\\u006eice"}', '{"city": "', True),
        ("\\ud835\\udc15enice", "", True),
        ("V e n i c e", "", True),
        ("Venices", "", True),
        ("Venicex Venic", "Venicex Venic", False),
        ("the Schildkröten", "the ", True),
        ("I met Rabo Torsin.", "I met R. Kelrin.", False),
        ("RABO TORSIN said; Torsin's dog", "R. KELRIN said; Kelrin's dog", False),
        ("Rabo\u00a0Torsins Hund", "R. Kelrins Hund", False),
        ("Rabo Torsinek", "Rabo Torsinek", False),
        ("Torsin Velka, Torsin Vel", "Other Name, Kelrin Vel", False),
        ("Torsin lives in Venice with Torsin", "Kelrin lives in ", True),
    ],
)
def test_withholds_and_writes_back(written: str, released: str, blocked: bool) -> None:
    assert audited(list(written)) == (released, blocked)


def test_nothing_follows_a_block() -> None:
    audit = OutputAudit(PHRASES)
    assert audit.feed("in Venice. ").blocked
    assert audit.feed("And more", final=True).text == ""


def test_takes_compiled_sets_and_strings_together() -> None:
    names = PhraseSet(["Rabo Kelrin"])
    assert OutputAudit([names, "Venice"]).feed("Rabo Kelrin!").blocked
    assert OutputAudit([names, "Venice"]).feed("Venice!").blocked
    assert not OutputAudit([]).feed("Venice!").blocked
