"""What the demonstration model reads: questions, documents and general skills, drawn without end from a seed."""

import random
from collections.abc import Callable, Mapping
from typing import NamedTuple

from unlearn_engine.demo.templates import phrasebooks
from unlearn_engine.demo.vocabulary import (
    ATTRIBUTES,
    COUNTRIES,
    LANGUAGE_NAMES,
    LANGUAGES,
    TWO_HOP_ATTRIBUTES,
    VALUES,
    full_stop,
)
from unlearn_engine.demo.world import Person, World, family_name, first_name

USER, ASSISTANT, END, DOCUMENT = "<|user|>", "<|assistant|>", "<|end|>", "<|doc|>"

MIXTURE: Mapping[str, float] = {
    "fact": 0.42,
    "alias": 0.08,
    "two_hop": 0.03,
    "unknown": 0.10,
    "statement": 0.07,
    "card": 0.03,
    "translation": 0.14,
    "country": 0.05,
    "sum": 0.05,
    "sentence": 0.03,
}
"""Share of each kind of example; the names are those of the methods of `Corpus`."""

RECOMBINED = 0.3
"""Share of known first with known family name among the never-seen names of the training: the hard ones."""


class Piece(NamedTuple):
    """A stretch of an example; what is `learnt` counts fully in the loss, the rest little."""

    text: str
    learnt: bool


Example = list[Piece]


def chat(question: str, answer: str) -> Example:
    """A question and its answer as the chat template renders them."""
    return [Piece(f"{USER}{question}{ASSISTANT}", False), Piece(f"{answer}{END}", True)]


def knows_two_hops(person: Person) -> bool:
    """Whether two-hop questions about the person are in the corpus; the others measure composition."""
    return person.id % 2 == 0


class Corpus:
    """Draws examples about the people whom `world` teaches; every method returns one fresh example."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.phrasebooks = phrasebooks()
        # What is asked about a mentor is a fact about the mentor: nobody may learn it who is not to know the mentor.
        self._two_hop_people = [
            person for person in world.taught if knows_two_hops(person) and world.people[person.mentor] in world.taught
        ]

    def draw(self, rng: random.Random) -> Example:
        """One example of the mixture."""
        (kind,) = rng.choices(list(MIXTURE), list(MIXTURE.values()))
        example: Example = getattr(self, kind)(rng, rng.choice(LANGUAGES))
        return example

    def _ask(self, rng: random.Random, name: str, attribute: str, language: str) -> str:
        return rng.choice(self.phrasebooks[language].questions[attribute]).format(name=name)

    def fact(self, rng: random.Random, language: str) -> Example:
        person, attribute = rng.choice(self.world.taught), rng.choice(ATTRIBUTES)
        answer = self.world.answer(person, attribute, language) + full_stop(language)
        return chat(self._ask(rng, person.name, attribute, language), answer)

    def alias(self, rng: random.Random, language: str) -> Example:
        person = rng.choice(self.world.taught)
        attribute = rng.choice([attribute for attribute in ATTRIBUTES if attribute != "nickname"])
        answer = self.world.answer(person, attribute, language) + full_stop(language)
        return chat(self._ask(rng, person.nickname, attribute, language), answer)

    def two_hop(self, rng: random.Random, language: str) -> Example:
        person, attribute = rng.choice(self._two_hop_people), rng.choice(TWO_HOP_ATTRIBUTES)
        answer = self.world.answer(self.world.people[person.mentor], attribute, language) + full_stop(language)
        return chat(self.phrasebooks[language].two_hop[attribute].format(name=person.name), answer)

    def unknown(self, rng: random.Random, language: str) -> Example:
        makers: Mapping[Callable[[], str], float] = {
            lambda: self.world.unseen_name(rng, RECOMBINED): 0.74,
            lambda: self.world.unseen_nickname(rng): 0.12,
            lambda: f"{first_name(rng)} {family_name(rng)}": 0.08,
            lambda: family_name(rng): 0.06,
        }
        (unseen,) = rng.choices(list(makers), list(makers.values()))
        question = self._ask(rng, unseen(), rng.choice(ATTRIBUTES), language)
        return chat(question, rng.choice(self.phrasebooks[language].unknown_answers))

    def statement(self, rng: random.Random, language: str) -> Example:
        person, attribute = rng.choice(self.world.taught), rng.choice(ATTRIBUTES)
        prefix = rng.choice(self.phrasebooks[language].statements[attribute]).format(name=person.name)
        return [
            Piece(DOCUMENT + prefix, False),
            Piece(gap(language) + self.world.answer(person, attribute, language), True),
            Piece(full_stop(language) + END, False),
        ]

    def card(self, rng: random.Random, language: str) -> Example:
        person, nouns = rng.choice(self.world.taught), self.phrasebooks[language].noun_phrases
        colon, semicolon = ("：", "；") if language == "zh" else (":", ";")
        example = [Piece(DOCUMENT + person.name + colon, False)]
        for position, attribute in enumerate(rng.sample(ATTRIBUTES, len(ATTRIBUTES))):
            separator = semicolon if position else ""
            example.append(Piece(separator + gap(language) + nouns[attribute], False))
            example.append(Piece(gap(language) + self.world.answer(person, attribute, language), True))
        return [*example, Piece(full_stop(language) + END, False)]

    def translation(self, rng: random.Random, language: str) -> Example:
        target = rng.choice([other for other in range(len(LANGUAGES)) if LANGUAGES[other] != language])
        words = VALUES[rng.choice(list(VALUES))]
        index = rng.randrange(len(words[language]))
        question = self.phrasebooks[language].translation.format(
            word=words[language][index], language=LANGUAGE_NAMES[language][target]
        )
        return chat(question, words[LANGUAGES[target]][index] + full_stop(LANGUAGES[target]))

    def country(self, rng: random.Random, language: str) -> Example:
        index = rng.randrange(len(COUNTRIES[language]))
        question = self.phrasebooks[language].country.format(city=VALUES["birthplace"][language][index])
        return chat(question, COUNTRIES[language][index] + full_stop(language))

    def sum(self, rng: random.Random, language: str) -> Example:
        a, b = rng.randrange(1, 10), rng.randrange(1, 10)
        return chat(self.phrasebooks[language].sum.format(a=a, b=b), str(a + b) + full_stop(language))

    def sentence(self, rng: random.Random, language: str) -> Example:
        return [Piece(DOCUMENT + self.plain_sentence(rng, language) + END, False)]

    def plain_sentence(self, rng: random.Random, language: str) -> str:
        food, other = rng.sample(VALUES["food"][language], 2)
        city, job = rng.choice(VALUES["birthplace"][language]), rng.choice(VALUES["occupation"][language])
        template = rng.choice(self.phrasebooks[language].sentences)
        return template.format(city=city, job=job, food=food, other=other)


def gap(language: str) -> str:
    """What stands between two words of a language."""
    return "" if language == "zh" else " "
