"""Letter sequences found in a text: long ones anywhere, short ones where they are whole words."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gateway.guards.letters import PREFIX, Hashes, Joined, Numbers, Table, Words, merged_table
from gateway.guards.windows import FEW_PLACES, Grams, likely_windows

_SHORT_GRAM = 3
_SLOTS_PER_KEY = 4


class Found(NamedTuple):
    start: int
    end: int
    owner: int


class Short(NamedTuple):
    """Whole words of fewer letters than a prefix."""

    starts: Numbers
    ends: Numbers
    keys: Hashes

    @classmethod
    def of(cls, words: Words, many: "Sequence[Sequences]") -> "Short":
        """Those of a text; where there are many, those that begin like one of some sequences."""
        if len(words.starts) <= FEW_PLACES:
            starts, ends = words.windows(words.starts, 1, PREFIX - 1)
        else:
            starts, ends = likely_windows(words, words.starts, [each.grams for each in many])
        return cls(starts, ends, words.between(starts, ends))


NO_SHORT = Short(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.uint64))


class Sequences:
    """Letter sequences and their owners."""

    def __init__(self, short: Table, beginnings: Table, prefixes: Table, long: Table):
        self._short, self._beginnings, self._prefixes, self._long = short, beginnings, prefixes, long
        sizes = [min(length, _SHORT_GRAM) for length in range(PREFIX)]
        slots = _SLOTS_PER_KEY * len(beginnings.keys)
        self.grams = Grams(sizes, beginnings.keys, beginnings.numbers.astype(np.int64), slots)

    @classmethod
    def compiled(cls, sequences: Sequence[str], owners: Iterable[int]) -> "Sequences":
        joined = Joined.of(sequences)
        keys = joined.parts.between(joined.starts, joined.ends)
        lengths = joined.ends - joined.starts
        numbers = np.fromiter(owners, dtype=np.uint32, count=len(sequences))
        short = lengths < PREFIX
        starts = joined.starts[~short]
        grams = joined.parts.between(
            joined.starts[short], joined.starts[short] + np.minimum(lengths[short], _SHORT_GRAM)
        )
        return cls(
            Table(keys[short], numbers[short]),
            _distinct(grams, lengths[short].astype(np.uint32)),
            _distinct(joined.parts.between(starts, starts + PREFIX), lengths[~short].astype(np.uint32)),
            Table(keys[~short], numbers[~short]),
        )

    @classmethod
    def merged(cls, many: "Sequence[Sequences]", owners: Sequence[Numbers]) -> "Sequences":
        """One of many; owners[i] gives the new number of each owner in many[i], -1 for those left out."""
        return cls(
            merged_table([each._short for each in many], owners),
            _all_distinct([each._beginnings for each in many]),
            _all_distinct([each._prefixes for each in many]),
            merged_table([each._long for each in many], owners),
        )

    @property
    def keys(self) -> tuple[Hashes, Hashes]:
        """What `find` must be asked about: the hashes of whole short words, and of prefixes."""
        return self._short.keys, self._prefixes.keys

    def find(self, words: Words, windows: "Short", short: Numbers, prefixes: Numbers) -> list[Found]:
        """Long sequences anywhere, short ones where they are whole words; `short` and `prefixes` may be known."""
        found: list[Found] = []
        if len(short):
            starts, ends, keys = windows
            found += _found(starts[short], ends[short], self._short.find(keys[short]))
        if len(prefixes):
            which, lengths = self._prefixes.find(words.prefixes[prefixes])
            starts = prefixes[which]
            ends = starts + lengths
            inside = (ends <= len(words.text)).nonzero()[0]
            starts, ends = starts.take(inside), ends.take(inside)
            found += _found(starts, ends, self._long.find(words.between(starts, ends)))
        return found


def _found(starts: Numbers, ends: Numbers, known: tuple[Numbers, NDArray[np.uint32]]) -> Iterator[Found]:
    which, owners = known
    return map(Found, starts[which].tolist(), ends[which].tolist(), owners.tolist())


def _all_distinct(many: Sequence[Table]) -> Table:
    return _distinct(np.concatenate([each.keys for each in many]), np.concatenate([each.numbers for each in many]))


def _distinct(keys: Hashes, numbers: NDArray[np.uint32]) -> Table:
    order = np.lexsort((numbers, keys))
    keys, numbers = keys[order], numbers[order]
    new = np.ones(len(keys), dtype=np.bool_)
    new[1:] = (keys[1:] != keys[:-1]) | (numbers[1:] != numbers[:-1])
    return Table(keys[new], numbers[new])
