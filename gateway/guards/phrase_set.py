"""Phrases compiled for streams: which of them could be under way after the letters seen so far.

A *thread* is what has been read of one phrase: a marker, then its letters. Phrases of one word with at least
`FREE_LETTERS` letters are forbidden anywhere; all others must begin and end at an edge (a plural or genitive s is let
pass), so that forbidding "Theo Ng" leaves "the ongoing" alone. Shorter ones of several words hold a `GAP` before each
word, where an edge must be, so that forbidding "Li Na" leaves "Lina" alone. Other separators never count.
"""

from bisect import bisect_left
from collections.abc import Iterable

from gateway.guards.normalise import BARRIER, EDGE, SYMBOLS, Kind, Symbol, fold, respellings

FREE_LETTERS = 7
ANCHORED, FREE = "\x01", "\x02"
GAP = " "
_EDGE: list[list[bool]] = EDGE.tolist()

Threads = tuple[str, ...]


class PhraseSet:
    """An immutable set of folded phrases. Phrases that fold to nothing are dropped."""

    def __init__(self, phrases: Iterable[str]):
        written = [spelt.replace(BARRIER, "") for phrase in phrases for spelt in respellings(phrase)]
        folded = fold("".join(phrase + BARRIER for phrase in written))
        marked = set()
        start = 0
        for phrase, letters in zip(written, folded.text.split(BARRIER)[:-1], strict=True):
            inner_edges = folded.edges[start + 1 : start + len(letters)]
            start += len(letters) + 1
            if letters:
                free = len(letters) >= FREE_LETTERS and letters.isalpha() and not any(inner_edges)
                spaced = _with_gaps(phrase) if len(letters) < FREE_LETTERS else letters
                marked.add(FREE + letters if free else ANCHORED + spaced)
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
        """The letters and gaps that would complete a phrase after this thread, one entry per longer phrase."""
        first = bisect_left(self.patterns, thread)
        last = bisect_left(self.patterns, thread + "\U0010ffff")
        return [pattern[len(thread) :] for pattern in self.patterns[first:last] if len(pattern) > len(thread)]

    def beginnings(self, letter: str, *, edge: bool) -> Threads:
        """Threads that begin with a letter."""
        fresh = (FREE + letter, ANCHORED + letter) if edge else (FREE + letter,)
        return tuple(thread for thread in fresh if thread in self._beginnings)

    def advance(self, threads: Threads, last: Kind, symbol: Symbol) -> Threads:
        """The threads under way after one more symbol (neither separator nor ignored)."""
        first, edge = symbol.letters[0], is_edge(last, symbol.kind)
        going = (
            *(t for thread in threads for t in self.extend(thread, first, edge=edge)),
            *self.beginnings(first, edge=edge),
        )
        for letter in symbol.letters[1:]:
            going = tuple(t for thread in (*going, FREE) for t in self.extend(thread, letter, edge=False))
        return going

    def extend(self, thread: str, letter: str, *, edge: bool) -> Threads:
        """What a thread becomes with one more letter: nothing, or one or two threads."""
        longer = (thread + letter, thread + GAP + letter) if edge else (thread + letter,)
        return tuple(way for way in longer if self.is_alive(way))


def _with_gaps(phrase: str) -> str:
    words = ("".join(SYMBOLS[char].letters for char in word) for word in phrase.split())
    return GAP.join(word for word in words if word)


def is_edge(before: Kind, after: Kind) -> bool:
    return _EDGE[before][after]
