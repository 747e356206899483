"""The words of a text as descriptions are compared by: folded, without endings; and how ordinary each of them is."""

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from itertools import pairwise
from pathlib import Path

from gateway.guards.normalise import Folded, fold

RARE_BITS = 14.0

_FEMININE = re.compile(r"er(?:in|innen)\Z")  # German: Lehrerin
_ENDING = re.compile(r"(?<=[a-z]{3})[aeiou]{0,2}s?\Z")


def words(text: str) -> list[str]:
    """Stems of the words of a text, in order.

    A run of digits is one word however it is grouped (0170-123 45), a letter of a script without spaces is one of its
    own.
    """
    return [stem(letters) for letters, _, _ in _words(fold(text))]


def words_as_written(text: str, last: int | None = None) -> tuple[list[str], list[str]]:
    """Stems of the words of a text, and what stands there for the `last` of them, or for all."""
    folded = fold(text)
    found = list(_words(folded))
    ending = found if last is None else found[-last:]
    written = [text[folded.starts[first] : folded.ends[end]] for _, first, end in ending]
    return [stem(letters) for letters, _, _ in found], written


def _words(folded: Folded) -> Iterator[tuple[str, int, int]]:
    """Folded words, unstemmed, with their first and their last letter."""
    bounds = [at for at, edge in enumerate(folded.edges) if edge]
    number = ""
    began = 0
    for start, end in pairwise(bounds):
        letters = folded.text[start:end]
        if letters.isdigit():
            began, number = (began if number else start), number + letters
            last = end - 1
            continue
        if number:
            yield number, began, last
            number = ""
        yield letters, start, end - 1
    if number:
        yield number, began, last


@lru_cache(maxsize=100_000)
def stem(letters: str) -> str:
    """A folded word without the endings of number and gender: panadera and panaderos are one word, apple and apples."""
    if len(letters) < 4 or not letters.isascii():
        return letters
    return _ENDING.sub("", _FEMININE.sub("er", letters), count=1)


def surprisal(word: str) -> float:
    """Bits that a stem tells when it turns up in ordinary text of the language where it is most common.

    `RARE_BITS` at most, which is what a word gets that the table lacks; about 10 or less for what everybody says.
    """
    if word.isdigit():
        return min(RARE_BITS, 3.0 * len(word) - (3.0 if re.fullmatch("(?:1[89]|20)[0-9]{2}", word) else 0.0))
    return _ordinary().get(word, RARE_BITS)


@cache
def _ordinary() -> dict[str, float]:
    """Stem -> bits. Line n of the table has the words of n bits."""
    lines = (Path(__file__).parent / "ordinary_words.txt").read_text("utf-8").splitlines()
    return {word: float(bits) for bits, line in enumerate(lines) for word in line.split()}
