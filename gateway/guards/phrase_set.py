"""Phrases compiled for streams: which of them could be under way after the letters seen so far.

A *thread* is what has been read of one phrase: a marker, then its letters. Phrases of one word with at least
`FREE_LETTERS` letters are forbidden anywhere; all others must begin and end at an edge (a plural or genitive s is let
pass), so that forbidding "Theo Ng" leaves "the ongoing" alone. Shorter ones of several words hold a `GAP` before each
word, where an edge must be, so that forbidding "Li Na" leaves "Lina" alone. Other separators never count.
"""

from bisect import bisect_left
from collections.abc import Iterable

from gateway.guards.normalise import BARRIER, EDGE, SYMBOLS, Symbol, fold, respellings

FREE_LETTERS = 7
ANCHORED, FREE = "\x01", "\x02"
GAP = " "
_OPENING = 5  # a marker and four letters: few threads that lead nowhere get further
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
                spaced = with_gaps(phrase) if len(letters) < FREE_LETTERS else letters
                marked.add(FREE + letters if free else ANCHORED + spaced)
        self.patterns: list[str] = sorted(marked)
        self._complete = frozenset(marked)
        self._openings = frozenset(pattern[:length] for length in range(2, _OPENING + 1) for pattern in marked)
        self._anywhere = frozenset(pattern[1] for pattern in marked if pattern.startswith(FREE))  # first letters
        self._has_gaps = any(GAP in pattern for pattern in marked)
        self.letters = frozenset(folded.text) - {BARRIER}

    def __bool__(self) -> bool:
        return bool(self.patterns)

    def is_complete(self, thread: str) -> bool:
        return thread in self._complete

    def is_alive(self, thread: str) -> bool:
        if thread[:_OPENING] not in self._openings:
            return False
        if len(thread) <= _OPENING:
            return True
        at = bisect_left(self.patterns, thread)
        return at < len(self.patterns) and self.patterns[at].startswith(thread)

    def continuations(self, thread: str) -> list[str]:
        """The letters and gaps that would complete a phrase after this thread, one entry per longer phrase."""
        patterns, read = self.patterns, len(thread)
        first = last = bisect_left(patterns, thread)
        while last < len(patterns) and patterns[last].startswith(thread):
            last += 1
        return [pattern[read:] for pattern in patterns[first:last] if len(pattern) > read]

    def beginnings(self, letter: str, *, edge: bool) -> Threads:
        """Threads that begin with a letter."""
        fresh = (FREE + letter, ANCHORED + letter) if edge else (FREE + letter,)
        return tuple(thread for thread in fresh if self.is_alive(thread))

    def begun(self, letters: str, edges: bytes) -> Threads:
        """Threads that begin with any of the letters and last to the end; `edges[i]`: a word may begin at letter i."""
        found: list[str] = []
        for start, edge in enumerate(edges):
            rest = letters[start:]
            if self.is_alive(FREE + rest):
                found.append(FREE + rest)
            if edge:
                found += self.follow(ANCHORED, rest, edges[start:])
        return tuple(found)

    def follow(self, thread: str, letters: str, edges: bytes) -> Threads:
        """What a thread becomes with some more letters; `edges` as in `begun`."""
        if not (self._has_gaps and any(edges)):
            longer = thread + letters
            return (longer,) if self.is_alive(longer) else ()
        ways: Threads = (thread,)
        for letter, edge in zip(letters, edges, strict=True):
            ways = tuple(longer for way in ways for longer in self.extend(way, letter, edge=bool(edge)))
        return ways

    def advance(self, threads: Threads, last: int, symbol: Symbol) -> Threads:
        """The threads under way after one more symbol (neither separator nor ignored)."""
        letters = symbol.letters
        if not (threads or is_edge(last, symbol.kind) or self._anywhere.intersection(letters)):
            return ()
        edges = bytes((is_edge(last, symbol.kind),)) + bytes(len(letters) - 1)
        going = (way for thread in threads for way in self.follow(thread, letters, edges))
        return (*going, *self.begun(letters, edges))

    def extend(self, thread: str, letter: str, *, edge: bool) -> Threads:
        """What a thread becomes with one more letter: nothing, or one or two threads."""
        longer = (thread + letter, thread + GAP + letter) if edge else (thread + letter,)
        return tuple(way for way in longer if self.is_alive(way))


def with_gaps(phrase: str) -> str:
    """The folded letters of a phrase with a `GAP` before each further word."""
    words = ("".join(SYMBOLS[char].letters for char in word) for word in phrase.split())
    return GAP.join(word for word in words if word)


def is_edge(before: int, after: int) -> bool:
    return _EDGE[before][after]
