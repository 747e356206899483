"""The last look at what is about to be said: forbidden phrases withheld, stand-in names written back, chunk by chunk.

Text is released as soon as nothing that might match can begin in it; the verdict depends on the text alone, never on
how it was cut into chunks. JSON escapes are read (a tool's arguments may spell a name as \\u0056enice), and text that
matches nothing is passed on exactly as it came.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple, Protocol

from gateway.guards.escapes import characters
from gateway.guards.hashed import OPENING_LETTERS, HashedPhrases
from gateway.guards.normalise import SYMBOLS, Kind, Symbol
from gateway.guards.phrase_set import ANCHORED, FREE, PhraseSet, is_edge


class Released(NamedTuple):
    """Text that may be sent now. Once blocked, nothing more will come."""

    text: str
    blocked: bool


class Audit(Protocol):
    """Reads one answer chunk by chunk."""

    def feed(self, text: str, final: bool = False) -> Released:
        """Take in the next chunk; give out what is settled."""


@dataclass(slots=True, repr=False)
class _Ended:
    """A phrase read to its end, waiting to see whether the word ends there too."""

    start: int
    end: int
    thread: str
    plural: bool = False


@dataclass(slots=True, repr=False)
class _Track:
    """How far one set of phrases has been read: threads with the position where each began."""

    phrases: PhraseSet
    threads: list[tuple[int, str]] = field(default_factory=list)
    ended: list[_Ended] = field(default_factory=list)

    def starts(self) -> Iterator[int]:
        yield from (start for start, _ in self.threads)
        yield from (ended.start for ended in self.ended)

    def settle(self, *, edge: bool, letter: str) -> list[_Ended]:
        """The phrases that turn out to be whole words now that it is known what follows."""
        found = [ended for ended in self.ended if edge]
        self.ended = [ended for ended in self.ended if not edge and letter == "s" and not ended.plural]
        for ended in self.ended:
            ended.plural = True
        return found

    def read(self, letter: str, *, edge: bool, start: int, end: int) -> list[_Ended]:
        """Take in a letter written at [start, end); returns the phrases that are found there and then."""
        going = [(at, t) for at, thread in self.threads for t in self.phrases.extend(thread, letter, edge=edge)]
        self.threads = going + [(start, thread) for thread in self.phrases.beginnings(letter, edge=edge)]
        complete = [_Ended(at, end, thread) for at, thread in self.threads if self.phrases.is_complete(thread)]
        self.ended += [ended for ended in complete if ended.thread.startswith(ANCHORED)]
        return [ended for ended in complete if ended.thread.startswith(FREE)]


@dataclass(slots=True, repr=False)
class _Stretch:
    """What has been read since a word border: its letters, and at which of them further words begin."""

    start: int
    letters: str = ""
    edges: tuple[int, ...] = ()
    longest: int = OPENING_LETTERS


@dataclass(slots=True, repr=False)
class _HashedTrack:
    """As `_Track`, for phrases that are known by their hashes: looked up wherever a word ends."""

    phrases: HashedPhrases
    threads: list[_Stretch] = field(default_factory=list)
    ended: tuple[_Ended, ...] = ()  # nothing waits: a plural s is looked for in the letters
    unread: bool = False  # letters came since the last look

    def starts(self) -> Iterator[int]:
        return (stretch.start for stretch in self.threads)

    def settle(self, *, edge: bool, letter: str) -> list[_Ended]:
        if not (edge and self.unread):
            return []
        self.unread = False
        complete = self.phrases.complete
        return [_Ended(one.start, one.start, "") for one in self.threads if complete(one.letters, one.edges)]

    def read(self, letter: str, *, edge: bool, start: int, end: int) -> list[_Ended]:
        self.unread = True
        if edge:
            self.threads.append(_Stretch(start))
        for stretch in self.threads:
            if edge and stretch.letters:
                stretch.edges = (*stretch.edges, len(stretch.letters))
            stretch.letters += letter
            if len(stretch.letters) == OPENING_LETTERS:
                stretch.longest = self.phrases.longest(stretch.letters)
        self.threads = [stretch for stretch in self.threads if len(stretch.letters) <= stretch.longest]
        return []


class OutputAudit:
    """Audits one stream of text (one choice of one request, one surface of it).

    `phrases` may not be said; each is a string, a set compiled before, or a set of hashes. `rewrites` maps phrases to
    what is written in their place. Work per character is bounded by the longest phrase. Never raises.
    """

    def __init__(self, phrases: Iterable[str | PhraseSet | HashedPhrases], rewrites: Mapping[str, str] | None = None):
        given = list(phrases)
        sets = [phrase for phrase in given if isinstance(phrase, PhraseSet)]
        if texts := [phrase for phrase in given if isinstance(phrase, str)]:
            sets.append(PhraseSet(texts))
        hashes = [_HashedTrack(phrase) for phrase in given if isinstance(phrase, HashedPhrases) and phrase]
        self._forbidden: list[_Track | _HashedTrack] = [*(_Track(one) for one in sets if one), *hashes]
        phrases_rewritten, self._written = _compiled(tuple((rewrites or {}).items()))
        self._rewritten = _Track(phrases_rewritten)
        self._to_rewrite: list[_Ended] = []
        self._held = ""  # text not released yet
        self._released = 0  # how much text was released or replaced: the position of _held[0]
        self._read = 0  # position of the next character to read
        self._last = Kind.SEPARATOR
        self._blocked_at: int | None = None  # where the first forbidden phrase begins

    def feed(self, text: str, final: bool = False) -> Released:
        """Take in the next chunk; give out what is settled. `final` settles everything."""
        if self._blocked_at is not None:
            return Released("", True)
        self._held += text
        for char, start, end in self._characters(final):
            self._see(SYMBOLS[char], start, end)
            if self._blocked_at is not None:
                break
        if final and self._blocked_at is None:
            self._confirm(edge=True, letter="")
            for track in self._tracks():
                track.threads.clear()
        return Released(self._release(), self._blocked_at is not None)

    def _tracks(self) -> list[_Track | _HashedTrack]:
        return [*self._forbidden, self._rewritten]

    def _characters(self, final: bool) -> Iterator[tuple[str, int, int]]:
        """Unread characters with their positions, JSON escapes read; stops before an escape not yet complete."""
        base = self._released
        for char, start, end in characters(self._held, self._read - base, final=final):
            self._read = base + end
            yield char, base + start, self._read

    def _see(self, symbol: Symbol, start: int, end: int) -> None:
        """Read one character, written at [start, end)."""
        if symbol.kind == Kind.IGNORED:
            for track in self._tracks():
                for ended in track.ended:
                    ended.end = end if ended.end == start else ended.end
            return
        edge = is_edge(self._last, symbol.kind)
        self._last = symbol.kind
        for letter in symbol.letters or ("",):
            self._confirm(edge=edge, letter=letter)
            if letter:
                for track in self._forbidden:
                    self._forbid(track.read(letter, edge=edge, start=start, end=end))
                self._to_rewrite += self._rewritten.read(letter, edge=edge, start=start, end=end)
            edge = False

    def _confirm(self, *, edge: bool, letter: str) -> None:
        for track in self._forbidden:
            self._forbid(track.settle(edge=edge, letter=letter))
        self._to_rewrite += self._rewritten.settle(edge=edge, letter=letter)

    def _forbid(self, found: list[_Ended]) -> None:
        for ended in found:
            self._blocked_at = ended.start if self._blocked_at is None else min(self._blocked_at, ended.start)

    def _release(self) -> str:
        """Take what is settled out of the hold, rewritten where that is decided."""
        limit = self._blocked_at
        if limit is None:
            limit = min((start for track in self._tracks() for start in track.starts()), default=self._read)
        pieces: list[str] = []
        at = self._released
        for found in sorted(self._to_rewrite, key=lambda ended: (ended.start, -ended.end)):
            if found.start < at:  # inside one rewritten before
                continue
            if found.end > limit:
                limit = limit if self._blocked_at is not None else min(limit, found.start)
                break
            pieces.append(self._text(at, found.start))
            pieces.append(_in_case_of(self._text(found.start, found.end), self._written[found.thread]))
            at = found.end
        pieces.append(self._text(at, limit))
        self._held = self._held[limit - self._released :]
        self._released = limit
        self._to_rewrite = [found for found in self._to_rewrite if found.start >= limit]
        return "".join(pieces)

    def _text(self, start: int, end: int) -> str:
        return self._held[start - self._released : end - self._released]


@lru_cache(maxsize=1024)
def _compiled(rewrites: tuple[tuple[str, str], ...]) -> tuple[PhraseSet, Mapping[str, str]]:
    """Phrases that are rewritten, and what is written for each of their patterns. A twin comes again and again."""
    written = {pattern: text for phrase, text in rewrites for pattern in PhraseSet([phrase]).patterns}
    return PhraseSet(phrase for phrase, _ in rewrites), written


def _in_case_of(replaced: str, written: str) -> str:
    if replaced.isupper():
        return written.upper()
    return written.lower() if replaced.islower() else written
