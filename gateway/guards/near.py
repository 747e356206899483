"""Names with one letter wrong, missing, doubled or swapped, found without comparing a text to every name."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gateway.guards.letters import Hashes, Joined, Numbers, Parts, Table, Words
from gateway.guards.masks import MASKED
from gateway.guards.names import FUZZY_LETTERS
from gateway.guards.normalise import Kind, kinds_of
from gateway.guards.windows import FEW_PLACES, Grams, likely_windows, likely_windows_before

MOST_LETTERS = 48  # longer names are not looked for with a letter wrong: every stretch of a text would have to be
_GRAM = 4  # letters; no half of a window is shorter than three
_SLOTS_PER_NAME = 4
_LENGTH_FACTOR = np.uint64(0xD6E8FEB86659FD93)
_EDGE_FACTOR = np.uint64(0xA0761D6478BD642F)
_LAST_HALF = np.uint64(0xE7037ED1A0B428DB)
_MASKED = Parts(MASKED).values


def _key(half: Hashes, letter: Hashes, lengths: Numbers) -> Hashes:
    keys: Hashes = half ^ (letter * _EDGE_FACTOR) ^ (lengths.view(np.uint64) * _LENGTH_FACTOR)
    return keys


def _half(lengths: Numbers) -> Numbers:
    """So many letters at the beginning or so many at the end of a misspelt name are right."""
    return (lengths - 1) >> 1


_SIZES = [0] * (FUZZY_LETTERS - 1) + np.minimum(_half(np.arange(FUZZY_LETTERS - 1, MOST_LETTERS + 2)), _GRAM).tolist()


class NearNames:
    """Names that may be misspelt, by what a slip leaves: the first or last letter, and the half at the other end.

    (Two letters swapped at the very end leave the last but one, a masked one the mask.)
    """

    def __init__(self, table: Table, heads: Grams, tails: Grams, names: "_Letters", owners: NDArray[np.uint32]):
        self._table = table
        self._names, self._owners = names, owners
        self.heads, self.tails = heads, tails
        self.most = int((names.ends - names.starts).max(initial=0))  # letters of the longest name

    @classmethod
    def compiled(cls, names: Sequence[str], owners: Sequence[int]) -> "NearNames":
        joined = Joined.of(names)
        parts, starts, ends, values = joined.parts, joined.starts, joined.ends, joined.parts.values
        first, last, before_last = values[starts], values[ends - 1], values[ends - 2]
        lengths = ends - starts
        keys: list[Hashes] = []
        begin: list[Hashes] = []
        finish: list[Hashes] = []
        windows = (lengths - 1, lengths, lengths + 1)
        for window in windows:
            half = _half(window)
            head = parts.between(starts, starts + half)
            keys.append(_key(head, last, window))
            keys.append(_key(parts.between(ends - half, ends) ^ _LAST_HALF, first, window))
            gram = np.minimum(half, _GRAM)
            begin.append(parts.between(starts, starts + gram))
            finish.append(parts.between(ends - gram, ends))
        head = parts.between(starts, starts + _half(lengths))
        keys += [_key(head, before_last, lengths), _key(head, _MASKED, lengths)]
        numbers = np.tile(np.arange(len(names), dtype=np.uint32), len(keys))
        table = Table(np.concatenate(keys), numbers)
        heads, tails = (
            Grams(_SIZES, np.concatenate(grams), np.concatenate(windows), _SLOTS_PER_NAME * len(names))
            for grams in (begin, finish)
        )
        return cls(table, heads, tails, _Letters(parts.codes, starts, ends), np.array(owners, dtype=np.uint32))

    @property
    def keys(self) -> Hashes:
        """What `find` must be asked about."""
        return self._table.keys

    def find(self, words: Words, windows: "Windows", passed: Numbers, *, slip: bool) -> Iterator[tuple[int, int, int]]:
        """(start, end, owner) of windows that may be that owner's name with letters wrong; of `passed` keys.

        With `slip`, many windows are left out where more than one letter is.
        """
        which, names = self._table.find(windows.keys[passed])
        at = passed[which]
        starts, ends = windows.starts[at], windows.ends[at]
        if slip and len(at) > FEW_PLACES:
            near = self._names.nearly(names, _Letters(words.codes, starts, ends))
            starts, ends, names = starts[near], ends[near], names[near]
        return zip(starts.tolist(), ends.tolist(), self._owners[names].tolist(), strict=True)


@dataclass(frozen=True, slots=True)
class _Letters:
    """Stretches of letters."""

    codes: NDArray[np.uint32]
    starts: Numbers
    ends: Numbers

    def nearly(self, which: NDArray[np.uint32], written: "_Letters") -> NDArray[np.bool_]:
        """Whether each stretch of `written` may be one of these with one letter wrong or two exchanged."""
        starts, ends = self.starts[which], self.ends[which]
        longer = ends - starts - (written.ends - written.starts)
        least = ends - starts - np.maximum(longer, 0)
        same = _agreeing(self.codes, starts, written.codes, written.starts, least, 1)
        same += _agreeing(self.codes, ends - 1, written.codes, written.ends - 1, least, -1)
        nearly: NDArray[np.bool_] = same >= least - np.where(longer == 0, 2, 0)
        return nearly


def _agreeing(
    codes: NDArray[np.uint32], at: Numbers, others: NDArray[np.uint32], there: Numbers, most: Numbers, step: int
) -> Numbers:
    """How many letters agree from some places on, up to `most`."""
    count = np.zeros(len(at), dtype=np.int64)
    going = np.arange(len(at))
    for letter in range(int(most.max(initial=0))):
        going = going[most[going] > letter]
        going = going[codes[at[going] + step * letter] == others[there[going] + step * letter]]
        count[going] += 1
    return count


@dataclass(frozen=True, slots=True)
class Windows:
    """Starts and ends of stretches of a text, and the key to look each up under, [windows]."""

    starts: Numbers
    ends: Numbers
    keys: Hashes

    @classmethod
    def by_either(cls, words: Words, starts: Numbers, ends: Numbers) -> "Windows":
        """Under both, one after the other: few are quicker looked up at once."""
        lengths = ends - starts
        half = _half(lengths)
        keys = words.between(np.concatenate((starts, ends - half)), np.concatenate((starts + half, ends)))
        keys ^= words.values.take(np.concatenate((ends - 1, starts))) * _EDGE_FACTOR
        halves = keys.reshape(2, -1)
        halves ^= lengths.view(np.uint64) * _LENGTH_FACTOR
        halves[1] ^= _LAST_HALF
        return cls(np.concatenate((starts, starts)), np.concatenate((ends, ends)), keys)

    @classmethod
    def by_head(cls, words: Words, starts: Numbers, ends: Numbers) -> "Windows":
        """Under their first half and their last letter."""
        lengths = ends - starts
        head = words.between(starts, starts + _half(lengths))
        return cls(starts, ends, _key(head, words.values.take(ends - 1), lengths))

    @classmethod
    def by_tail(cls, words: Words, starts: Numbers, ends: Numbers) -> "Windows":
        """Under their last half and their first letter."""
        lengths = ends - starts
        tail = words.between(ends - _half(lengths), ends) ^ _LAST_HALF
        return cls(starts, ends, _key(tail, words.values.take(starts), lengths))


def windows_of(words: Words, many: Sequence[NearNames], through: str = "") -> Iterator[Windows]:
    """The stretches that may be a misspelt name of one of `many`: whole words, letters but for one character at most.

    With `through`, only those that have this letter in them.
    """
    count, least, most = len(words.codes), FUZZY_LETTERS - 1, max(names.most for names in many) + 1
    kinds = kinds_of(words.codes)
    plainly = (kinds == Kind.LOWER) | (kinds == Kind.UPPER)
    others = np.zeros(count + 1, dtype=np.int32)
    (~plainly).cumsum(out=others[1:])
    lettered = words.starts[plainly.take(words.starts)]
    had = np.append(0, np.cumsum(words.codes == ord(through))) if through else None
    if had is not None:
        lettered = lettered[had[np.minimum(lettered + most, count)] > had[lettered]]

    def plain(starts: Numbers, ends: Numbers) -> tuple[Numbers, Numbers]:
        kept = others.take(ends) - others.take(starts) <= 1
        if had is not None:
            kept &= had[ends] > had[starts]
        return starts[kept], ends[kept]

    if len(lettered) <= FEW_PLACES:
        yield Windows.by_either(words, *plain(*words.windows(lettered, least, most)))
        return
    begins = np.zeros(count + 1, dtype=np.bool_)
    begins[lettered] = True
    first = lettered[lettered <= count - least]
    first = first[others.take(first + least) - others.take(first) <= 1]
    yield Windows.by_head(words, *plain(*likely_windows(words, first, [names.heads for names in many])))
    last = words.ends[words.ends >= least]
    last = last[others.take(last) - others.take(last - least) <= 1]
    yield Windows.by_tail(words, *plain(*likely_windows_before(words, begins, last, [names.tails for names in many])))
