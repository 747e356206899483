"""Which of very many letter sequences occur in a text: hashes of its parts, looked up in sorted tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from gateway.guards.normalise import RECENT_TEXTS, Folded, codes_of

Hashes = NDArray[np.uint64]
Numbers = NDArray[np.int64]

PREFIX = 7  # sequences this long are found anywhere, shorter ones only where whole words are
_BASE = 0x9E3779B97F4A7C15  # odd, so it has an inverse modulo 2^64
_LAST_HASH = (1 << 64) - 1
_LETTER_FACTOR = np.uint64(0xBF58476D1CE4E5B9)
_KEY_FACTOR = np.uint64(0x94D049BB133111EB)
_HALF_WORD = np.uint64(32)
_BYTE, _IN_BYTE = np.int64(3), np.int64(7)
_BITS = np.left_shift(1, np.arange(8)).astype(np.uint8)
_KEPT_POWERS = 1 << 18
_BITS_PER_KEY = 16
_BETWEEN_PROBES = 17
_NONE = np.zeros(0, dtype=np.int64)
_COUNTING = np.arange(1 << 8)
_FEW_HASHES = 64  # are found quicker by bisection


def _powers(base: int, count: int) -> Hashes:
    powers = np.full(count, base % (1 << 64), dtype=np.uint64)
    powers[:1] = 1
    return np.multiply.accumulate(powers)


_POWERS = _powers(_BASE, _KEPT_POWERS)
_INVERSES = _powers(pow(_BASE, -1, 1 << 64), _KEPT_POWERS)


def _letter_values(codes: NDArray[np.uint32]) -> Hashes:
    return _mixed((codes + np.uint64(1)) * _LETTER_FACTOR)


class Parts:
    """Hashes of the substrings of a text: equal letters, equal hash, wherever they stand."""

    def __init__(self, text: str):
        self.text = text
        self.codes = codes = codes_of(text)
        self.values = _LETTERS.take(codes) if codes.max(initial=0) < len(_LETTERS) else _letter_values(codes)
        count = len(codes)
        known = count <= _KEPT_POWERS
        self._inverses = _INVERSES if known else _powers(pow(_BASE, -1, 1 << 64), count)
        self._sums = np.zeros(count + 1, dtype=np.uint64)
        (self.values * (_POWERS[:count] if known else _powers(_BASE, count))).cumsum(out=self._sums[1:])

    def between(self, starts: Numbers, ends: Numbers) -> Hashes:
        """The hash of each text[start:end]."""
        return _mixed(self.sums(starts, ends))

    def sums(self, starts: Numbers, ends: Numbers) -> Hashes:
        """What each text[start:end] adds up to: its hash, before `followed` by another's."""
        sums: Hashes = (self._sums.take(ends) - self._sums.take(starts)) * self._inverses.take(starts)
        return sums

    def without_one(self, bounds: Numbers) -> tuple[Hashes, Numbers]:
        """The hashes of all texts between neighbouring bounds, with each letter left out and then as they are.

        And which text each is of. The first bound is 0, the last one the end.
        """
        texts = _COUNTING[: len(bounds) - 1] if len(bounds) <= len(_COUNTING) else np.arange(len(bounds) - 1)
        which = np.concatenate((texts.repeat(bounds[1:] - bounds[:-1]), texts))
        sums, moved = self._sums, self._sums * _INVERSES[1]  # what follows the letter moves up by one
        begun, ended = sums.take(bounds[:-1]), bounds[1:]
        left = (moved.take(ended) - begun).take(which[: len(self.codes)])
        left += sums[:-1]
        left -= moved[1:]
        hashes = np.concatenate((left, sums.take(ended) - begun))
        hashes *= self._inverses.take(bounds[:-1]).take(which)
        return _mixed(hashes), which

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

    def __init__(self, folded: Folded):
        super().__init__(folded.text)
        edge = np.frombuffer(folded.edges, dtype=np.bool_)
        self.bounds = edge.nonzero()[0]
        self.starts = self.bounds[:-1]
        ending = edge.copy()
        ending[:-1] |= (self.codes == ord("s")) & edge[1:]  # a genitive or plural s follows
        self.ends = ending.nonzero()[0]

    @classmethod
    @lru_cache(maxsize=RECENT_TEXTS)
    def of(cls, folded: Folded) -> "Words":
        """Those of a folded text; remembered, since names and descriptions are looked for one after the other."""
        return cls(folded)

    def windows(self, starts: Numbers, least: int, most: int) -> tuple[Numbers, Numbers]:
        """All windows of so many letters from one of the word starts to the end of a word: starts, ends."""
        first = self.ends.searchsorted(starts + least)
        counts = self.ends.searchsorted(starts + most, "right") - first
        return starts.repeat(counts), self.ends[ragged(first, counts)]

    @cached_property
    def prefixes(self) -> Hashes:
        return self.every(PREFIX)


def _mixed(hashes: Hashes) -> Hashes:
    """Spread the low bits, which few letters decide, over the high ones, which choose the slot."""
    hashes ^= hashes >> _HALF_WORD
    hashes *= _KEY_FACTOR
    return hashes


_LETTERS = _letter_values(np.arange(1 << 16, dtype=np.uint32))


def hash_of(letters: str) -> int:
    """The same hash as that of `Parts`, of a few letters: quicker than an array for them."""
    total, power = 0, 1
    for code in map(ord, letters):
        total += power * _mixed_number((code + 1) * int(_LETTER_FACTOR))
        power = power * _BASE & _LAST_HASH
    return _mixed_number(total)


def _mixed_number(value: int) -> int:
    value &= _LAST_HASH
    return (value ^ value >> int(_HALF_WORD)) * int(_KEY_FACTOR) & _LAST_HASH


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
        known = self._taken_at(hashes >> self._shifts[0]).nonzero()[0]
        if not len(known):
            return known
        return known[self._taken_at((hashes.take(known) >> self._shifts[1]) & self._last)]

    def _taken_at(self, slots: Hashes) -> NDArray[np.bool_]:
        at = slots.view(np.int64)
        taken: NDArray[np.bool_] = (self._taken.take(at >> _BYTE) & _BITS.take(at & _IN_BYTE)) > 0
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

    def __contains__(self, key: int) -> bool:
        wanted = np.uint64(key)
        at = self.keys.searchsorted(wanted)
        return bool(at < len(self.keys) and self.keys[at] == wanted)

    def of(self, key: int) -> list[int]:
        """The numbers under one hash."""
        wanted = np.uint64(key)
        first, after = self.keys.searchsorted(wanted), self.keys.searchsorted(wanted, "right")
        found: list[int] = self.numbers[first:after].tolist()
        return found

    def find(self, hashes: Hashes) -> tuple[Numbers, NDArray[np.uint32]]:
        """(index into hashes, number) for everything known under one of them."""
        if len(hashes) < _FEW_HASHES:
            first = self.keys.searchsorted(hashes)
            known = (self.keys.take(first, mode="clip") == hashes).nonzero()[0] if len(self.keys) else _NONE
            if not len(known):  # as mostly, where a filter let something pass
                return known, self.numbers[:0]
            first = first.take(known)
            counts = self.keys.searchsorted(hashes.take(known), "right") - first
            return known.repeat(counts), self.numbers[ragged(first, counts)]
        ranges = (hashes >> self._shift).view(np.int64)
        first = self._first.take(ranges).astype(np.int64)
        counts = self._first.take(ranges + 1) - first
        which, at = np.repeat(np.arange(len(hashes)), counts), ragged(first, counts)
        same = (self.keys.take(at) == hashes.take(which)).nonzero()[0]
        return which[same], self.numbers[at[same]]


def ragged(first: Numbers, counts: Numbers) -> Numbers:
    """first[i], first[i] + 1 ... (counts[i] of them), one i after the other."""
    total = counts.cumsum()
    within: Numbers = (first - total + counts).repeat(counts)
    within += np.arange(len(within))
    return within


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
