"""Names whose words stand apart: the first name in one turn, the family name in the next.

A name written as one is left to the matcher, which knows what it is part of.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from gateway.guards.facts import all_words
from gateway.guards.letters import Filter, Hashes, Numbers, ragged
from gateway.guards.words import hashes_of, surprisal

NEAR_WORDS = 80  # so far apart the words of one name may stand
TELLING_BITS = 26.0  # all words of a name together; "John Smith" is said too often to be looked for like this
MOST_NAMES = 1024  # so many are looked at of those that a text may scatter
_AT_ONCE = 1024
_FEW_PLACES = 8  # of each word are compared quicker one by one


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class NameWords:
    """Names by two of their words, as hashes: the rarest, by which they are sorted, and the next; with their slots."""

    rarest: Hashes
    second: Hashes
    slots: NDArray[np.uint32]
    known: Filter  # of the rarest

    @classmethod
    def compiled(cls, names: Sequence[Sequence[str]]) -> "NameWords":
        """Of the names of each slot."""
        rows = []
        for start in range(0, len(names), _AT_ONCE):
            some = [(slot, name) for slot, own in enumerate(names[start : start + _AT_ONCE], start) for name in own]
            for (slot, _), words in zip(some, telling([name for _, name in some]), strict=True):
                if words:
                    rows.append((slot, *sorted(words, key=_rarity)[:2]))
        slots, rarest, second = zip(*rows, strict=True) if rows else ((), (), ())
        return cls._sorted(hashes_of(rarest), hashes_of(second), np.array(slots, dtype=np.uint32))

    @classmethod
    def merged(
        cls,
        many: Sequence["NameWords"],
        alive: Sequence[NDArray[np.bool_]],
        numbers: Sequence[NDArray[np.uint32]],
    ) -> "NameWords":
        """One of several; numbers[i] gives the new slot of each alive one in many[i]."""
        kept = [living[each.slots] for each, living in zip(many, alive, strict=True)]
        return cls._sorted(
            np.concatenate([each.rarest[k] for each, k in zip(many, kept, strict=True)]),
            np.concatenate([each.second[k] for each, k in zip(many, kept, strict=True)]),
            np.concatenate([new[each.slots[k]] for each, k, new in zip(many, kept, numbers, strict=True)]),
        )

    @classmethod
    def _sorted(cls, rarest: Hashes, second: Hashes, slots: NDArray[np.uint32]) -> "NameWords":
        order = np.argsort(rarest, kind="stable")
        return cls(rarest[order], second[order], slots[order], Filter(rarest))

    def possible(self, said: Hashes) -> Numbers:
        """Slots of names of which a text has two words, given the hashes of its distinct words, sorted."""
        known = self.known.passed(said)
        if not len(known):
            return known
        rarest = said.take(known)
        first = self.rarest.searchsorted(rarest)
        counts = self.rarest.searchsorted(rarest, "right") - first
        rows = ragged(first, counts)
        at = said.searchsorted(self.second[rows])
        return np.unique(self.slots[rows[said.take(at, mode="clip") == self.second[rows]]])


def scattered(names: Mapping[str, Sequence[str]], said: Hashes) -> set[str]:
    """Which of the targets (id -> names) a text means by all words of a name near each other, whatever is between.

    In any order; the text is given as the hashes of its words.
    """
    if not names:
        return set()
    ways = [(target, name) for target, own in names.items() for name in own][:MOST_NAMES]
    told = [
        (target, words) for (target, _), words in zip(ways, telling([name for _, name in ways]), strict=True) if words
    ]
    wanted = [*dict.fromkeys(word for _, words in told for word in words)]
    standing = dict(zip(wanted, _places(hashes_of(wanted), said), strict=True))
    return {target for target, words in told if _stands([standing[word] for word in words])}


def telling(names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """The words of each name; none where it is one word, letters of a script without spaces, or tells too little."""
    for found in all_words(names):
        words = tuple(dict.fromkeys(found))
        tells = len(words) > 1 and min(map(len, words)) > 1 and sum(map(surprisal, words)) >= TELLING_BITS
        yield words if tells else ()


def _places(wanted: Hashes, said: Hashes) -> list[Numbers]:
    """Where each of some words stands, sorted."""
    order = np.argsort(wanted)
    row = wanted[order].searchsorted(said)
    at = np.flatnonzero(wanted[order].take(row, mode="clip") == said) if len(wanted) else row[:0]
    which = order[row[at]]
    places = at[np.argsort(which, kind="stable")]
    ends = np.bincount(which, minlength=len(wanted)).cumsum().tolist()
    return [places[start:end] for start, end in pairwise((0, *ends))]


def _stands(standing: Sequence[Numbers]) -> bool:
    """Whether all words of a name are near one place of the first, given where each stands, sorted."""
    if not all(map(len, standing)):
        return False
    if max(map(len, standing)) <= _FEW_PLACES:
        return _few_stand([at.tolist() for at in standing])
    whole = standing[0]
    for offset, at in enumerate(standing[1:], 1):
        whole = whole[_among(whole + offset, at)]
    if len(whole):
        standing = [at[~_among(at, whole + offset)] for offset, at in enumerate(standing)]
    around, *others = standing
    near = np.ones(len(around), dtype=np.bool_)
    for at in others:
        if not len(at):
            return False
        first = at.searchsorted(around - NEAR_WORDS)
        near &= at.take(first, mode="clip") <= around + NEAR_WORDS
        near &= first < len(at)
    return bool(near.any())


def _few_stand(standing: Sequence[Sequence[int]]) -> bool:
    """The same where there is little to compare."""
    first, *others = standing
    whole = {at for at in first if all(at + offset in some for offset, some in enumerate(others, 1))}
    around, *apart = ([at for at in some if at - offset not in whole] for offset, some in enumerate(standing))
    return any(all(any(abs(at - other) <= NEAR_WORDS for other in some) for some in apart) for at in around)


def _among(some: Numbers, sorted_others: Numbers) -> NDArray[np.bool_]:
    among: NDArray[np.bool_] = sorted_others.take(sorted_others.searchsorted(some), mode="clip") == some
    return among


def _rarity(word: str) -> tuple[float, int, str]:
    return -surprisal(word), -len(word), word
