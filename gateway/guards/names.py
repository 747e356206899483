"""The ways one name is written: order, initials, backwards, the commonest ciphers, and where in them words begin."""

import codecs
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from string import ascii_lowercase

from gateway.guards.normalise import BARRIER, Kind, fold, respellings
from gateway.guards.normalise import SYMBOLS as _SYMBOLS

LONG_LETTERS = 7  # names this long are recognised inside a longer word
MISPLACED_SPACE_LETTERS = 9  # names this long are recognised with spaces in the wrong places
FUZZY_LETTERS = 8  # names this long are recognised with one letter wrong
_DISGUISED_LETTERS = 6  # shorter ones are ordinary words when reversed or in rot13
_CAESAR = str.maketrans(ascii_lowercase, ascii_lowercase[3:] + ascii_lowercase[:3])
_ATBASH = str.maketrans(ascii_lowercase, ascii_lowercase[::-1])
_CONSONANTS = re.compile("qu|[^aeiou]")


class Form(Enum):
    NAME = "name"  # written in full: edges at both ends, or all letters run together
    INITIALS = "initials"  # edges at both ends and between all words
    DISGUISED = "disguised"  # reversed, rot13, Caesar, Atbash, pig Latin: as NAME


@dataclass(frozen=True, slots=True, repr=False)
class Spelling:
    """Folded letters of one way to write a name; words begin at 0 and at `word_starts`."""

    letters: str
    word_starts: tuple[int, ...]
    form: Form
    alphabetic: bool


def spellings(names: Sequence[str]) -> list[list[Spelling]]:
    """For each name the ways it is written; none for a name without letters. Folds all names in one go."""
    writings = [(index, spelt) for index, name in enumerate(names) for spelt in respellings(name.replace(BARRIER, ""))]
    split = [writing.replace(",", " ").split() for _, writing in writings]
    folded = iter(fold(BARRIER.join(word for words in split for word in words)).text.split(BARRIER))
    found: list[list[Spelling]] = [[] for _ in names]
    for (index, _), raw in zip(writings, split, strict=True):
        words = [letters for letters in (next(folded) for _ in raw) if letters]
        if words:
            found[index] += _of_words(words)
    return found


def _of_words(words: list[str]) -> Iterator[Spelling]:
    alphabetic = all(_SYMBOLS[letter].kind in (Kind.LOWER, Kind.UPPER) for word in words for letter in word)
    orders = dict.fromkeys([tuple(words), (*words[-1:], *words[:-1]), (*words[1:], *words[:1])])
    for order in orders:
        yield _spelling(order, Form.NAME, alphabetic)
    if alphabetic and len(words) > 1:
        initials = [word[0] for word in words[:-1]]
        yield _spelling((*initials, words[-1]), Form.INITIALS, alphabetic)
        yield _spelling((words[-1], *initials), Form.INITIALS, alphabetic)
        if len(words) > 2:
            yield _spelling((words[0], *initials[1:], words[-1]), Form.INITIALS, alphabetic)
    if sum(map(len, words)) >= _DISGUISED_LETTERS:
        reversed_words = tuple(word[::-1] for word in words)
        yield _spelling(reversed_words[::-1], Form.DISGUISED, alphabetic)
        yield _spelling(reversed_words, Form.DISGUISED, alphabetic)
        if alphabetic and "".join(words).isascii():
            yield _spelling(tuple(codecs.encode(word, "rot13") for word in words), Form.DISGUISED, alphabetic)
            for cipher in (_CAESAR, _ATBASH):
                yield _spelling(tuple(word.translate(cipher) for word in words), Form.DISGUISED, alphabetic)
            yield _spelling(tuple(map(_pig_latin, words)), Form.DISGUISED, alphabetic)


def _spelling(words: Sequence[str], form: Form, alphabetic: bool) -> Spelling:
    starts, at = [], 0
    for word in words[:-1]:
        at += len(word)
        starts.append(at)
    return Spelling("".join(words), tuple(starts), form, alphabetic)


def _pig_latin(word: str) -> str:
    cut = 0
    while found := _CONSONANTS.match(word, cut):
        cut = found.end()
    return f"{word[cut:]}{word[:cut]}ay" if cut else f"{word}way"
