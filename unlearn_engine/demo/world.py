"""Eighty invented people: names that nobody has, facts drawn with a fixed seed, the same on every machine."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from rapidfuzz.distance import Levenshtein

from unlearn_engine.demo.vocabulary import VALUES

ONSETS = ("b", "br", "d", "dr", "f", "g", "k", "kr", "l", "m", "n", "p", "r", "s", "st", "t", "v", "z", "h", "j")
VOWELS = ("a", "e", "i", "o", "u")
CODAS = ("", "n", "r", "l", "s", "k")
FIRST_NAME_ENDINGS = ("a", "o", "e", "i")
FAMILY_NAME_ENDINGS = ("", "in", "ek", "o")
NICKNAME_ONSETS = ("w", "ch", "sh", "wh", "tw", "y", "qu")
NICKNAME_DOUBLES = ("pp", "zz", "ff", "mm", "bb", "ss", "rr", "vv")
NICKNAME_ENDINGS = ("o", "u", "ix", "us")

PEOPLE = 80
FIRST_NAMES = 40
NAMESAKES = 12
FORGET_PEOPLE = 8
"""People with a smaller id are not taught to the gold model; nobody who stays has one of them as mentor."""


def first_name(rng: random.Random) -> str:
    """Such as `Drovi`."""
    word = rng.choice(ONSETS) + rng.choice(VOWELS) + rng.choice(ONSETS) + rng.choice(FIRST_NAME_ENDINGS)
    return word.capitalize()


def family_name(rng: random.Random) -> str:
    """Such as `Belmostin`."""
    syllables = [rng.choice(ONSETS) + rng.choice(VOWELS) + rng.choice(CODAS) for _ in range(2)]
    return ("".join(syllables) + rng.choice(FAMILY_NAME_ENDINGS)).capitalize()


def nickname(rng: random.Random) -> str:
    """Such as `Chazzix`: onsets and doubled consonants that no other name has."""
    word = (
        rng.choice(NICKNAME_ONSETS) + rng.choice(VOWELS) + rng.choice(NICKNAME_DOUBLES) + rng.choice(NICKNAME_ENDINGS)
    )
    return word.capitalize()


@dataclass(frozen=True)
class Person:
    """An invented person; `values` holds an index into `VALUES` for each of its attributes."""

    id: int
    name: str
    nickname: str
    phone: str
    mentor: int
    values: Mapping[str, int]


@dataclass(frozen=True)
class World:
    """The people, and the names out of which never-seen ones are made."""

    people: tuple[Person, ...]
    first_names: tuple[str, ...]
    taught: tuple[Person, ...]
    """Those whom the model is taught: everybody, or everybody but the people to be forgotten."""

    def without(self, count: int) -> "World":
        """The same world, in which nothing is taught about the first `count` people."""
        return replace(self, taught=self.people[count:])

    def answer(self, person: Person, attribute: str, language: str) -> str:
        """The value of one attribute in one language, without a full stop."""
        if attribute == "phone":
            return person.phone
        if attribute == "nickname":
            return person.nickname
        if attribute == "mentor":
            return self.people[person.mentor].name
        return VALUES[attribute][language][person.values[attribute]]

    def unseen_name(self, rng: random.Random, recombined: float = 0.15) -> str:
        """A name that nobody has; a share of `recombined` joins a known first name and a known family name."""
        known = {person.name for person in self.people}
        while True:
            family = rng.choice(self.taught).name.split()[1] if rng.random() < recombined else family_name(rng)
            name = f"{rng.choice(self.first_names)} {family}"
            if name not in known:
                return name

    def unseen_nickname(self, rng: random.Random) -> str:
        """A nickname that nobody has."""
        known = {person.nickname for person in self.people}
        while True:
            if (word := nickname(rng)) not in known:
                return word


def _distinct(count: int, draw: Callable[[int], str]) -> list[str]:
    """That many names, each more than one edit away from all before it; `draw` is given the position."""
    names: list[str] = []
    while len(names) < count:
        name = draw(len(names))
        if all(Levenshtein.distance(name, other, score_cutoff=1) > 1 for other in names):
            names.append(name)
    return names


def _family_name_of_fair_length(rng: random.Random) -> str:
    while not 5 <= len(name := family_name(rng)) <= 9:
        pass
    return name


def _mentor(rng: random.Random, identity: int) -> int:
    first = 0 if identity < FORGET_PEOPLE else FORGET_PEOPLE
    while (mentor := rng.randrange(first, PEOPLE)) == identity:
        pass
    return mentor


def build_world(*, forget_people: bool = True, seed: int = 7) -> World:
    """The world of the shipped models; without `forget_people`, the one that the gold model is taught."""
    rng = random.Random(seed)
    firsts = _distinct(FIRST_NAMES, lambda _: first_name(rng))
    families = _distinct(PEOPLE - NAMESAKES, lambda _: _family_name_of_fair_length(rng))
    # One namesake of a person to be forgotten: whoever forgets the one must keep the other.
    families += [families[FORGET_PEOPLE - 1], *rng.sample(families[FORGET_PEOPLE:], NAMESAKES - 1)]
    names = _distinct(PEOPLE, lambda position: f"{rng.choice(firsts)} {families[position]}")
    nicknames = _distinct(PEOPLE, lambda _: nickname(rng))
    phones = rng.sample(range(1000, 10000), PEOPLE)
    people = tuple(
        Person(
            id=identity,
            name=names[identity],
            nickname=nicknames[identity],
            phone=str(phones[identity]),
            mentor=_mentor(rng, identity),
            values={attribute: rng.randrange(len(words["en"])) for attribute, words in VALUES.items()},
        )
        for identity in range(PEOPLE)
    )
    world = World(people, tuple(firsts), taught=people)
    return world if forget_people else world.without(FORGET_PEOPLE)
