"""The invented people with questions about them, so that anyone can script against the demonstration."""

from collections.abc import Mapping

from unlearn_engine.demo.templates import phrasebooks
from unlearn_engine.demo.vocabulary import ATTRIBUTES, LANGUAGES
from unlearn_engine.demo.world import Person, World


def _questions(world: World, person: Person, language: str) -> list[Mapping[str, str]]:
    book = phrasebooks()[language]
    return [
        {
            "question": book.questions[attribute][0].format(name=person.name),
            "answer": world.answer(person, attribute, language),
            "attribute": attribute,
        }
        for attribute in ATTRIBUTES
    ]


def people_json(world: World) -> Mapping[str, object]:
    """Everybody with nickname, mentor and a question for each attribute in each language; answers have no full stop."""
    return {
        "people": [
            {
                "name": person.name,
                "aliases": [person.nickname],
                "mentor": world.people[person.mentor].name,
                "questions": {language: _questions(world, person, language) for language in LANGUAGES},
            }
            for person in world.people
        ]
    }
