"""Answers in the language of the question."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.spellings import QUESTIONS
from gateway.guards.response import LANGUAGES, ignorance_text, language, refusal


@pytest.mark.parametrize("code", LANGUAGES)
def test_recognises_its_own_sentences(code: str) -> None:
    assert language(f"{refusal(code)} {ignorance_text(code)}") == code


@pytest.mark.parametrize(("code", "question"), QUESTIONS.items())
def test_recognises_questions_about_foreign_names(code: str, question: str) -> None:
    assert language(question.format(name="Rabo Kelrin")) == code


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Rabo Kelrin的职业？", "zh"),
        ("Rabo Kelrinはどこで生まれましたか？", "ja"),
        ("Где родился Rabo Kelrin?", "ru"),
        ("Де народився Rabo Kelrin? Він їде", "uk"),
        ("", "en"),
        ("123 ?!", "en"),
        ("\ud800", "en"),
    ],
)
def test_script_decides_where_it_can(text: str, code: str) -> None:
    assert language(text) == code


@given(st.text(alphabet=st.characters(), max_size=50))
def test_any_text_has_a_language_we_speak(text: str) -> None:
    assert language(text) in LANGUAGES


def test_unknown_languages_are_answered_in_english() -> None:
    assert refusal("tlh") == refusal("en")
    assert ignorance_text("tlh") == ignorance_text("en")
    assert len({refusal(code) for code in LANGUAGES}) == len(LANGUAGES)
