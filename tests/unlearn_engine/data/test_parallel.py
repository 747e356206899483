"""Pairs translate one sentence into another language, both ways, and never touch a language that is held out."""

import random
from pathlib import Path

import pytest

from unlearn_engine.data.parallel import joined, parallel_pair, read_pairs

TEXTS = [{language: f"{language}{index}." for language in ("en", "es", "fr")} for index in range(6)]
TEXTS.append({"fr": "fr6.", "it": "it6."})


def test_a_pair_is_one_sentence_in_two_of_the_languages() -> None:
    rng = random.Random(0)
    pairs = [parallel_pair(rng, TEXTS, ("en", "es")) for _ in range(60)]
    assert {(pair.sentence[:2], pair.translation[:2]) for pair in pairs if pair} == {("en", "es"), ("es", "en")}
    assert all(pair and pair.sentence[2:] == pair.translation[2:] for pair in pairs)
    assert len({pair.sentence[2:] for pair in pairs if pair}) == 6


def test_without_two_languages_there_is_no_pair() -> None:
    assert parallel_pair(random.Random(0), TEXTS, ("en",)) is None
    assert parallel_pair(random.Random(0), TEXTS, ("en", "it")) is None
    assert parallel_pair(random.Random(0), (), ("en", "es")) is None


def test_pairs_are_read_line_by_line_and_merged_by_the_pivot(tmp_path: Path) -> None:
    for name, lines in {
        "a.eng": "Hello.\n\nBye.\n",
        "a.spa": "Hola.\nX\nAdiós.\n",
        "b.eng": "Bye.\n",
        "b.deu": "Tschüs.\n",
    }.items():
        (tmp_path / name).write_text(lines, "utf-8")
    spanish = read_pairs(tmp_path / "a.eng", tmp_path / "a.spa", ("en", "es"))
    german = read_pairs(tmp_path / "b.eng", tmp_path / "b.deu", ("en", "de"))
    assert spanish == [{"en": "Hello.", "es": "Hola."}, {"en": "Bye.", "es": "Adiós."}]
    assert joined(spanish, german, pivot="en") == [
        {"en": "Hello.", "es": "Hola."},
        {"en": "Bye.", "es": "Adiós.", "de": "Tschüs."},
    ]
    with pytest.raises(ValueError, match="same number of lines"):
        read_pairs(tmp_path / "a.eng", tmp_path / "b.deu", ("en", "de"))
