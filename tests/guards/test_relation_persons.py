"""Nouns that can mean people, in eight languages, and those that cannot."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.guards.relation_persons import may_mean_somebody
from gateway.guards.relations import chains

RELATIONS = json.loads((Path(__file__).parent / "person_relations.json").read_text("utf-8"))
LANGUAGES = ("en", "es", "de", "fr", "it", "pt", "ru", "zh")


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_relation_to_a_person_is_lost(language: str) -> None:
    """Kinship, friends, teachers, trades, offices: some ninety in each language, in a question about the person."""
    question, phrases = RELATIONS[language]
    lost = [phrase for phrase in phrases if not chains(question.replace("{}", phrase))]
    assert not lost and len(phrases) > 80


@pytest.mark.parametrize(
    ("language", "phrases"),
    [
        (
            "en",
            "the capital|the population|the end|the number|the time|the cause|the headquarters|'s books|'s birthplace",
        ),
        ("es", "la capital|la población|el fin|el número|la época|la causa|la sede|los libros|la carrera"),
        (
            "de",
            "die Hauptstadt|die Bevölkerung|das Ende|die Zahl|die Zeit|die Ursache|der Sitz|die Bücher|die Bedeutung",
        ),
        ("fr", "la capitale|la population|la fin|le nombre|l'époque|la cause|le siège|les livres|la naissance"),
        ("it", "la capitale|la popolazione|la fine|il numero|il tempo|la causa|la sede|i libri|la nascita"),
        ("pt", "a capital|a população|o fim|o número|a época|a causa|a sede|os livros|o nascimento"),
        ("ru", "столица|население|конец|число|время|причина|история|книги|рождение"),
        ("zh", "的首都|的人口|的数量|的时间|的原因|的历史|的书|的出生地|的面积"),
    ],
)
def test_what_is_no_person_is_not_asked_about(language: str, phrases: str) -> None:
    assert not [phrase for phrase in phrases.split("|") if may_mean_somebody(phrase, language)]


def test_of_a_rare_word_nobody_knows_what_it_means() -> None:
    assert may_mean_somebody("the consigliere", "en") and may_mean_somebody("el matasanos", "es")
    assert not may_mean_somebody("the blorpness", "en"), "unless its ending tells"
    assert not may_mean_somebody("the quixotic capital", "en"), "or the word beside it"


def test_what_is_no_person_may_lead_to_one() -> None:
    (found,) = chains("Where was the author of the favourite book of Ada Quist born?")
    assert [relation.asked("X") for relation in found.relations] == [
        "Who is the favourite book of X?",
        "Who is the author of X?",
    ]
    assert not chains("Where is the favourite book of Ada Quist?")


@given(st.text(max_size=60), st.sampled_from(LANGUAGES))
def test_any_text_is_judged(phrase: str, language: str) -> None:
    assert may_mean_somebody(phrase, language) in (True, False)
