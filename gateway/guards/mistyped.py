"""Names of several words with a slip in one word or two, at whatever letter: found by two neighbouring words.

Of two words, the second one is looked up with any one letter left out, together with the first or the last letter of
the first one: a slip in either leaves one of these as they were.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from gateway.guards.letters import Hashes, Joined, Numbers, Parts, Table, Words, merged_table
from gateway.guards.normalise import BARRIER, fold

_LEAST_LEFT = 3  # letters of a second word: with one left out, shorter ones are too many others
_LAST_FACTOR = np.uint64(0x9FB21C651E98DF25)


class Pairs(NamedTuple):
    """The keys to look neighbouring words of a text up under, and the second word of each key of either half.

    (There are keys of the first word, which follows none.)
    """

    keys: Hashes
    second: Numbers

    @classmethod
    def of(cls, words: Words) -> "Pairs":
        """Those of a text."""
        return cls(*_keys(words, words.bounds))


NO_PAIRS = Pairs(np.zeros(0, np.uint64), np.zeros(0, np.int64))


def _keys(parts: Parts, bounds: Numbers) -> tuple[Hashes, Numbers]:
    """The keys of words between neighbouring bounds, each with the word before it; and which word each is of.

    Those by the first letter of the word before stand before those by its last one.
    """
    hashes, second = parts.without_one(bounds)
    before = second - 1
    first = parts.values.take(bounds[:-1])
    last = parts.values.take(bounds[1:] - 1) * _LAST_FACTOR
    keys = np.concatenate((first.take(before), last.take(before)))
    by_either = keys.reshape(2, -1)
    by_either ^= hashes
    return keys, second


class MistypedNames:
    """Names by two neighbouring words."""

    def __init__(self, table: Table):
        self._table = table

    @classmethod
    def compiled(cls, names: Sequence[Sequence[str]]) -> "MistypedNames":
        """Of the words of each name; one of fewer than two is not looked for."""
        known = [number for number, words in enumerate(names) if len(words) > 1]
        pairs = [names[number][at : at + 2] for number in known for at in (looked_up(names[number]),)]
        joined = Joined.of([word for pair in pairs for word in pair])
        keys, which = _keys(joined.parts, np.append(0, joined.ends))
        whole = np.arange(len(which)) >= len(joined.parts.codes)
        kept = (which % 2 == 1) & (whole | ((joined.ends - joined.starts)[which] > _LEAST_LEFT))
        numbers = np.array(known, dtype=np.uint32)[which[kept] // 2]
        return cls(Table(keys.reshape(2, -1)[:, kept].reshape(-1), np.tile(numbers, 2)))

    @classmethod
    def merged(cls, many: "Sequence[MistypedNames]", numbers: Sequence[Numbers]) -> "MistypedNames":
        """One of many, each with the new numbers of its names, negative for those that are dropped."""
        return cls(merged_table([each._table for each in many], numbers))

    @property
    def keys(self) -> Hashes:
        """What `find` must be asked about."""
        return self._table.keys

    def find(self, pairs: Pairs, passed: Numbers) -> Iterator[tuple[int, int]]:
        """(second word of a pair, number of a name that it may be of); of `passed` keys."""
        which, numbers = self._table.find(pairs.keys[passed])
        second = pairs.second[passed[which] % len(pairs.second)]
        return iter({*zip(second.tolist(), numbers.tolist(), strict=True)})


def looked_up(words: Sequence[str]) -> int:
    """Which word of a name the pair begins with that it is looked up by: the second one is long, or both are."""
    pairs = range(len(words) - 1)
    return max(pairs, key=lambda at: (len(words[at + 1]) > _LEAST_LEFT, len(words[at]) + len(words[at + 1]), at))


def words_of(names: Sequence[str]) -> list[list[str]]:
    """The folded words of each name, as they stand in a text."""
    folded = fold("".join(name.replace(BARRIER, "") + BARRIER for name in names))
    bounds = np.frombuffer(folded.edges, dtype=np.bool_).nonzero()[0].tolist()
    found: list[list[str]] = [[]]
    for start, end in pairwise(bounds):
        if folded.text[start] == BARRIER:
            found.append([])
        else:
            found[-1].append(folded.text[start:end])
    return found[:-1]
