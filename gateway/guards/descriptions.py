"""Who is meant where nobody is named: targets whose facts a stretch of text states, however many targets there are.

Coverage in the manner of late interaction, but over words instead of vectors: what a window of the text states of a
target is added up, each fact by how seldom it is said and how few targets share it. One sorted array of word-sequence
hashes serves all targets; adding one copies a few megabytes and compiles only what is new.
"""

import math
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gateway.guards.coverage import CUE_BITS, WINDOW_WORDS, Hit, best_coverage
from gateway.guards.facts import LONGEST_FACT_WORDS, Describable, facts_of, grouped
from gateway.guards.scattered import ScatteredNames
from gateway.guards.words import RARE_BITS, words

MOST_DESCRIBED = 8  # a text that fits more targets than that identifies none of the others
_CANDIDATES, _FEWEST_CANDIDATES = 32, 4
_MOST_HITS = 40_000
_MOST_POSTINGS = 20_000
_POPULATION = 200.0  # people who are no targets and have none of the facts: with few targets, sharing says little
_RARITY = 3.0  # a fact keeps its weight until about one target in thirty shares it

DEFAULT_THRESHOLD = 22.0  # bits; two words that are in nobody's mouth tell 28
DEFAULT_TARGETS = 1000  # with so many targets it was measured
_BITS_PER_DOUBLING = 1.0  # of the targets or of the text: twice as many chances to agree by accident
_MOST_LENGTH_BITS = 6.0  # so that padding does not hide a description

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_FILTER_BITS = 22


@dataclass(frozen=True, slots=True, order=True)
class Described:
    """A text states enough about `target` to mean it; `score` in bits."""

    score: float
    target: str


@dataclass(frozen=True, slots=True, repr=False)
class _Rows:
    """One row for each fact of each target, sorted by key."""

    keys: NDArray[np.uint64]
    slots: NDArray[np.int32]
    groups: NDArray[np.int16]
    bits: NDArray[np.float32]

    def without(self, slots: Iterable[int]) -> "_Rows":
        kept = ~np.isin(self.slots, np.fromiter(slots, dtype=np.int32))
        return _Rows(self.keys[kept], self.slots[kept], self.groups[kept], self.bits[kept])

    def with_(self, other: "_Rows") -> "_Rows":
        order = np.argsort(other.keys)
        at = np.searchsorted(self.keys, other.keys[order])
        return _Rows(
            np.insert(self.keys, at, other.keys[order]),
            np.insert(self.slots, at, other.slots[order]),
            np.insert(self.groups, at, other.groups[order]),
            np.insert(self.bits, at, other.bits[order]),
        )


class DescriptionIndex:
    """What is known of each target, made for finding out whom a text describes.

    With `previous`, targets that have not changed are not compiled again, and its threshold is kept; `with_changes`
    does not even compare them.
    """

    def __init__(self, targets: Iterable[Describable], previous: "DescriptionIndex | None" = None):
        known: Mapping[str, Describable] = previous._known if previous else {}
        self._known: dict[str, Describable] = {target.id: target for target in targets}
        changed = [target for id_, target in self._known.items() if not _same(known.get(id_), target)]
        self._become(previous, changed, known.keys() - self._known.keys())

    def with_changes(self, changed: Iterable[Describable], removed: Iterable[str] = ()) -> "DescriptionIndex":
        """The index with some targets more, others or fewer."""
        index = DescriptionIndex.__new__(DescriptionIndex)
        index._known = dict(self._known)
        gone = {id_ for id_ in removed if index._known.pop(id_, None) is not None}
        other = [target for target in changed if not _same(self._known.get(target.id), target)]
        index._known.update((target.id, target) for target in other)
        index._become(self, other, gone)
        return index

    def _become(self, previous: "DescriptionIndex | None", changed: Sequence[Describable], gone: Set[str]) -> None:
        known = previous._known if previous else {}
        scattered = previous._scattered if previous else ScatteredNames()
        self._scattered: ScatteredNames = scattered.with_changes(
            {target.id: target.names for target in changed},
            {id_: known[id_].names for id_ in (*gone, *(target.id for target in changed)) if id_ in known},
        )
        self._slots: dict[str, int] = dict(previous._slots) if previous else {}
        self._ids: list[str] = list(previous._ids) if previous else []
        free = [self._slots.pop(id_) for id_ in gone]
        self._free: list[int] = [*(previous._free if previous else ()), *free]
        stale = [*free, *(self._slots[target.id] for target in changed if target.id in self._slots)]
        new = _compile((self._slot(target.id), target) for target in changed)
        kept = previous._rows if previous else _compile(())
        self._rows: _Rows = (kept.without(stale) if stale else kept).with_(new)
        if previous is None or stale:
            self._filter = _filter_of(self._rows.keys)
        else:
            self._filter = previous._filter | _filter_of(new.keys) if len(new.keys) else previous._filter
        self._calibration: tuple[float, int] = (
            previous._calibration if previous else (DEFAULT_THRESHOLD, DEFAULT_TARGETS)
        )

    def _slot(self, id_: str) -> int:
        """The place of a target, its own or a free one."""
        slot = self._slots.get(id_)
        if slot is None:
            if not self._free:
                self._free.append(len(self._ids))
                self._ids.append(id_)
            slot = self._slots[id_] = self._free.pop()
            self._ids[slot] = id_
        return slot

    def __len__(self) -> int:
        """How many targets it can recognise."""
        return len(self._slots)

    @property
    def threshold(self) -> float:
        """What a score must reach, in bits: as calibrated or by default, and more the more targets came since."""
        score, targets = self._calibration
        return score + _BITS_PER_DOUBLING * max(0.0, math.log2(max(1, len(self)) / targets))

    @property
    def outgrown(self) -> bool:
        """Whether there are twice as many targets as when the threshold was found: calibrate anew."""
        return len(self) >= 2 * self._calibration[1]

    def find(self, text: str) -> list[Described]:
        """The targets that a text describes, best first, `MOST_DESCRIBED` at most, and those whose names it scatters.

        Linear in the text.
        """
        threshold, stems = self.threshold, words(text)
        found = [one for one in self._scores(stems, threshold) if one.score >= threshold][:MOST_DESCRIBED]
        others = self._scattered.find(stems) - {one.target for one in found}
        return found + [Described(threshold, target) for target in sorted(others)]

    def scores(self, text: str, least: float = 0.0) -> list[Described]:
        """The targets of which a stretch of text states two salient facts or more, best first.

        Those that cannot reach `least` may be left out.
        """
        return self._scores(words(text), least)

    def _scores(self, stems: list[str], least: float) -> list[Described]:
        windows = max(1.0, len(stems) / WINDOW_WORDS)
        handicap = min(_MOST_LENGTH_BITS, _BITS_PER_DOUBLING * math.log2(windows))
        found = []
        for slot, hits in self._candidates(stems, least + handicap):
            if score := best_coverage(hits, stems):
                found.append(Described(score - handicap, self._ids[slot]))
        return sorted(found, key=lambda one: (-one.score, one.target))

    def _candidates(self, stems: list[str], least: float) -> list[tuple[int, list[Hit]]]:
        """The most promising slots, with all that the text states of them."""
        starts, lengths, first, last = self._lookup(stems)
        if not len(starts):
            return []
        # Which slots come from the distinct facts, so that saying one of them a thousand times hides no other.
        distinct, said = np.unique(first, return_index=True)
        counts = last[said] - distinct
        kept = np.argsort(counts, kind="stable")  # what thousands share tells least
        kept = kept[np.cumsum(counts[kept]) <= _MOST_POSTINGS]
        distinct, counts = distinct[kept], counts[kept]
        rows = np.repeat(distinct - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
        keys = np.repeat(distinct, counts)
        slots, bits = self._rows.slots[rows], self._rows.bits[rows]
        weights = weigh(bits, np.repeat(counts, counts), len(self))
        promise = np.bincount(slots, weights, minlength=len(self._ids))
        several = np.bincount(slots, minlength=len(self._ids)) > 1
        several[slots[bits > RARE_BITS]] = True
        promising = np.flatnonzero(several & (promise >= least - CUE_BITS))
        most = min(_CANDIDATES, max(_FEWEST_CANDIDATES, _MOST_HITS // len(starts)))
        best = promising[np.argsort(-promise[promising], kind="stable")[:most]]
        wanted = np.zeros(len(self._ids), dtype=np.bool_)
        wanted[best] = True
        told: dict[int, list[tuple[int, int, float, bool]]] = {}
        for at in np.flatnonzero(wanted[slots]).tolist():
            fact = int(slots[at]), int(self._rows.groups[rows[at]]), float(weights[at]), bool(bits[at] > RARE_BITS)
            told.setdefault(int(keys[at]), []).append(fact)
        by_slot: dict[int, list[Hit]] = {int(slot): [] for slot in best}
        for start, length, key in zip(starts.tolist(), lengths.tolist(), first.tolist(), strict=True):
            for slot, group, weight, strong in told.get(key, ()):
                by_slot[slot].append(Hit(start, start + length, group, weight, strong))
        return list(by_slot.items())

    def _lookup(self, stems: list[str]) -> tuple[NDArray[np.int64], ...]:
        """Where facts are stated: first word, number of words, first and past-the-last row."""
        starts, lengths, keys = [], [], []
        for length, key in enumerate(_sequence_keys(stems), start=1):
            at = np.flatnonzero(self._filter[_filter_bits(key)])
            starts.append(at)
            lengths.append(np.full(len(at), length))
            keys.append(key[at])
        key = np.concatenate(keys)
        first = np.searchsorted(self._rows.keys, key, side="left")
        known = np.flatnonzero(self._rows.keys.take(first, mode="clip") == key) if len(self._rows.keys) else first[:0]
        last = np.searchsorted(self._rows.keys, key[known], side="right")
        return np.concatenate(starts)[known], np.concatenate(lengths)[known], first[known], last


def calibrated(index: DescriptionIndex, benign_texts: Iterable[str], alpha: float) -> DescriptionIndex:
    """The index with a threshold that a benign text reaches with a probability of `alpha` at most.

    Split conformal on the maximum over all targets: the threshold lies above the ceil((n + 1)(1 - alpha))-th smallest
    of the n highest scores, so the bound holds for texts like the given ones while the targets stay what they are;
    more targets raise it by a bit for each doubling: calibrate anew then. Raises ValueError with fewer than
    1 / alpha - 1 texts.
    """
    highest = sorted(max((found.score for found in index.scores(text)), default=0.0) for text in benign_texts)
    rank = math.ceil((len(highest) + 1) * (1 - alpha))
    if not 0 < rank <= len(highest):
        raise ValueError(f"{len(highest)} texts are too few for a rate of {alpha:g}")
    result = index.with_changes(())
    result._calibration = (math.nextafter(highest[rank - 1], math.inf), len(index))
    return result


def weigh(bits: NDArray[np.float32], sharing: NDArray[np.int64], targets: int) -> NDArray[np.float64]:
    """Weight of facts in bits: how seldom they are said, less where many of the targets share them."""
    inverse_frequency = np.log2((targets + _POPULATION) / sharing)
    return np.minimum(bits, _RARITY * inverse_frequency).astype(np.float64)


def _same(one: Describable | None, other: Describable) -> bool:
    return one is other or (
        one is not None and (one.names, one.phrases, one.description) == (other.names, other.phrases, other.description)
    )


def _compile(targets: Iterable[tuple[int, Describable]]) -> _Rows:
    rows: list[tuple[int, int, int, float]] = []
    for slot, target in targets:
        facts = facts_of(target)
        for fact, group in zip(facts, grouped(facts), strict=True):
            *_, (key,) = _sequence_keys(fact.stems, exactly=True)
            rows.append((int(key), slot, group, fact.bits))
    rows.sort()
    keys, slots, groups, bits = zip(*rows, strict=True) if rows else ((), (), (), ())
    return _Rows(
        np.array(keys, dtype=np.uint64),
        np.array(slots, dtype=np.int32),
        np.array(groups, dtype=np.int16),
        np.array(bits, dtype=np.float32),
    )


def _sequence_keys(stems: Sequence[str], *, exactly: bool = False) -> list[NDArray[np.uint64]]:
    """Hashes of all sequences of one word, of two words ...; arrays of [words], [words - 1] ..."""
    single = np.array([hash(word) & 0xFFFFFFFFFFFFFFFF for word in stems], dtype=np.uint64)
    keys = [single]
    longest = len(stems) if exactly else LONGEST_FACT_WORDS
    for length in range(2, min(longest, len(stems)) + 1):
        keys.append(keys[-1][:-1] * _MULTIPLIER + single[length - 1 :])
    return keys


def _filter_of(keys: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """What rules out most of the sequences that are nobody's fact."""
    found = np.zeros(1 << _FILTER_BITS, dtype=np.bool_)
    found[_filter_bits(keys)] = True
    return found


def _filter_bits(keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    mixed: NDArray[np.uint64] = (keys * _MULTIPLIER) >> np.uint64(64 - _FILTER_BITS)
    return mixed
