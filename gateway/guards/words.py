"""The words of a text as descriptions are compared by: folded, without endings; and how ordinary each of them is."""

import re
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gateway.guards.normalise import BARRIER, Folded, Kind, codes_of, fold, kinds_of

RARE_BITS = 14.0

_COMMON_BITS = 10.0
_LONG_WORD = 20  # letters
_LEAST_STEMMED = 4  # letters
_FEMININE = re.compile(r"er(?:in|innen)\Z")  # German: Lehrerin
_ENDING = re.compile(r"(?<=[a-z]{3})[aeiou]{0,2}s?\Z")


def words(text: str) -> list[str]:
    """Stems of the words of a text, in order.

    A run of digits is one word however it is grouped (0170-123 45), a letter of a script without spaces is one of its
    own.
    """
    return Wording.of(text).stems


def words_as_written(text: str, last: int | None = None) -> tuple[list[str], list[str]]:
    """Stems of the words of a text, and what stands there for the `last` of them, or for all."""
    wording = Wording.of(text)
    return wording.stems, wording.written(last)


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Wording:
    """The words of a text: their stems, and the first and last letter of each in the folded text."""

    stems: list[str]
    _text: str
    _folded: Folded
    _firsts: NDArray[np.int64]
    _ends: NDArray[np.int64]

    @classmethod
    def of(cls, text: str) -> "Wording":
        """Read a text."""
        folded = fold(text)
        letters = folded.text
        bounds = np.flatnonzero(np.frombuffer(folded.edges, dtype=np.bool_))
        # Most texts have no digits, which is quickly seen.
        if not letters.replace(BARRIER, "").isalpha() and (digits := kinds_of(codes_of(letters)) == Kind.DIGIT).any():
            number = np.logical_and.reduceat(digits, bounds[:-1])
            inside = np.zeros(len(bounds), dtype=np.bool_)
            inside[1:-1] = number[1:] & number[:-1]
            bounds = bounds[~inside]
        at = bounds.tolist()
        # Short words are their own stems; there are many in texts that are made to take long.
        stems = [
            word if len(word := letters[start:end]) < _LEAST_STEMMED else stem(word) for start, end in pairwise(at)
        ]
        return cls(stems, text, folded, bounds[:-1], bounds[1:])

    def written(self, last: int | None = None) -> list[str]:
        """What stands in the text for the `last` words, or for all."""
        folded, count = self._folded, len(self.stems)
        some = slice(count - min(last, count) if last is not None else 0, count)
        starts = folded.starts[self._firsts[some]].tolist()
        ends = folded.ends[self._ends[some] - 1].tolist()
        return [self._text[start:end] for start, end in zip(starts, ends, strict=True)]


@lru_cache(maxsize=100_000)
def stem(letters: str) -> str:
    """A folded word without the endings of number and gender: panadera and panaderos are one word, apple and apples."""
    if len(letters) < _LEAST_STEMMED or not letters.isascii():
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
def ordinary_text() -> str:
    """The commonest words of all languages, and a run of letters as long as a long one."""
    common = [word for word, bits in _ordinary().items() if bits < _COMMON_BITS]
    return f"{' '.join(common)} {''.join(common)[:_LONG_WORD]}"


@cache
def _ordinary() -> dict[str, float]:
    """Stem -> bits. Line n of the table has the words of n bits."""
    lines = (Path(__file__).parent / "ordinary_words.txt").read_text("utf-8").splitlines()
    return {word: float(bits) for bits, line in enumerate(lines) for word in line.split()}
