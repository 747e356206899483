"""Which of very many letter sequences occur in a text: hashes of its parts, looked up in sorted tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from gateway.guards.normalise import codes_of

Hashes = NDArray[np.uint64]
Numbers = NDArray[np.int64]

PREFIX = 7  # sequences this long are found anywhere, shorter ones only where whole words are
_BASE = 0x9E3779B97F4A7C15  # odd, so it has an inverse modulo 2^64
_LETTER_FACTOR = np.uint64(0xBF58476D1CE4E5B9)
_KEY_FACTOR = np.uint64(0x94D049BB133111EB)
_HALF_WORD = np.uint64(32)
_BYTE, _IN_BYTE = np.uint64(3), np.uint64(7)
_BITS = np.left_shift(1, np.arange(8)).astype(np.uint8)
_KEPT_POWERS = 1 << 18
_BITS_PER_KEY = 16
_BETWEEN_PROBES = 17
_FEW_HASHES = 64  # are found quicker by bisection


def _powers(base: int, count: int) -> Hashes:
    powers = np.full(count, base % (1 << 64), dtype=np.uint64)
    powers[:1] = 1
    return np.multiply.accumulate(powers)


_POWERS = _powers(_BASE, _KEPT_POWERS)
_INVERSES = _powers(pow(_BASE, -1, 1 << 64), _KEPT_POWERS)


class Parts:
    """Hashes of the substrings of a text: equal letters, equal hash, wherever they stand."""

    def __init__(self, text: str):
        self.text = text
        self.codes = codes = codes_of(text)
        self.values = _mixed((codes + np.uint64(1)) * _LETTER_FACTOR)
        count = len(codes)
        known = count <= _KEPT_POWERS
        self._inverses = _INVERSES if known else _powers(pow(_BASE, -1, 1 << 64), count)
        self._sums = np.zeros(count + 1, dtype=np.uint64)
        np.cumsum(self.values * (_POWERS[:count] if known else _powers(_BASE, count)), out=self._sums[1:])

    def between(self, starts: Numbers, ends: Numbers) -> Hashes:
        """The hash of each text[start:end]."""
        return _mixed(self.sums(starts, ends))

    def sums(self, starts: Numbers, ends: Numbers) -> Hashes:
        """What each text[start:end] adds up to: its hash, before `followed` by another's."""
        sums: Hashes = (self._sums[ends] - self._sums[starts]) * self._inverses[starts]
        return sums

    def every(self, length: int) -> Hashes:
        """The hash of text[start : start + length] for every start."""
        sums = self._sums
        count = max(len(sums) - length, 0)
        return _mixed((sums[length:] - sums[:count]) * self._inverses[:count])


def followed(first: Hashes, lengths: Numbers, then: Hashes) -> Hashes:
    """The hashes of texts that are one (of so many letters) and another behind it, given their sums."""
    return _mixed(first + _POWERS[lengths] * then)


class Words(Parts):
    """A text with the places where words begin and end, for search in any number of tables."""

    def __init__(self, text: str, edges: bytes):
        super().__init__(text)
        edge = np.frombuffer(edges, dtype=np.bool_)
        self.starts = np.flatnonzero(edge[:-1])
        ending = edge.copy()
        ending[:-1] |= (self.codes == ord("s")) & edge[1:]  # a genitive or plural s follows
        self.ends = np.flatnonzero(ending)

    def windows(self, starts: Numbers, least: int, most: int) -> tuple[Numbers, Numbers]:
        """All windows of so many letters from one of the word starts to the end of a word: starts, ends."""
        first = np.searchsorted(self.ends, starts + least)
        counts = np.searchsorted(self.ends, starts + most, "right") - first
        return np.repeat(starts, counts), self.ends[ragged(first, counts)]

    @cached_property
    def prefixes(self) -> Hashes:
        return self.every(PREFIX)


def _mixed(hashes: Hashes) -> Hashes:
    """Spread the low bits, which few letters decide, over the high ones, which choose the slot."""
    hashes ^= hashes >> _HALF_WORD
    hashes *= _KEY_FACTOR
    return hashes


class Filter:
    """Which hashes are among very many, but for about one in a hundred that is not (a Bloom filter)."""

    def __init__(self, *many: Hashes):
        bits = max(_BITS_PER_KEY * sum(map(len, many)), 8).bit_length()
        self._shifts = (np.uint64(64 - bits), np.uint64(64 - bits - _BETWEEN_PROBES))
        self._last = np.uint64((1 << bits) - 1)
        taken = np.zeros(1 << bits, dtype=np.bool_)
        for shift in self._shifts:
            for keys in many:
                taken[(keys >> shift) & self._last] = True
        self._taken = np.packbits(taken, bitorder="little")

    def passed(self, hashes: Hashes) -> Numbers:
        """The indices of the hashes that may be among them."""
        known = np.flatnonzero(self._probe(hashes, self._shifts[0]))
        return known[self._probe(hashes[known], self._shifts[1]) > 0] if len(known) else known

    def _probe(self, hashes: Hashes, shift: np.uint64) -> NDArray[np.uint8]:
        slots = (hashes >> shift) & self._last
        taken: NDArray[np.uint8] = self._taken[slots >> _BYTE] & _BITS[slots & _IN_BYTE]
        return taken


class Table:
    """Numbers by hash, several for one hash where need be."""

    def __init__(self, keys: Hashes, numbers: NDArray[np.uint32]):
        order = np.argsort(keys)
        self.keys, self.numbers = keys[order], numbers[order]
        bits = max(len(keys), 1).bit_length()
        self._shift = np.uint64(64 - bits)
        # Where the keys of each range begin: hashes are spread evenly, so that is nearly where a key is.
        counts = np.bincount((self.keys >> self._shift).astype(np.int64), minlength=1 << bits)
        self._first = np.append(0, np.cumsum(counts)).astype(np.uint32)

    def find(self, hashes: Hashes) -> tuple[Numbers, NDArray[np.uint32]]:
        """(index into hashes, number) for everything known under one of them."""
        if len(hashes) < _FEW_HASHES:
            first = self.keys.searchsorted(hashes)
            counts = self.keys.searchsorted(hashes, "right") - first
            return np.repeat(np.arange(len(hashes)), counts), self.numbers[ragged(first, counts)]
        ranges = (hashes >> self._shift).astype(np.int64)
        first = self._first[ranges].astype(np.int64)
        counts = self._first[ranges + 1] - first
        which, at = np.repeat(np.arange(len(hashes)), counts), ragged(first, counts)
        same = np.flatnonzero(self.keys[at] == hashes[which])
        return which[same], self.numbers[at[same]]


def ragged(first: Numbers, counts: Numbers) -> Numbers:
    """first[i], first[i] + 1 ... (counts[i] of them), one i after the other."""
    total = np.cumsum(counts)
    return np.arange(total[-1] if len(total) else 0) + np.repeat(first - total + counts, counts)


@dataclass(frozen=True, slots=True)
class Joined:
    """Many letter sequences hashed in one go."""

    parts: Parts
    starts: Numbers
    ends: Numbers

    @classmethod
    def of(cls, sequences: Sequence[str]) -> "Joined":
        ends = np.cumsum([len(letters) for letters in sequences], dtype=np.int64)
        starts = np.append(0, ends)[: len(ends)]
        return cls(Parts("".join(sequences)), starts, ends)


def merged_table(many: Sequence[Table], owners: Sequence[Numbers]) -> Table:
    numbers = np.concatenate([new[each.numbers] for each, new in zip(many, owners, strict=True)])
    kept = numbers >= 0
    return Table(np.concatenate([each.keys for each in many])[kept], numbers[kept].astype(np.uint32))
