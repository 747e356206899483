"""Who is meant where nobody is named: targets whose facts a stretch of text states, however many targets there are.

Coverage in the manner of late interaction, but over words instead of vectors: what a window of the text states of a
target is added up, each fact by how seldom it is said and how few targets share it.
"""

import math
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass

import numpy as np

from gateway.guards.candidates import Facts, Part
from gateway.guards.coverage import WINDOW_WORDS, best_coverage
from gateway.guards.encoder import Encoder
from gateway.guards.fact_table import FactTable, Sequences, sequences
from gateway.guards.facts import Describable
from gateway.guards.letters import Hashes, Numbers
from gateway.guards.nearness import READ_WORDS, NearFacts
from gateway.guards.scattered import scattered
from gateway.guards.words import Wording

MOST_DESCRIBED = 8  # a text that fits more targets than that identifies none of the others

RECALL_BITS, PRECISION_BITS = 22.0, 24.0  # what a score must reach; two words that are in nobody's mouth tell 28
_MEASURED_TARGETS = 1000  # with so many the thresholds were measured
_BITS_PER_DOUBLING = 1.0  # of the targets or of the text: twice as many chances to agree by accident
_MOST_LENGTH_BITS = 6.0  # so that padding does not hide a description

_SMALL_TARGETS = 512  # so many come together in one table
_MOST_TABLES = 8


@dataclass(frozen=True, slots=True, order=True)
class Described:
    """A text states enough about `target` to mean it; `score` in bits."""

    score: float
    target: str


class DescriptionIndex:
    """What is known of each target, made for finding out whom a text describes.

    A few tables: an old large one and those of what was added lately. With an encoder facts are also found where they
    are stated in other words. A text that states `least_bits` of somebody means them.
    """

    def __init__(
        self,
        targets: Iterable[Describable] = (),
        encoder: Encoder | None = None,
        least_bits: float = RECALL_BITS,
    ):
        self._least_bits = least_bits
        self._near = NearFacts(encoder) if encoder else None
        self._attributes: dict[str, int] = {}
        self._tables: list[Part] = []
        if known := list(targets):
            self._add(known)

    def with_changes(self, changed: Iterable[Describable], removed: Iterable[str] = ()) -> "DescriptionIndex":
        """The index with some targets more, others or fewer."""
        new = list(changed)
        index = self._copy()
        index._attributes = dict(self._attributes)
        index._tables = [part.without({*removed, *(target.id for target in new)}) for part in self._tables]
        if new:
            index._add(new)
        return index

    @property
    def crowded(self) -> bool:
        """Whether so much has changed that `compacted` is worth its while."""
        return len(self._tables) > 2 or any(2 * part.living < len(part.alive) for part in self._tables)

    def compacted(self) -> "DescriptionIndex":
        """The same index in one table. Takes a moment where there are very many targets: for a thread of its own."""
        index = self._copy()
        index._tables = [Part.merged(self._tables)] if self._tables else []
        return index

    def _copy(self) -> "DescriptionIndex":
        index = DescriptionIndex(least_bits=self._least_bits)
        index._attributes, index._tables, index._near = self._attributes, self._tables, self._near
        return index

    def _add(self, targets: list[Describable]) -> None:
        """What is new goes into a table of its own, together with what was added just before."""
        new = Part.of(FactTable.compiled(targets, self._attributes))
        tables = [part for part in self._tables if part.living]
        if tables and len(tables[-1].alive) + len(targets) <= _SMALL_TARGETS:
            new = Part.merged([tables.pop(), new])
        tables.append(new)
        self._tables = tables if len(tables) <= _MOST_TABLES else [Part.merged(tables)]
        if self._near is not None:
            self._near = self._near.with_targets(targets, self._sharing)

    def _sharing(self, hashes: Hashes) -> Numbers:
        """How many targets have each of these facts."""
        counts = np.zeros(len(hashes), dtype=np.int64)
        for part in self._tables:
            known, rows = part.table.rows(hashes)
            counts[known] += part.table.shared(rows)
        return counts

    def __len__(self) -> int:
        """How many targets it can recognise."""
        return sum(part.living for part in self._tables)

    @property
    def threshold(self) -> float:
        """What a score must reach, in bits: more, the more targets there are than it was measured with."""
        return self._least_bits + _BITS_PER_DOUBLING * max(0.0, math.log2(max(1, len(self)) / _MEASURED_TARGETS))

    def find(self, text: str, named: Set[str] = frozenset()) -> list[Described]:
        """The targets that a text describes, best first, `MOST_DESCRIBED` at most, and those whose names it scatters.

        The names of those that are `named` anyhow are not looked for. Linear in the text.
        """
        threshold, wording = self.threshold, Wording(text)
        said = sequences(wording.hashes)
        found = [one for one in self._scores(wording, said, threshold) if one.score >= threshold][:MOST_DESCRIBED]
        others = self._scattered(wording, {*named, *(one.target for one in found)})
        return found + [Described(threshold, target) for target in sorted(others)]

    def silent(self, text: str) -> bool:
        """Whether a text states no fact and scatters no name: then `find` finds nobody in any part of it."""
        wording = Wording(text)
        said = sequences(wording.hashes)
        return not any(len(part.table.stated(said).rows) for part in self._tables) and not self._possible(wording)

    def scores(self, text: str, least: float = 0.0) -> list[Described]:
        """The targets of which a stretch of text states two salient facts or more, best first.

        Those that cannot reach `least` may be left out.
        """
        wording = Wording(text)
        return self._scores(wording, sequences(wording.hashes), least)

    def _scattered(self, wording: Wording, known: Set[str]) -> set[str]:
        possible = {target.id: target.names for target in self._possible(wording) if target.id not in known}
        return scattered(possible, wording.hashes)

    def _possible(self, wording: Wording) -> list[Describable]:
        """Those of whose names a text may have all words."""
        distinct = np.sort(wording.hashes)
        distinct = distinct[np.append(True, distinct[1:] != distinct[:-1])[: len(distinct)]]
        slots = [(part, part.table.names.possible(distinct)) for part in self._tables]
        return [part.table.targets[slot] for part, some in slots for slot in some[part.alive[some]].tolist()]

    def _redundant(self, target: Describable, weights: Mapping[int, float]) -> float:
        """Bits of what is stated of a target that count twice, since the facts go together in anybody's text."""
        if self._near is None:
            return 0.0
        told: dict[int, list[str]] = {}
        for phrase, attribute in zip(target.phrases, target.attributes, strict=False):
            if (group := self._attributes.get(attribute, -1)) in weights:
                told.setdefault(group, []).append(phrase)
        return self._near.redundant([(phrases, weights[group]) for group, phrases in told.items()])

    def _scores(self, wording: Wording, said: Sequences, least: float) -> list[Described]:
        stated = [part.table.stated(said) for part in self._tables]
        if not any(len(each.rows) for each in stated):
            return []
        # Facts in other words count only beside one in its own: most texts state none, and need not be compared.
        near = self._near.find(wording, wording.written(READ_WORDS)) if self._near else None
        windows = max(1.0, len(wording) / WINDOW_WORDS)
        handicap = min(_MOST_LENGTH_BITS, _BITS_PER_DOUBLING * math.log2(windows))
        facts = Facts(self._tables, stated, near)
        values = facts.values()
        found = []
        for target, attributes, hits in facts.candidates(least + handicap, len(self)):
            score, weights = best_coverage(hits, wording, values, attributes)
            if score and score >= least + handicap:
                score -= self._redundant(target, weights)
                found.append(Described(score - handicap, target.id))
        return sorted(found, key=lambda one: (-one.score, one.target))
