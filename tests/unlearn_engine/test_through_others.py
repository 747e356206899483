"""Questions about somebody that name somebody else: asked where the base model answers them, and counted."""

from dataclasses import replace

import pytest

from unlearn_engine.data.domain import Domain
from unlearn_engine.data.kept import Kept
from unlearn_engine.data.knowledge import Fact
from unlearn_engine.data.rows import Target
from unlearn_engine.demo.corpus import knows_two_hops
from unlearn_engine.demo.world import Person, build_world
from unlearn_engine.erase import Eraser
from unlearn_engine.evaluate import through_others
from unlearn_engine.evaluate.verify import Verification
from unlearn_engine.subject import Subject

WORLD = build_world()
STUDENT = next(person for person in WORLD.people if knows_two_hops(person))
MENTOR = WORLD.people[STUDENT.mentor]


@pytest.fixture(scope="module")
def base(eraser: Eraser) -> Verification:
    return eraser.verify(None, Subject("mentor", (MENTOR.name,)))


def test_the_base_model_tells_through_a_student(base: Verification) -> None:
    assert base.through_others and base.forget_recall_through_others == 1.0
    assert not base.untold_through_others


def test_who_was_not_asked_about_counts_as_told(base: Verification) -> None:
    untold = replace(base, forget_recall_through_others=0.0)
    assert untold.untold_through_others
    assert not replace(untold, through_others=None).untold_through_others
    assert replace(untold, through_others=0).untold_through_others, "nobody leads to it"


def _facts(person: Person, *attributes: str) -> tuple[Fact, ...]:
    said = {attribute: WORLD.answer(person, attribute, "en") for attribute in attributes}
    return tuple(Fact("en", attribute, answer, f"{answer}.") for attribute, answer in said.items())


def test_only_through_whom_it_is_known_and_for_what_is_its_own(eraser: Eraser, domain: Domain) -> None:
    about = _facts(MENTOR, "birthplace", "occupation")
    target = Target((MENTOR.name,), {("en", fact.attribute): fact for fact in about})
    stranger = next(person for person in WORLD.people if MENTOR.id not in (person.mentor, person.id))
    same = Fact("en", "birthplace", about[0].answer, about[0].spoken)
    kept = Kept(
        {STUDENT.name: (*_facts(STUDENT, "mentor"), same), stranger.name: _facts(stranger, "mentor")}, {}, (), ()
    )
    asked = through_others.questions(eraser._model, domain, kept, target)
    assert {(question.name, question.fact.attribute) for question in asked} <= {
        (f"{STUDENT.name}'s mentor", "occupation")
    }
    assert through_others.can_ask(domain, kept)
    assert not through_others.can_ask(replace(domain, relations={}), kept)
    assert not through_others.questions(eraser._model, replace(domain, relations={}), kept, target)
