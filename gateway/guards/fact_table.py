"""The facts of many targets as sorted arrays: which of them a text states, and whose they are.

Immutable. A fact's words are one hash; for each hash its owners stand side by side, so that what thousands of targets
share is stored once and looked up once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import process
from rapidfuzz.distance import Indel

from gateway.guards.facts import LONGEST_FACT_WORDS, Describable, Fact, facts_of
from gateway.guards.letters import Filter, Hashes, Numbers, ragged
from gateway.guards.scattered import NameWords
from gateway.guards.words import hashes_of

SAME_FACT = 0.6  # likeness of two spellings of one fact (Lisbon, Lisboa)
ATTRIBUTES = (
    64  # the values of one attribute are one fact, however they are spelt; of more attributes this is not known
)
PROSE = 192  # groups from here on are words out of a text about the target, from ATTRIBUTES on what has no attribute
_MULTIPLIER = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1
_AT_ONCE = 512  # targets compiled at a time: bounds the memory that takes meanwhile
_NO_ATTRIBUTE = 255


class Sequences(NamedTuple):
    """Hashes of sequences of a text's words, the shorter ones first; those of n words begin at index `first[n - 1]`."""

    hashes: Hashes
    first: tuple[int, ...]

    def places(self, at: Numbers) -> tuple[Numbers, Numbers]:
        """First words of some of them, and numbers of words."""
        first = np.array(self.first)
        lengths = first.searchsorted(at, "right")
        return at - first[lengths - 1], lengths


class Stated(NamedTuple):
    """Where a text states facts: first word, number of words, the fact's row in `FactTable.keys`."""

    starts: Numbers
    lengths: Numbers
    rows: Numbers


class Owners(NamedTuple):
    """Whose some facts are, one entry for each owner of each: index of the fact asked for, slot, group, bits."""

    asked: Numbers
    slots: NDArray[np.uint32]
    groups: NDArray[np.uint8]
    bits: NDArray[np.float16]


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class FactTable:
    """`targets` by slot; fact i of `keys` belongs to those in [first[i], first[i + 1]) of the arrays that follow.

    A target's facts of one group are one fact said in several ways. Groups below `ATTRIBUTES` are attributes;
    `attribute_of` has that of a fact where all owners agree, `attributes` has a bit for each that a target has.
    """

    targets: tuple[Describable, ...]
    keys: Hashes
    first: Numbers
    slots: NDArray[np.uint32]
    groups: NDArray[np.uint8]
    bits: NDArray[np.float16]
    attribute_of: NDArray[np.uint8]
    attributes: NDArray[np.uint64]
    names: NameWords
    known: Filter
    described: NDArray[np.bool_]  # by slot: whether some facts are of no attribute

    @classmethod
    def compiled(cls, targets: Sequence[Describable], attributes: dict[str, int]) -> "FactTable":
        """`attributes` has a number for each attribute, and gets those that are new."""
        keys, slots, groups, bits = [], [], [], []
        for start in range(0, len(targets), _AT_ONCE):
            some = [*facts_of(targets[start : start + _AT_ONCE])]
            distinct = [*dict.fromkeys(fact.stems for own in some for fact in own)]
            key_of = dict(zip(distinct, keys_of(distinct), strict=True))
            keys.append(np.array([key_of[fact.stems] for own in some for fact in own], dtype=np.uint64))
            slots.append(np.repeat(np.arange(start, start + len(some), dtype=np.uint32), [*map(len, some)]))
            groups.append(np.array([group for own in some for group in _grouped(own, attributes)], dtype=np.uint8))
            bits.append(np.array([fact.bits for own in some for fact in own], dtype=np.float16))
        return cls._sorted(
            tuple(targets),
            np.concatenate([np.zeros(0, dtype=np.uint64), *keys]),
            np.concatenate([np.zeros(0, dtype=np.uint32), *slots]),
            np.concatenate([np.zeros(0, dtype=np.uint8), *groups]),
            np.concatenate([np.zeros(0, dtype=np.float16), *bits]),
            NameWords.compiled([target.names for target in targets]),
        )

    @classmethod
    def merged(cls, tables: Sequence["FactTable"], alive: Sequence[NDArray[np.bool_]]) -> "FactTable":
        """One of several, without the slots that are not alive."""
        counts = np.array([living.sum() for living in alive])
        numbers = [
            (np.cumsum(living) - 1 + before).astype(np.uint32)
            for living, before in zip(alive, np.cumsum(counts) - counts, strict=True)
        ]
        kept = [living[table.slots] for table, living in zip(tables, alive, strict=True)]
        return cls._sorted(
            tuple(
                target
                for table, living in zip(tables, alive, strict=True)
                for target, lives in zip(table.targets, living.tolist(), strict=True)
                if lives
            ),
            np.concatenate([np.repeat(t.keys, np.diff(t.first))[k] for t, k in zip(tables, kept, strict=True)]),
            np.concatenate([n[t.slots[k]] for t, k, n in zip(tables, kept, numbers, strict=True)]),
            np.concatenate([t.groups[k] for t, k in zip(tables, kept, strict=True)]),
            np.concatenate([t.bits[k] for t, k in zip(tables, kept, strict=True)]),
            NameWords.merged([table.names for table in tables], alive, numbers),
        )

    @classmethod
    def _sorted(
        cls,
        targets: tuple[Describable, ...],
        keys: Hashes,
        slots: NDArray[np.uint32],
        groups: NDArray[np.uint8],
        bits: NDArray[np.float16],
        names: NameWords,
    ) -> "FactTable":
        order = np.argsort(keys, kind="stable")
        keys, slots, groups, bits = keys[order], slots[order], groups[order], bits[order]
        new = np.append(True, keys[1:] != keys[:-1])[: len(keys)]
        first = np.append(np.flatnonzero(new), len(keys))
        distinct = keys[new]
        attribute_of = np.zeros(0, dtype=np.uint8)
        if len(keys):
            least, most = np.minimum.reduceat(groups, first[:-1]), np.maximum.reduceat(groups, first[:-1])
            attribute_of = np.where((least == most) & (most < ATTRIBUTES), least, np.uint8(_NO_ATTRIBUTE))
        attributes = np.zeros(len(targets), dtype=np.uint64)
        labelled = groups < ATTRIBUTES
        np.bitwise_or.at(attributes, slots[labelled], np.left_shift(np.uint64(1), groups[labelled].astype(np.uint64)))
        described = np.zeros(len(targets), dtype=np.bool_)
        described[slots[~labelled]] = True
        return cls(
            targets, distinct, first, slots, groups, bits, attribute_of, attributes, names, Filter(distinct), described
        )

    def stated(self, said: Sequences) -> Stated:
        """Which of the sequences are facts."""
        at = self.known.passed(said.hashes)
        if not len(at):
            return Stated(at, at, at)
        known, rows = self.rows(said.hashes[at])
        return Stated(*said.places(at[known]), rows)

    def rows(self, hashes: Hashes) -> tuple[Numbers, Numbers]:
        """Which of the hashes are facts, and their rows in `keys`."""
        rows = self.keys.searchsorted(hashes)
        known = (self.keys.take(rows, mode="clip") == hashes).nonzero()[0] if len(self.keys) else rows[:0]
        return known, rows[known]

    def shared(self, rows: Numbers) -> Numbers:
        """How many targets have the fact in each row."""
        counts: Numbers = self.first[rows + 1] - self.first[rows]
        return counts

    def owners(self, rows: Numbers) -> Owners:
        """Whose the facts in these rows are."""
        counts = self.shared(rows)
        at = ragged(self.first[rows], counts)
        return Owners(np.repeat(np.arange(len(rows)), counts), self.slots[at], self.groups[at], self.bits[at])


def keys_of(facts: Sequence[Sequence[str]]) -> list[int]:
    """The hashes of sequences of words, as in `sequences`."""
    distinct = [*dict.fromkeys(word for stems in facts for word in stems)]
    hashed = dict(zip(distinct, hashes_of(distinct).tolist(), strict=True))
    keys = []
    for stems in facts:
        key = 0
        for word in stems:
            key = key * _MULTIPLIER + hashed[word] & _MASK
        keys.append(key)
    return keys


def sequences(words: Hashes) -> Sequences:
    """All sequences of up to `LONGEST_FACT_WORDS` words, given the hash of each word; single words first."""
    hashes = [words]
    for length in range(2, min(LONGEST_FACT_WORDS, len(words)) + 1):
        hashes.append(hashes[-1][:-1] * np.uint64(_MULTIPLIER) + words[length - 1 :])
    return Sequences(np.concatenate(hashes), (0, *accumulate(map(len, hashes[:-1]))))


def _grouped(facts: Sequence[Fact], attributes: dict[str, int]) -> list[int]:
    """The group of each fact: values of one attribute are the same fact, and so are spellings that are alike."""
    groups = [_attribute(fact.attribute, attributes) for fact in facts]
    if min(groups, default=0) >= 0:
        return groups
    free = {False: ATTRIBUTES, True: PROSE}
    letters = [fact.spelt for fact in facts]
    alike = process.cdist(letters, letters, scorer=Indel.normalized_similarity, score_cutoff=SAME_FACT) > 0
    for at, first in enumerate(alike.argmax(axis=1).tolist()):
        if groups[at] < 0 and first < at:
            groups[at] = groups[first]
        elif groups[at] < 0:
            groups[at] = free[prose := facts[at].prose]
            free[prose] += 1
    return groups


def _attribute(name: str, numbers: dict[str, int]) -> int:
    """-1 for none, and for one too many."""
    if name and name not in numbers and len(numbers) < ATTRIBUTES:
        numbers[name] = len(numbers)
    return numbers.get(name, -1) if name else -1
