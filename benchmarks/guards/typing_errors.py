"""Typing errors in a name: one at any place of any word, its ends included, or one in each of two words.

Written after how keyboards and fingers err (Damerau's four kinds, a doubled letter, the keys around the right one), not
after what the guard forgives.
"""

import random
from collections.abc import Callable, Iterator, Mapping
from string import ascii_lowercase

Typed = Callable[[random.Random, str, int], str]

_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_KEYS = {letter: (place + 0.5 * row, row) for row, letters in enumerate(_ROWS) for place, letter in enumerate(letters)}
_NEAR_KEYS = 1.2  # widths of a key
_LONG_NAME = 10  # letters: so many may have an error in each of two words
_LONG_WORD = 4  # letters of either


def neighbours(letter: str) -> str:
    """The keys around that of a letter; none for what is not on the keyboard."""
    if letter not in _KEYS:
        return ""
    x, y = _KEYS[letter]
    return "".join(
        key for key, (other, row) in _KEYS.items() if key != letter and abs(other - x) + abs(row - y) / 2 <= _NEAR_KEYS
    )


def _neighbouring_key(rng: random.Random, word: str, at: int) -> str:
    near = neighbours(word[at])
    return word[:at] + rng.choice(near) + word[at + 1 :] if near else word


def _wrong(rng: random.Random, word: str, at: int) -> str:
    return word[:at] + rng.choice(ascii_lowercase.replace(word[at], "")) + word[at + 1 :]


def _more(rng: random.Random, word: str, at: int) -> str:
    return word[:at] + rng.choice(ascii_lowercase) + word[at:]


ERRORS: Mapping[str, Typed] = {
    "neighbouring key": _neighbouring_key,
    "wrong letter": _wrong,
    "missing letter": lambda _, word, at: word[:at] + word[at + 1 :],
    "letter more": _more,
    "doubled letter": lambda _, word, at: word[: at + 1] + word[at:],
    "swapped letters": lambda _, word, at: word[:at] + word[at + 1 : at + 2] + word[at : at + 1] + word[at + 2 :],
}
"""Kind of error -> what becomes of a word in small letters where it is made at one of its letters, or behind them."""

TWO_WORDS = "two words"
KINDS = (*ERRORS, TWO_WORDS)


def mistyped(rng: random.Random, name: str, kind: str) -> str:
    """The name with one error of a kind in a word of two letters or more; the same name where it cannot have one."""
    words = name.split()
    if kind == TWO_WORDS:
        long = [index for index, word in enumerate(words) if len(word) >= _LONG_WORD]
        if len(long) < 2 or sum(map(len, words)) < _LONG_NAME:
            return name
        for index in rng.sample(long, 2):
            words[index] = _with_error(rng, words[index], rng.choice([*ERRORS]))
        return " ".join(words)
    for index in rng.sample(range(len(words)), len(words)):
        changed = _with_error(rng, words[index], kind) if len(words[index]) > 1 else words[index]
        if changed != words[index]:
            return " ".join([*words[:index], changed, *words[index + 1 :]])
    return name


def everywhere(rng: random.Random, name: str, kind: str) -> Iterator[str]:
    """The name with an error of a kind at each place of each word where one can be."""
    words = name.split()
    for index, word in enumerate(words):
        for at in range(len(word) + (kind == "letter more")):
            changed = _typed(rng, word, at, kind)
            if changed != word:
                yield " ".join([*words[:index], changed, *words[index + 1 :]])


def _with_error(rng: random.Random, word: str, kind: str) -> str:
    """A word with an error at one of its places; the word itself where none changes it."""
    places = range(len(word) + (kind == "letter more"))
    return next(
        (typed for at in rng.sample(places, len(places)) if (typed := _typed(rng, word, at, kind)) != word), word
    )


def _typed(rng: random.Random, word: str, at: int, kind: str) -> str:
    """A word with an error at one place; its first letter, whichever that is now, is written as the first one was."""
    small = word[:1].lower() + word[1:]
    typed = ERRORS[kind](rng, small, at)
    return word if typed == small else typed[:1].upper() + typed[1:] if word[:1].isupper() else typed
