"""The facts of many targets as sorted arrays: which of them a text states, and whose they are.

Immutable. A fact's words are one hash; for each hash its owners stand side by side, so that what thousands of targets
share is stored once and looked up once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import process
from rapidfuzz.distance import Indel

from gateway.guards.facts import LONGEST_FACT_WORDS, Describable, Fact, Stems, facts_of
from gateway.guards.letters import Filter, Hashes, Numbers, ragged
from gateway.guards.scattered import NameWords

SAME_FACT = 0.6  # likeness of two spellings of one fact (Lisbon, Lisboa)
ATTRIBUTES = (
    64  # the values of one attribute are one fact, however they are spelt; of more attributes this is not known
)
_MULTIPLIER = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1
_AT_ONCE = 512  # targets compiled at a time: bounds the memory that takes meanwhile
_NO_ATTRIBUTE = 255


class Sequences(NamedTuple):
    """Sequences of a text's words: first word, number of words, hash."""

    starts: Numbers
    lengths: Numbers
    hashes: Hashes


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

    @classmethod
    def compiled(cls, targets: Sequence[Describable], attributes: dict[str, int]) -> "FactTable":
        """`attributes` has a number for each attribute, and gets those that are new."""
        keys, slots, groups, bits = [], [], [], []
        for start in range(0, len(targets), _AT_ONCE):
            some = _Entries()
            for slot, facts in enumerate(facts_of(targets[start : start + _AT_ONCE]), start):
                some.add(slot, facts, _grouped(facts, attributes))
            keys.append(np.array(some.keys, dtype=np.uint64))
            slots.append(np.array(some.slots, dtype=np.uint32))
            groups.append(np.array(some.groups, dtype=np.uint8))
            bits.append(np.array(some.bits, dtype=np.float16))
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
        return cls(targets, distinct, first, slots, groups, bits, attribute_of, attributes, names, Filter(distinct))

    def stated(self, said: Sequences) -> Stated:
        """Which of the sequences are facts."""
        at = self.known.passed(said.hashes)
        known, rows = self.rows(said.hashes[at])
        return Stated(said.starts[at[known]], said.lengths[at[known]], rows)

    def rows(self, hashes: Hashes) -> tuple[Numbers, Numbers]:
        """Which of the hashes are facts, and their rows in `keys`."""
        rows = self.keys.searchsorted(hashes)
        known = np.flatnonzero(self.keys.take(rows, mode="clip") == hashes) if len(self.keys) else rows[:0]
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


class _Entries:
    """Facts as columns."""

    def __init__(self) -> None:
        self.keys: list[int] = []
        self.slots: list[int] = []
        self.groups: list[int] = []
        self.bits: list[float] = []
        self._key_of: dict[Stems, int] = {}

    def add(self, slot: int, facts: Sequence[Fact], groups: Sequence[int]) -> None:
        for fact in facts:
            key = self._key_of.get(fact.stems)
            if key is None:
                key = self._key_of[fact.stems] = key_of(fact.stems)
            self.keys.append(key)
            self.bits.append(fact.bits)
        self.slots += [slot] * len(facts)
        self.groups += groups


def key_of(stems: Sequence[str]) -> int:
    """The hash of a sequence of words, as in `sequences`."""
    key = 0
    for word in stems:
        key = key * _MULTIPLIER + hash(word) & _MASK
    return key


def sequences(stems: Sequence[str]) -> Sequences:
    """All sequences of up to `LONGEST_FACT_WORDS` words, single words first."""
    single = np.fromiter(map(hash, stems), dtype=np.int64, count=len(stems)).view(np.uint64)
    hashes = [single]
    for length in range(2, min(LONGEST_FACT_WORDS, len(stems)) + 1):
        hashes.append(hashes[-1][:-1] * np.uint64(_MULTIPLIER) + single[length - 1 :])
    counts = [len(some) for some in hashes]
    starts = np.concatenate([np.arange(count) for count in counts])
    return Sequences(starts, np.repeat(np.arange(1, len(hashes) + 1), counts), np.concatenate(hashes))


def _grouped(facts: Sequence[Fact], attributes: dict[str, int]) -> list[int]:
    """The group of each fact: values of one attribute are the same fact, and so are spellings that are alike."""
    groups = [_attribute(fact.attribute, attributes) for fact in facts]
    if min(groups, default=0) >= 0:
        return groups
    letters = [fact.spelt for fact in facts]
    alike = process.cdist(letters, letters, scorer=Indel.normalized_similarity, score_cutoff=SAME_FACT) > 0
    for at, first in enumerate(alike.argmax(axis=1).tolist()):
        if groups[at] < 0:
            groups[at] = groups[first] if first < at else ATTRIBUTES + at
    return groups


def _attribute(name: str, numbers: dict[str, int]) -> int:
    """-1 for none, and for one too many."""
    if name and name not in numbers and len(numbers) < ATTRIBUTES:
        numbers[name] = len(numbers)
    return numbers.get(name, -1) if name else -1
