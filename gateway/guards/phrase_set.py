"""Phrases compiled for streams: which of them could be under way after the letters seen so far.

A *thread* is what has been read of one phrase: a marker, then its letters. Phrases of one word with at least
`FREE_LETTERS` letters are forbidden anywhere; all others must begin and end at an edge (a plural or genitive s is let
pass), so that forbidding "Theo Ng" leaves "the ongoing" alone. Separators inside a phrase never count.
"""

from bisect import bisect_left
from collections.abc import Iterable

from gateway.guards.normalise import BARRIER, EDGE, Kind, Symbol, fold, respellings

FREE_LETTERS = 7
ANCHORED, FREE = "\x01", "\x02"
_EDGE: list[list[bool]] = EDGE.tolist()

Threads = tuple[str, ...]


class PhraseSet:
    """An immutable set of folded phrases. Phrases that fold to nothing are dropped."""

    def __init__(self, phrases: Iterable[str]):
        written = [spelt.replace(BARRIER, "") for phrase in phrases for spelt in respellings(phrase)]
        folded = fold(BARRIER.join(written))
        marked = set()
        start = 0
        for letters in folded.text.split(BARRIER):
            inner_edges = folded.edges[start + 1 : start + len(letters)]
            start += len(letters) + 1
            if letters:
                free = len(letters) >= FREE_LETTERS and letters.isalpha() and not any(inner_edges)
                marked.add((FREE if free else ANCHORED) + letters)
        self.patterns: list[str] = sorted(marked)
        self._complete = frozenset(marked)
        self._beginnings = frozenset(pattern[:2] for pattern in marked)
        self.letters = frozenset(folded.text) - {BARRIER}

    def __bool__(self) -> bool:
        return bool(self.patterns)

    def is_complete(self, thread: str) -> bool:
        return thread in self._complete

    def is_alive(self, thread: str) -> bool:
        at = bisect_left(self.patterns, thread)
        return at < len(self.patterns) and self.patterns[at].startswith(thread)

    def continuations(self, thread: str) -> list[str]:
        """The letters that would complete a phrase after this thread, one entry per longer phrase."""
        first = bisect_left(self.patterns, thread)
        last = bisect_left(self.patterns, thread + "\U0010ffff")
        return [pattern[len(thread) :] for pattern in self.patterns[first:last] if len(pattern) > len(thread)]

    def beginnings(self, letter: str, *, edge: bool) -> Threads:
        """Threads that begin with a letter."""
        fresh = (FREE + letter, ANCHORED + letter) if edge else (FREE + letter,)
        return tuple(thread for thread in fresh if thread in self._beginnings)

    def advance(self, threads: Threads, last: Kind, symbol: Symbol) -> Threads:
        """The threads under way after one more symbol (neither separator nor ignored)."""
        first = symbol.letters[0]
        going = self.extend(threads, first) + self.beginnings(first, edge=is_edge(last, symbol.kind))
        for letter in symbol.letters[1:]:
            going = self.extend((*going, FREE), letter)
        return going

    def extend(self, threads: Threads, letter: str) -> Threads:
        return tuple(longer for thread in threads if self.is_alive(longer := thread + letter))


def is_edge(before: Kind, after: Kind) -> bool:
    return _EDGE[before][after]
