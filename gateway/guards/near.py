"""Names with one letter wrong, missing, doubled or swapped, found without comparing a text to every name."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from gateway.guards.letters import Hashes, Joined, Numbers, Parts, Table, Words, merged_table
from gateway.guards.masks import MASKED
from gateway.guards.names import FUZZY_LETTERS
from gateway.guards.normalise import Kind, kinds_of

MOST_LETTERS = 48  # longer names are not looked for with a letter wrong: every stretch of a text would have to be
_STARTS_AT_ONCE = 4096  # bounds the memory that hostile text can take
_LENGTH_FACTOR = np.uint64(0xD6E8FEB86659FD93)
_EDGE_FACTOR = np.uint64(0xA0761D6478BD642F)
_LAST_HALF = np.uint64(0xE7037ED1A0B428DB)
_MASKED = Parts(MASKED).values


def _key(half: Hashes, letter: Hashes, lengths: Numbers) -> Hashes:
    keys: Hashes = half ^ (letter * _EDGE_FACTOR) ^ (lengths.astype(np.uint64) * _LENGTH_FACTOR)
    return keys


def _half(lengths: Numbers) -> Numbers:
    """So many letters at the beginning or so many at the end of a misspelt name are right."""
    return (lengths - 1) // 2


class NearNames:
    """Names that may be misspelt, by what a slip leaves: the first or last letter, and the half at the other end.

    (Two letters swapped at the very end leave the last but one, a masked one the mask.)
    """

    def __init__(self, table: Table, most: int):
        self._table = table
        self.most = most  # letters of the longest name

    @classmethod
    def compiled(cls, names: Sequence[str], owners: Sequence[int]) -> "NearNames":
        joined = Joined.of(names)
        starts, ends, values = joined.starts, joined.ends, joined.parts.values
        first, last, before_last = values[starts], values[ends - 1], values[ends - 2]
        lengths = ends - starts
        keys: list[Hashes] = []
        for window in (lengths - 1, lengths, lengths + 1):
            half = _half(window)
            head = joined.parts.between(starts, starts + half)
            keys.append(_key(head, last, window))
            keys.append(_key(joined.parts.between(ends - half, ends) ^ _LAST_HALF, first, window))
        head = joined.parts.between(starts, starts + _half(lengths))
        keys += [_key(head, before_last, lengths), _key(head, _MASKED, lengths)]
        numbers = np.tile(np.array(owners, dtype=np.uint32), len(keys))
        return cls(Table(np.concatenate(keys), numbers), int(lengths.max(initial=0)))

    @classmethod
    def merged(cls, many: "Sequence[NearNames]", owners: Sequence[Numbers]) -> "NearNames":
        return cls(merged_table([each._table for each in many], owners), max(each.most for each in many))

    @property
    def keys(self) -> Hashes:
        """What `find` must be asked about."""
        return self._table.keys

    def find(self, windows: "Windows", passed: Numbers) -> Iterator[tuple[int, int, int]]:
        """(start, end, owner) of windows that have one letter wrong if they are that owner's name; of `passed` keys."""
        which, owners = self._table.find(windows.keys[passed])
        at = passed[which] % max(len(windows.starts), 1)
        return zip(windows.starts[at].tolist(), windows.ends[at].tolist(), owners.tolist(), strict=True)


@dataclass(frozen=True, slots=True)
class Windows:
    """Starts and ends of stretches of a text [windows], and the keys to look them up under [2 * windows]."""

    starts: Numbers
    ends: Numbers
    keys: Hashes


def windows_of(words: Words, most: int) -> Iterator[Windows]:
    """The stretches that may be a misspelt name: whole words, letters but for one character at most.

    `most` is the number of letters of the longest name.
    """
    kinds = kinds_of(words.codes)
    others = np.append(0, np.cumsum((kinds != Kind.LOWER) & (kinds != Kind.UPPER)))
    lettered = words.starts[others[words.starts] == others[words.starts + 1]]
    for at in range(0, max(len(lettered), 1), _STARTS_AT_ONCE):
        starts, ends = words.windows(lettered[at : at + _STARTS_AT_ONCE], FUZZY_LETTERS - 1, most + 1)
        plain = others[ends] - others[starts] <= 1
        starts, ends = starts[plain], ends[plain]
        lengths = ends - starts
        half = _half(lengths)
        head = _key(words.between(starts, starts + half), words.values[ends - 1], lengths)
        tail = _key(words.between(ends - half, ends) ^ _LAST_HALF, words.values[starts], lengths)
        yield Windows(starts, ends, np.concatenate((head, tail)))
