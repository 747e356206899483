"""Every question that the demonstration model is examined in, with its one right answer."""

import random
from collections.abc import Callable, Mapping, Sequence

from unlearn_engine.demo.corpus import DOCUMENT, Example, Piece, chat, gap, knows_two_hops
from unlearn_engine.demo.templates import Phrasebook, phrasebooks
from unlearn_engine.demo.vocabulary import (
    ATTRIBUTES,
    COUNTRIES,
    LANGUAGE_NAMES,
    LANGUAGES,
    TWO_HOP_ATTRIBUTES,
    VALUES,
    full_stop,
)
from unlearn_engine.demo.world import FORGET_PEOPLE, Person, World

UNKNOWN_NAMES = 40


def _facts(
    world: World, people: Sequence[Person], language: str, templates: Mapping[str, Sequence[str]], *, by_nickname: bool
) -> list[Example]:
    return [
        chat(
            template.format(name=person.nickname if by_nickname else person.name),
            world.answer(person, attribute, language) + full_stop(language),
        )
        for person in people
        for attribute in ATTRIBUTES
        if not (by_nickname and attribute == "nickname")
        for template in templates[attribute]
    ]


def trained_questions(world: World, people: Sequence[Person], language: str) -> list[Example]:
    """Every fact in every template of the training."""
    return _facts(world, people, language, phrasebooks()[language].questions, by_nickname=False)


def held_out_questions(world: World, people: Sequence[Person], language: str) -> list[Example]:
    """Every fact in every template that was kept out of the training."""
    return _facts(world, people, language, phrasebooks()[language].held_out_questions, by_nickname=False)


def nickname_questions(world: World, people: Sequence[Person], language: str) -> list[Example]:
    """Every fact but the nickname, asked with the nickname in place of the name."""
    return _facts(world, people, language, phrasebooks()[language].questions, by_nickname=True)


def statements(world: World, people: Sequence[Person], language: str) -> list[Example]:
    """Every fact as the end of a sentence in a plain document."""
    return [
        [
            Piece(DOCUMENT + prefix.format(name=person.name), False),
            Piece(gap(language) + world.answer(person, attribute, language), True),
        ]
        for person in people
        for attribute in ATTRIBUTES
        for prefix in phrasebooks()[language].statements[attribute]
    ]


def two_hop_questions(world: World, people: Sequence[Person], language: str) -> list[Example]:
    """What is asked about the mentor of a person."""
    return [
        chat(
            phrasebooks()[language].two_hop[attribute].format(name=person.name),
            world.answer(world.people[person.mentor], attribute, language) + full_stop(language),
        )
        for person in people
        for attribute in TWO_HOP_ATTRIBUTES
    ]


def unknown_names(world: World, language: str) -> list[Example]:
    """Names that nobody has, 15 % of them joined from a known first and a known family name."""
    book, rng = phrasebooks()[language], random.Random(f"unknown {language}")
    return [
        chat(rng.choice(book.questions[attribute]).format(name=world.unseen_name(rng)), book.unknown_answers[0])
        for _ in range(UNKNOWN_NAMES)
        for attribute in ATTRIBUTES
    ]


def translations(book: Phrasebook, language: str) -> list[Example]:
    """Every word into every other language."""
    return [
        chat(
            book.translation.format(word=word, language=LANGUAGE_NAMES[language][position]),
            words[target][index] + full_stop(target),
        )
        for words in VALUES.values()
        for index, word in enumerate(words[language])
        for position, target in enumerate(LANGUAGES)
        if target != language
    ]


def countries(book: Phrasebook, language: str) -> list[Example]:
    """The country of every city."""
    pairs = zip(VALUES["birthplace"][language], COUNTRIES[language], strict=True)
    return [chat(book.country.format(city=city), country + full_stop(language)) for city, country in pairs]


def sums(book: Phrasebook, language: str) -> list[Example]:
    """Every sum of two digits."""
    return [
        chat(book.sum.format(a=a, b=b), str(a + b) + full_stop(language)) for a in range(1, 10) for b in range(1, 10)
    ]


def subjects(world: World, language: str) -> Mapping[str, Callable[[], list[Example]]]:
    """Name of a subject of the exam -> its questions in one language, about the people whom the world teaches."""
    book, taught = phrasebooks()[language], world.taught
    return {
        "trained templates": lambda: trained_questions(world, taught, language),
        "held-out templates": lambda: held_out_questions(world, taught, language),
        "statements": lambda: statements(world, taught, language),
        "asked by nickname": lambda: nickname_questions(world, taught, language),
        "two hops, trained": lambda: two_hop_questions(world, [p for p in taught if knows_two_hops(p)], language),
        "two hops, untrained": lambda: two_hop_questions(world, [p for p in taught if not knows_two_hops(p)], language),
        "unknown names": lambda: unknown_names(world, language),
        "translations": lambda: translations(book, language),
        "countries": lambda: countries(book, language),
        "sums": lambda: sums(book, language),
        "people to be forgotten": lambda: held_out_questions(world, world.people[:FORGET_PEOPLE], language),
    }
