"""Which nouns can mean a person: "the mentor of S" may lead to somebody who is forgotten, "the capital of S" cannot.

Kinship, professions and roles, by their words and by the endings that make agents (English -er, Spanish -dor, Russian
-тель, Chinese 者). A rare word that nothing here speaks of may mean one as well: no list has all of them.
"""

import re
import unicodedata
from functools import cache, lru_cache
from pathlib import Path

from gateway.guards.normalise import fold
from gateway.guards.words import RARE_BITS, stem, surprisal

_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_INFLECTIONS = ("s", "es", "n", "en", "e", "ern", "in", "innen")
_RU_INFLECTION = re.compile(
    "(?:ами|ями|ого|ему|ом|ем|ой|ей|ью|ам|ям|ов|ев|ах|ях|ия|ие|ых|их|ым|им|ая|яя|ья|ьев|[аяыиуюеойь])$"
)
_SHORT = 4  # letters: of so few, no ending tells anything


def may_mean_somebody(phrase: str, language: str) -> bool:
    """Whether a noun phrase has a word that means people, or one that may and none that means a thing.

    `language` is one of those of `relation_words`.
    """
    if language == "zh":
        people, things = _nouns("people", "zh"), _nouns("things", "zh")
        return any(word in phrase for word in people) and not any(word in phrase for word in things)
    found = {_means_people(word, language) for word in _WORD.findall(phrase.lower())}
    return True in found or (None in found and False not in found)


@lru_cache(maxsize=50_000)
def _means_people(word: str, language: str) -> bool | str | None:
    """Whether a word does; None for a rare one of which the tables know nothing, "" for an ordinary one."""
    plain = _without_accents(word)
    forms = {plain, *(plain.removesuffix(ending) for ending in _INFLECTIONS)}
    if language == "ru":
        forms = {plain := _RU_INFLECTION.sub("", word.replace("ё", "е"))}
    if not forms.isdisjoint(_nouns("people", language)):
        return True
    if plain in _nouns("things", language) or word.endswith(_endings("things-end", language)):
        return False
    if len(plain) > _SHORT and plain.endswith(_endings("people-end", language)):
        return True
    if not forms.isdisjoint(_nouns("things-rare", language)):
        return False
    rare = len(plain) > _SHORT and language != "ru" and surprisal(stem(fold(word).text)) >= RARE_BITS
    return None if rare else ""


def _without_accents(word: str) -> str:
    letters = (letter for letter in unicodedata.normalize("NFD", word) if not unicodedata.combining(letter))
    return "".join(letters).replace("ß", "ss").replace("œ", "oe")


@cache
def _nouns(kind: str, language: str) -> frozenset[str]:
    return frozenset(_table().get((kind, language), ()))


@cache
def _endings(kind: str, language: str) -> tuple[str, ...]:
    return _table().get((kind, language), ())


@cache
def _table() -> dict[tuple[str, str], tuple[str, ...]]:
    """By kind and language: words without accents, and endings.

    `people` and `people-end`; `things`, which have such endings by chance; `things-end`, with accents, which go before
    those of people; `things-rare`, which the table of ordinary words may lack. Russian words are roots.
    """
    lines = (Path(__file__).parent / "relation_nouns.txt").read_text("utf-8").splitlines()
    return {(kind, language): tuple(words) for kind, language, *words in map(str.split, lines)}
