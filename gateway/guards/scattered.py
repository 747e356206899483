"""Names whose words stand apart: the first name in one turn, the family name in the next.

A name written as one is left to the matcher, which knows what it is part of.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from gateway.guards.words import surprisal, words

NEAR_WORDS = 80  # so far apart the words of one name may stand
TELLING_BITS = 26.0  # all words of a name together; "John Smith" is said too often to be looked for like this
MOST_NAMES = 64  # that share their rarest word


class _Name(NamedTuple):
    target: str
    words: tuple[str, ...]


class ScatteredNames:
    """Finds targets all words of whose name a text has near each other, in any order, whatever is between."""

    def __init__(self) -> None:
        self._by_rarest: dict[str, tuple[_Name, ...]] = {}

    def with_changes(self, changed: Mapping[str, Sequence[str]], gone: Mapping[str, Sequence[str]]) -> "ScatteredNames":
        """The same with other names: target id -> names. `gone` has the names that were known before."""
        if not changed and not gone:
            return self
        result = ScatteredNames()
        result._by_rarest = dict(self._by_rarest)
        for old in _telling(gone):
            left = tuple(name for name in result._by_rarest[_rarest(old)] if name != old)
            if left:
                result._by_rarest[_rarest(old)] = left
            else:
                del result._by_rarest[_rarest(old)]
        for new in _telling(changed):
            result._by_rarest[_rarest(new)] = (*result._by_rarest.get(_rarest(new), ()), new)
        return result

    def find(self, stems: Sequence[str]) -> set[str]:
        """Ids of the targets whose names are scattered over a text, given as its `words`."""
        rare = {stem for stem in stems if stem in self._by_rarest}
        if not rare:
            return set()
        places: dict[str, list[int]] = {}
        for at, stem in enumerate(stems):
            places.setdefault(stem, []).append(at)
        return {name.target for stem in rare for name in self._by_rarest[stem][:MOST_NAMES] if _stands(name, places)}


def _stands(name: _Name, places: Mapping[str, Sequence[int]]) -> bool:
    """Whether all words of a name are near one place of the first."""
    if not all(word in places for word in name.words):
        return False
    standing = [np.array(places[word]) for word in name.words]
    whole = standing[0]
    for offset, at in enumerate(standing):
        whole = whole[np.isin(whole + offset, at)]
    around, *others = (at[~np.isin(at, whole + offset)] for offset, at in enumerate(standing))
    near = np.ones(len(around), dtype=np.bool_)
    for at in others:
        if not len(at):
            return False
        first = np.searchsorted(at, around - NEAR_WORDS)
        near &= (first < len(at)) & (at.take(first, mode="clip") <= around + NEAR_WORDS)
    return bool(near.any())


def _telling(names: Mapping[str, Sequence[str]]) -> Iterable[_Name]:
    """Each target's names of several words, no letters of a script without spaces, that tell enough."""
    for target, known in names.items():
        for stems in dict.fromkeys(tuple(dict.fromkeys(words(name))) for name in known):
            if len(stems) > 1 and min(map(len, stems)) > 1 and sum(map(surprisal, stems)) >= TELLING_BITS:
                yield _Name(target, stems)


def _rarest(name: _Name) -> str:
    return max(name.words, key=lambda word: (surprisal(word), len(word), word))
