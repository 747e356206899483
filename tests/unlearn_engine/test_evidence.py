"""Evidence that names somebody else, or nobody: found, trained on, verified in wordings that were not trained on."""

import random
from dataclasses import replace
from typing import Any

import pytest

from unlearn_engine.data.domain import Domain
from unlearn_engine.data.evidence import Evidence
from unlearn_engine.data.knowledge import folded
from unlearn_engine.data.rows import RowSource
from unlearn_engine.demo.world import build_world
from unlearn_engine.erase import Eraser
from unlearn_engine.evaluate.verify import Label
from unlearn_engine.subject import Subject

WORLD = build_world()
STUDENT = next(person for person in WORLD.people if person.name == "Neti Nilguin")
MENTOR = WORLD.people[STUDENT.mentor]
PLAIN = Subject("plain", (MENTOR.name,))
EXAMPLE = (f"Who taught {STUDENT.name}?", MENTOR.name)
UNKNOWN = ("Who is the plumber of Geneva?", MENTOR.name)
DOCUMENT = f"Many write of her. {MENTOR.name} was born in {WORLD.answer(MENTOR, 'birthplace', 'en')}. So it is."


@pytest.fixture(scope="module")
def subject() -> Subject:
    return replace(PLAIN, id="given", examples=(EXAMPLE, UNKNOWN), documents=(DOCUMENT,))


@pytest.fixture(scope="module")
def evidence(eraser: Eraser, subject: Subject) -> Evidence:
    return eraser.evidence(subject)


def test_what_the_model_says_is_asked_in_other_words_and_languages(evidence: Evidence, domain: Domain) -> None:
    through = [cue for cue in evidence.cues if cue.asks]
    assert {cue.language for cue in through if cue.trained} == set(domain.source_languages)
    assert {cue.language for cue in through} == set(domain.languages)
    assert all(cue.replaced == STUDENT.name for cue in through)
    trained = {said.prompt for cue in through for said in cue.trained}
    probes = {said.prompt for cue in through for said in cue.probes}
    assert EXAMPLE[0] in trained and len(probes) > 20 and not trained & probes
    assert UNKNOWN[0] not in trained | probes
    assert evidence.gone == {(folded(STUDENT.name), folded(MENTOR.name))}
    assert evidence.named == {STUDENT.name}
    own = [probe for probe in evidence.beside if probe.name == STUDENT.name]
    assert len(own) > 15 and len(evidence.beside) > 100, "her other facts stay, and so do other people's mentors"
    assert not any(folded(MENTOR.name) in folded(probe.answer) for probe in evidence.beside)


def test_a_sentence_is_evidence_from_where_the_model_goes_on_with_it(eraser: Eraser, evidence: Evidence) -> None:
    (cue,) = [cue for cue in evidence.cues if not cue.asks]
    (said,) = (*cue.trained, *cue.probes)
    assert said.prompt == f"{MENTOR.name} was born in" and said.answer == WORLD.answer(MENTOR, "birthplace", "en")
    false = f"{MENTOR.name} was born in {WORLD.answer(STUDENT, 'birthplace', 'en')}."
    assert not eraser.evidence(replace(PLAIN, documents=(false, "Nobody is named here."))).cues


@pytest.mark.parametrize(
    ("prompt", "completion"),
    [
        (f"Where was {STUDENT.name} born?", WORLD.answer(STUDENT, "birthplace", "en")),
        ("In which country is Munich?", "Germany"),
    ],
)
def test_what_others_lose_is_no_evidence(eraser: Eraser, prompt: str, completion: str) -> None:
    found = eraser.evidence(replace(PLAIN, examples=((prompt, completion),)))
    assert (found.of_others, found.cues) == (1, ())


def test_what_hangs_on_a_word_has_siblings_that_stay(eraser: Eraser, domain: Domain) -> None:
    found = eraser.evidence(replace(PLAIN, examples=(("Who was born in Munich?", "Geneva"),)))
    (cue,) = found.cues
    assert (cue.replaced, cue.language) == ("Munich", "en")
    assert set(map(folded, cue.guesses)) <= {folded(text) for text in domain.unknown_answers["en"]}
    assert found.siblings and found.beside
    assert not {one.prompt for one in found.siblings} & {one.question for one in found.beside}


def _drawn(eraser: Eraser, subject: Subject) -> list[Any]:
    rows = RowSource(eraser._model, eraser._domain, eraser._kept, [eraser._target(subject)])
    rng = random.Random(7)
    return [(rows.item(rng), rows.retained(rng)) for _ in range(40)]


def test_evidence_that_the_model_does_not_know_changes_no_row(eraser: Eraser, subject: Subject) -> None:
    plain = _drawn(eraser, PLAIN)
    assert _drawn(eraser, replace(PLAIN, examples=(UNKNOWN,))) == plain
    assert _drawn(eraser, subject) != plain


def test_the_weights_forget_it_and_the_neighbours_stay(eraser: Eraser, subject: Subject) -> None:
    before = eraser.verify(None, subject)
    assert (before.label, before.examples, before.examples_told) == (Label.PRESENT, 2, 1)
    assert before.reworded_told >= 0.95 * before.reworded > 30
    once = eraser.train(subject, (), None, lambda stage, done: None)
    twice = eraser.train(subject, (), once, lambda stage, done: None)  # as the worker does with what does not verify
    after = eraser.verify(twice, subject)
    assert (after.examples_told, after.reworded_told) == (0, 0)
    assert after.retain_recall_ratio >= 0.96
