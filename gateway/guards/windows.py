"""Which windows of a long text may be something known: what the known begins or ends with rules out most of them."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from gateway.guards.letters import Hashes, Numbers, Parts, Words

FEW_PLACES = 256  # from so few all windows are read
_AT_ONCE = 4096  # places: bounds the memory that hostile text can take


class Grams:
    """What letter sequences begin with, or end with, and how long a window is that may be one of them.

    `sizes[n]` letters tell whether a window of n may be one (n < 64; none where that is 0).
    """

    def __init__(self, sizes: Sequence[int], grams: Hashes, lengths: Numbers, slots: int):
        bits = max(slots, 64).bit_length()
        self._shift = np.uint64(64 - bits)
        self._lengths = np.zeros(1 << bits, dtype=np.uint64)  # bit n: n letters
        np.bitwise_or.at(self._lengths, grams >> self._shift, np.uint64(1) << lengths.astype(np.uint64))
        self._sizes = [
            (size, np.uint64(sum(1 << length for length, other in enumerate(sizes) if other == size)))
            for size in sorted({*sizes} - {0})
        ]

    def beginning(self, parts: Parts, starts: Numbers) -> NDArray[np.uint64]:
        """How long windows from some places may be, as bits."""
        count = len(parts.text)
        return self._found((parts.between(starts, np.minimum(starts + size, count)) for size, _ in self._sizes), starts)

    def ending(self, parts: Parts, ends: Numbers) -> NDArray[np.uint64]:
        """How long windows up to some places may be, as bits."""
        return self._found((parts.between(np.maximum(ends - size, 0), ends) for size, _ in self._sizes), ends)

    def _found(self, grams: Iterable[Hashes], places: Numbers) -> NDArray[np.uint64]:
        found = np.zeros(len(places), dtype=np.uint64)
        for (_, lengths), hashes in zip(self._sizes, grams, strict=True):
            found |= self._lengths.take((hashes >> self._shift).view(np.int64)) & lengths
        return found


def likely_windows(words: Words, starts: Numbers, many: Sequence[Grams]) -> tuple[Numbers, Numbers]:
    """Windows from word starts to the end of a word that begin like something known: starts, ends.

    From few places, `Words.windows` is quicker.
    """
    finishes = np.zeros(len(words.text) + 1, dtype=np.bool_)
    finishes[words.ends] = True
    ahead = _Ahead(finishes)
    found = [(starts[:0], starts[:0])]
    for some in _parts_of(starts):
        at, lengths = _spread([grams.beginning(words, some) for grams in many], ahead.of(some))
        first = some.take(at)
        found.append((first, first + lengths))
    return _joined(found)


def likely_windows_before(
    words: Words, begins: NDArray[np.bool_], ends: Numbers, many: Sequence[Grams]
) -> tuple[Numbers, Numbers]:
    """The same for windows to the ends of words, from where one `begins`, that end like something known.

    `begins` has a flag for each letter, and one more.
    """
    behind = _Ahead(begins[::-1])
    found = [(ends[:0], ends[:0])]
    for some in _parts_of(ends):
        at, lengths = _spread([grams.ending(words, some) for grams in many], behind.of(len(begins) - 1 - some))
        last = some.take(at)
        found.append((last - lengths, last))
    return _joined(found)


class _Ahead:
    """Flags, and those behind each of them as bits."""

    def __init__(self, flags: NDArray[np.bool_]):
        packed = np.append(np.packbits(flags, bitorder="little"), np.zeros(8, dtype=np.uint8))
        self._from_byte: NDArray[np.uint64] = np.ndarray(len(packed) - 7, dtype="<u8", buffer=packed, strides=(1,))

    def of(self, places: Numbers) -> NDArray[np.uint64]:
        """Bit n is that of the place + n, for n up to 56."""
        return np.right_shift(self._from_byte.take(places >> 3), (places & 7).astype(np.uint64))


def _parts_of(places: Numbers) -> Iterator[Numbers]:
    return (places[at : at + _AT_ONCE] for at in range(0, len(places), _AT_ONCE))


def _joined(found: Sequence[tuple[Numbers, Numbers]]) -> tuple[Numbers, Numbers]:
    return np.concatenate([starts for starts, _ in found]), np.concatenate([ends for _, ends in found])


def _spread(lengths: Sequence[NDArray[np.uint64]], possible: NDArray[np.uint64]) -> tuple[Numbers, Numbers]:
    """The bits that are set in any of some masks and possible, [places]: index of the place, number of the bit."""
    masks = np.bitwise_or.reduce(lengths) & possible
    some = masks.nonzero()[0]
    bits = np.unpackbits(masks.take(some).astype("<u8").view(np.uint8), bitorder="little")
    at = bits.view(np.bool_).nonzero()[0]
    return some.take(at >> 6), at & 63
