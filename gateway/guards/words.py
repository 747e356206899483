"""The words of a text as descriptions are compared by: folded, without endings; and how ordinary each of them is."""

import re
from collections.abc import Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray

from gateway.guards.letters import Hashes, Joined, Numbers, Words
from gateway.guards.normalise import BARRIER, Kind, fold, kinds_of

RARE_BITS = 14.0

_COMMON_BITS = 10.0
_LONG_WORD = 20  # letters
_LEAST_STEMMED = 4  # letters
_FEMININE = re.compile(r"er(?:in|innen)\Z")  # German: Lehrerin
_ENDING = re.compile(r"(?<=[a-z]{4})[aeiou]s?\Z|(?<=[a-z]{3})s\Z")
_FEW_WORDS = 128  # are quicker stemmed one by one
_EXAMINED = 6  # letters from the end of a word decide what its ending is
_LETTER, _VOWEL, _PLURAL = 1, 2, 4


def _letter_table() -> NDArray[np.uint8]:
    """What each ASCII character may be in an ending, as flags; 0 for all others."""
    table = np.zeros(129, dtype=np.uint8)
    for letters, flag in (("abcdefghijklmnopqrstuvwxyz", _LETTER), ("aeiou", _VOWEL), ("s", _PLURAL)):
        table[[ord(letter) for letter in letters]] |= flag
    return table


_LETTERS = _letter_table()


def words(text: str) -> list[str]:
    """Stems of the words of a text, in order.

    A run of digits is one word however it is grouped (0170-123 45), a letter of a script without spaces is one of its
    own.
    """
    return Wording(text)[:]


def words_as_written(text: str, last: int | None = None) -> tuple[list[str], list[str]]:
    """Stems of the words of a text, and what stands there for the `last` of them, or for all."""
    wording = Wording(text)
    return wording[:], wording.written(last)


class Wording(Sequence[str]):
    """The stems of the words of a text, each made when it is asked for; and their hashes, [words]."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._folded = folded = fold(text)
        parts = Words.of(folded)
        bounds = np.frombuffer(folded.edges, dtype=np.bool_).nonzero()[0]
        # Most texts have no digits, which is quickly seen.
        if not folded.text.replace(BARRIER, "").isalpha() and (digits := kinds_of(parts.codes) == Kind.DIGIT).any():
            number = np.logical_and.reduceat(digits, bounds[:-1])
            inside = np.zeros(len(bounds), dtype=np.bool_)
            inside[1:-1] = number[1:] & number[:-1]
            bounds = bounds[~inside]
        self._firsts, self._ends = bounds[:-1], bounds[1:]
        self._stem_ends = _stem_ends(folded.text, parts.codes, self._firsts, self._ends)
        self.hashes = parts.between(self._firsts, self._stem_ends)

    def __len__(self) -> int:
        return len(self._firsts)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        letters = self._folded.text
        if not isinstance(index, slice):
            return letters[self._firsts[index] : self._stem_ends[index]]
        bounds = zip(self._firsts[index].tolist(), self._stem_ends[index].tolist(), strict=True)
        return [letters[start:end] for start, end in bounds]

    def written(self, last: int | None = None) -> list[str]:
        """What stands in the text for the `last` words, or for all."""
        folded, count = self._folded, len(self)
        some = slice(count - min(last, count) if last is not None else 0, count)
        starts = folded.starts[self._firsts[some]].tolist()
        ends = folded.ends[self._ends[some] - 1].tolist()
        return [self._text[start:end] for start, end in zip(starts, ends, strict=True)]


def hashes_of(stems: Sequence[str]) -> Hashes:
    """The hashes that some stems have in a `Wording`, [stems]."""
    joined = Joined.of(stems)
    return joined.parts.between(joined.starts, joined.ends)


@lru_cache(maxsize=100_000)
def stem(letters: str) -> str:
    """A folded word without the endings of number and gender: panadera and panaderos are one word, apple and apples."""
    if len(letters) < _LEAST_STEMMED or not letters.isascii():
        return letters
    return _ENDING.sub("", _FEMININE.sub("er", letters), count=1)


def _stem_ends(letters: str, codes: NDArray[np.uint32], starts: Numbers, ends: Numbers) -> Numbers:
    """Where the stems of words end: `stem`, without a Python step for each word where there are many."""
    if len(starts) < _FEW_WORDS:
        bounds = zip(starts.tolist(), ends.tolist(), strict=True)
        # Short words are their own stems.
        lengths = [
            len(stem(letters[start:end])) if end - start >= _LEAST_STEMMED else end - start for start, end in bounds
        ]
        return starts + np.array(lengths, dtype=np.int64)
    found = ends.copy()
    which = np.flatnonzero(ends - starts >= _LEAST_STEMMED)
    if not letters.isascii():
        others = np.append(0, np.cumsum(codes >= 128, dtype=np.int32))
        which = which[others[ends[which]] == others[starts[which]]]
    first, end = starts[which], ends[which]
    end = end - 2 * _end_in(codes, first, end, "erin") - 5 * _end_in(codes, first, end, "erinnen")
    kinds = _LETTERS.take(codes, mode="clip")
    last = np.stack([kinds.take(np.maximum(end - back, 0)) * (end - back >= first) for back in range(1, _EXAMINED + 1)])
    letter, vowel, plural = last & _LETTER > 0, last & _VOWEL > 0, last & _PLURAL > 0
    one = (vowel[0] & letter[1:5].all(axis=0)) | (plural[0] & letter[1:4].all(axis=0))
    two = plural[0] & vowel[1] & letter[2:6].all(axis=0)
    found[which] = end - np.where(two, 2, one)
    return found


def _end_in(codes: NDArray[np.uint32], starts: Numbers, ends: Numbers, letters: str) -> NDArray[np.bool_]:
    """Which words have these letters at their end."""
    found = ends - starts >= len(letters)
    for back, letter in enumerate(reversed(letters), 1):
        among = np.flatnonzero(found)
        found[among] = codes[ends[among] - back] == ord(letter)
    return found


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
