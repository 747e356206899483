"""Whom a text may mean by the facts it states, over several tables of facts: few targets, worth a closer look."""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gateway.guards.coverage import CUE_BITS, Hit, Values
from gateway.guards.fact_table import ATTRIBUTES, PROSE, FactTable, Stated
from gateway.guards.facts import Describable
from gateway.guards.letters import Numbers
from gateway.guards.nearness import Near
from gateway.guards.words import RARE_BITS

_CANDIDATES, _FEWEST_CANDIDATES = 32, 4
_MOST_HITS = 40_000
_MOST_POSTINGS = 20_000
_POPULATION = 200.0  # people who are no targets and have none of the facts: with few targets, sharing says little
_GIVEN_RARITY = 2.0  # the same of facts without an attribute, among those targets that have such
_DESCRIBED, _SELDOM = 100.0, 1e-3  # such people who are no targets; in how many descriptions is what is in no other
_RARITY = 3.0  # a fact keeps its weight until about one target in thirty shares it
_UNKNOWN, _SEVERAL = ATTRIBUTES, ATTRIBUTES + 1


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Part:
    """A table with the slots that are still wanted."""

    table: FactTable
    alive: NDArray[np.bool_]
    living: int
    described: int  # of the living ones, those with facts that are of no attribute
    slots: Mapping[str, int]  # by the target's id

    @classmethod
    def of(cls, table: FactTable) -> "Part":
        count = len(table.targets)
        alive, described = np.ones(count, dtype=np.bool_), int(table.described.sum())
        return cls(table, alive, count, described, {t.id: slot for slot, t in enumerate(table.targets)})

    @classmethod
    def merged(cls, parts: "Sequence[Part]") -> "Part":
        """One of several, with nothing that is no longer wanted."""
        return cls.of(FactTable.merged([part.table for part in parts], [part.alive for part in parts]))

    def without(self, ids: Set[str]) -> "Part":
        """The part less some targets, whether it has them or not."""
        stale = [self.slots[id_] for id_ in ids if id_ in self.slots]
        if not self.alive[stale].any():
            return self
        alive = self.alive.copy()
        alive[stale] = False
        return Part(self.table, alive, int(alive.sum()), int((alive & self.table.described).sum()), self.slots)


class Facts:
    """All facts that a text states, of whatever part; a target's slot counts on from the parts before."""

    def __init__(self, parts: Sequence[Part], stated: Sequence[Stated], near: Near | None = None):
        self._parts = parts
        self._offsets = np.cumsum([0, *(len(part.alive) for part in parts)])
        self._starts = np.concatenate([each.starts for each in stated])
        self._lengths = np.concatenate([each.lengths for each in stated])
        hashes = [part.table.keys[each.rows] for part, each in zip(parts, stated, strict=True)]
        hashes += [near.hashes] if near is not None else []
        self._hashes, facts = np.unique(np.concatenate(hashes), return_inverse=True)
        self._fact, other = facts[: len(self._starts)], facts[len(self._starts) :]
        self._rows = [part.table.rows(self._hashes) for part in parts]
        # What two parts know is found once in each.
        places = np.unique(np.stack([self._starts, self._lengths, self._fact]), axis=1) if len(parts) > 1 else None
        if places is not None:
            self._starts, self._lengths, self._fact = places
        self._exact = len(self._fact)
        self._share = np.ones(self._exact)
        if near is not None:
            new = np.flatnonzero(~np.isin(other, self._fact))
            self._starts = np.concatenate([self._starts, near.starts[new]])
            self._lengths = np.concatenate([self._lengths, near.lengths[new]])
            self._fact = np.concatenate([self._fact, other[new]])
            self._share = np.concatenate([self._share, near.share[new]])

    def values(self) -> Values:
        """Where the values of one attribute stand, whoever has them."""
        attribute = np.full(len(self._hashes), _UNKNOWN, dtype=np.uint8)
        for part, (known, rows) in zip(self._parts, self._rows, strict=True):
            said, before = part.table.attribute_of[rows], attribute[known]
            attribute[known] = np.where((before == _UNKNOWN) | (before == said), said, _SEVERAL)
        attributes = attribute[self._fact[: self._exact]]
        order = np.argsort(self._starts[: self._exact], kind="stable")
        order = order[attributes[order] < ATTRIBUTES]
        return Values(self._starts[order].tolist(), attributes[order].tolist())

    def candidates(self, least: float, targets: int) -> Iterator[tuple[Describable, int, list[Hit]]]:
        """The most promising of so many targets, the attributes known of each, and all that the text states of it.

        Those that cannot reach `least` bits are left out.
        """
        fact, slots, groups, bits = self._owners()
        owners, slots = np.unique(slots, return_inverse=True)
        weights = weigh(bits, np.bincount(fact, minlength=1)[fact], targets)
        for first, factor in ((ATTRIBUTES, _GIVEN_RARITY), (PROSE, 1.0)):
            given = np.flatnonzero(groups >= first)
            weights[given] = np.minimum(weights[given], factor * self._rarity(fact[given]))
        nearest = np.zeros(len(self._hashes))
        np.maximum.at(nearest, self._fact, self._share)
        promise = np.bincount(slots, weights * nearest[fact], minlength=1)
        several = np.bincount(slots, minlength=1) > 1
        cued = np.zeros(len(several), dtype=np.bool_)
        cued[slots[(bits > RARE_BITS) & (nearest[fact] == 1.0)]] = True
        promising = np.flatnonzero((several | cued) & (promise >= least - CUE_BITS))
        most = min(_CANDIDATES, max(_FEWEST_CANDIDATES, _MOST_HITS // len(self._fact)))
        best = promising[np.argsort(-promise[promising], kind="stable")[:most]]
        best = best[cued[best] | (promise[best] >= least)]
        if not len(best):
            return
        wanted = np.zeros(len(promise), dtype=np.bool_)
        wanted[best] = True
        told: dict[int, list[tuple[int, int, float, bool]]] = {}
        for at in np.flatnonzero(wanted[slots]).tolist():
            one = int(slots[at]), int(groups[at]), float(weights[at]), bool(bits[at] > RARE_BITS)
            told.setdefault(int(fact[at]), []).append(one)
        by_slot: dict[int, list[Hit]] = {slot: [] for slot in best.tolist()}
        columns = (self._starts, self._lengths, self._fact, self._share)
        for start, length, stated, share in zip(*(column.tolist() for column in columns), strict=True):
            for slot, group, weight, strong in told.get(stated, ()):
                by_slot[slot].append(Hit(start, start + length, group, weight * share, strong and share == 1.0, share))
        for slot, hits in by_slot.items():
            owner = int(owners[slot])
            number = int(self._offsets.searchsorted(owner, "right")) - 1
            own, table = owner - int(self._offsets[number]), self._parts[number].table
            yield table.targets[own], int(table.attributes[own]), hits

    def _rarity(self, fact: Numbers) -> NDArray[np.float64]:
        """Bits of facts, given once for each owner: how few of the others who are described have it as well."""
        others = np.bincount(fact, minlength=1)[fact] - 1
        described = sum(part.described for part in self._parts)
        rarity: NDArray[np.float64] = np.log2((described + _DESCRIBED) / np.maximum(others, _SELDOM))
        return rarity

    def _owners(self) -> tuple[Numbers, Numbers, NDArray[np.uint8], NDArray[np.float16]]:
        """(fact, slot, group, bits) for each owner of each fact; without what thousands share, which tells least.

        Every fact counts once here, so that saying one of them a thousand times hides no other.
        """
        counts = np.zeros(len(self._hashes), dtype=np.int64)
        for part, (known, rows) in zip(self._parts, self._rows, strict=True):
            counts[known] += part.table.shared(rows)
        order = np.argsort(counts, kind="stable")
        few = np.zeros(len(counts), dtype=np.bool_)
        few[order[np.cumsum(counts[order]) <= _MOST_POSTINGS]] = True
        columns = []
        for part, (known, rows), offset in zip(self._parts, self._rows, self._offsets.tolist(), strict=False):
            chosen = few[known]
            asked, slots, groups, bits = part.table.owners(rows[chosen])
            living = part.alive[slots]
            columns.append(
                (known[chosen][asked][living], slots[living].astype(np.int64) + offset, groups[living], bits[living])
            )
        fact, slots, groups, bits = (np.concatenate(column) for column in zip(*columns, strict=True))
        return fact, slots, groups, bits


def weigh(bits: NDArray[np.float16], sharing: Numbers, targets: int) -> NDArray[np.float64]:
    """Weight of facts in bits: how seldom they are said, less where many of the targets share them."""
    inverse_frequency = np.log2((targets + _POPULATION) / sharing)
    return np.minimum(bits, _RARITY * inverse_frequency).astype(np.float64)
