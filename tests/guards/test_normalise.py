"""Folding: total, the same for streams, with spans that lead back to the source."""

import unicodedata
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.guards.lookalike import fold_lookalike, lookalike_key
from gateway.guards.normalise import BARRIER, EDGE, SYMBOLS, Kind, fold, respellings

any_text = st.text(alphabet=st.characters(), max_size=60)  # lone surrogates too


@given(any_text)
def test_spans_are_ordered_and_lead_back_to_the_letters(text: str) -> None:
    folded = fold(text)
    assert len(folded.edges) == len(folded.text) + 1
    assert len(folded.starts) == len(folded.ends) == len(folded.text)
    assert (np.diff(folded.starts) >= 0).all()
    assert (folded.starts < folded.ends).all()
    for letter, start, end in zip(folded.text, folded.starts, folded.ends, strict=True):
        assert letter in SYMBOLS[text[start]].letters
        assert all(SYMBOLS[char].kind == Kind.IGNORED for char in text[start + 1 : end])


@given(any_text)
def test_a_stream_folds_like_the_whole(text: str) -> None:
    letters, edges, last = "", [], Kind.SEPARATOR
    for char in text:
        symbol = SYMBOLS[char]
        if symbol.kind != Kind.IGNORED:
            edges += [position == 0 and bool(EDGE[last, symbol.kind]) for position in range(len(symbol.letters))]
            letters += symbol.letters
            last = symbol.kind
    folded = fold(text)
    assert folded.text == letters
    assert list(folded.edges) == [*map(int, edges), 1]


@given(any_text)
def test_folding_folded_text_changes_nothing(text: str) -> None:
    assert fold(fold(text).text).text == fold(text).text


@given(any_text)
def test_looks_can_be_folded_whatever_the_text(text: str) -> None:
    folded = fold_lookalike(text)
    assert folded is None or len(folded.starts) == len(folded.text) == len(folded.edges) - 1


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=40))
def test_composed_and_decomposed_text_agree(text: str) -> None:
    composed, decomposed = (fold(unicodedata.normalize(form, text)).text for form in ("NFC", "NFD"))
    assert composed == decomposed


@pytest.mark.parametrize(
    ("written", "letters"),
    [
        ("Rabo KELRIN", "rabokelrin"),
        ("Ｒａｂｏ", "rabo"),
        ("R\u00ada\u200bb\ufeffo\u2060", "rabo"),
        ("Ráḃô Łukaš Øre", "rabolukasore"),
        ("Rаbо", "rabo"),
        ("Ραbο", "pabo"),
        ("𝓡𝕒𝖇ⓞ 🅡🄰🇧ᴏ", "raborabo"),
        ("Straße, ﬁn, Ĳ", "strassefinij"),
        ("١٢٣", "123"),
        ("라보 라보", "라보라보"),
        ("ｶﾞガ", "ガガ"),
        ("राम/रोम", "रामरोम"),
        ("", ""),
        ("—…\n\t", ""),
    ],
)
def test_letters(written: str, letters: str) -> None:
    assert fold(written).text == unicodedata.normalize("NFKD", letters)


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("Rabo Kelrin", ["rabo", "kelrin"]),
        ("aboutRaboKelrin", ["about", "rabo", "kelrin"]),
        ("KELRIN", ["kelrin"]),
        ("R2D2", ["r", "2", "d", "2"]),
        ("问Rabo的", ["问", "rabo", "的"]),
        ("한글", ["한", "글"]),
        ("Ra\u0301bo", ["rabo"]),
        ("straße", ["strasse"]),
        ("राम", ["राम"]),
    ],
)
def test_words_begin_at_edges(written: str, words: list[str]) -> None:
    folded = fold(written)
    begins = [at for at, edge in enumerate(folded.edges) if edge]
    found = [folded.text[a:b] for a, b in pairwise(begins)]
    assert found == [unicodedata.normalize("NFD", word) for word in words]


def test_a_barrier_is_kept_and_stands_apart() -> None:
    folded = fold(f"Ra{BARRIER}bo")
    assert folded.text == f"ra{BARRIER}bo"
    assert list(folded.edges) == [1, 0, 1, 1, 0, 1]


@pytest.mark.parametrize("written", ["R4b0 K3lr1n", "rabo keIrin", "RAB0 KE|RIN", "R@bo K3!rin"])
def test_names_by_their_look(written: str) -> None:
    folded = fold_lookalike(written)
    assert folded is not None
    assert folded.text == lookalike_key("rabokelrin")


@pytest.mark.parametrize("written", ["Rabo Kelrin lives here. 12 dogs!", "", "$ 100"])
def test_ordinary_text_has_no_second_look(written: str) -> None:
    assert fold_lookalike(written) is None


def test_umlauts_have_a_second_spelling() -> None:
    assert respellings("Jörg Müller") == ("Jörg Müller", "Joerg Mueller")
    assert respellings("Jo\u0308rg") == ("Jo\u0308rg", "Joerg")
    assert respellings("Rabo") == ("Rabo",)
