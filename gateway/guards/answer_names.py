"""The names of an answer as prompts are read for them: in their cases, backwards, in ciphers and other scripts.

`Openings` say where a name may be; from there the text is held for a few words, and read at the end of each of them.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from gateway.guards.matcher import Match
from gateway.guards.normalise import Kind, Symbol
from gateway.guards.openings import BEFORE, EARLIER, HERE, NOWHERE, PARTICLE, QUIET, RUN, SOON, Openings, Standing
from gateway.guards.phrase_set import is_edge

MOST_WORDS = 4  # that are read behind the first of a name
MOST_HELD, MOST_RUN = 160, 512  # characters, and of a run
CONTEXT = 128  # characters before, which show the language

Find = Callable[[str], Iterable[Match]]


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class AnswerNames:
    """Whose names an answer may not tell.

    Args:
        openings: of the names, one for each table of them.
        find: every mention of a name in a text.
        members: ids of those who may not be told.
    """

    openings: tuple[Openings, ...]
    find: Find
    members: Sequence[frozenset[str]]

    def named(self, text: str, behind: int) -> int | None:
        """Where the first name begins in a text that ends behind a place."""
        starts = (
            match.start
            for match in self.find(text)
            if match.end > behind and any(match.target in members for members in self.members)
        )
        return min(starts, default=None)


@dataclass(slots=True, repr=False)
class _Reading:
    """How far one set of openings has been read, and where what is under way began."""

    openings: Openings
    standing: Standing = QUIET
    before: int = 0
    word: int = 0
    run: int = 0

    def starts(self) -> Iterator[int]:
        if self.standing.before or self.standing.sound:
            yield self.before
        if self.standing.word or self.standing.foreign:
            yield self.word
        if self.standing.run:
            yield self.run


@dataclass(slots=True, repr=False)
class _Candidate:
    """A place where a name may begin, and after how many words that is given up."""

    start: int
    words: int = MOST_WORDS
    packed: bool = False  # a run, which ends with a separator


@dataclass(slots=True, repr=False)
class NamesTrack:
    """Reads one answer for names."""

    names: AnswerNames
    context: str = ""  # what was said before, and asked
    readings: list[_Reading] = field(init=False)
    candidates: list[_Candidate] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.readings = [_Reading(openings) for openings in self.names.openings]

    def starts(self) -> Iterator[int]:
        """Where what may be a name began."""
        for reading in self.readings:
            if reading.standing is not QUIET:
                yield from reading.starts()
        yield from (candidate.start for candidate in self.candidates)

    def read(self, last: int, char: str, symbol: Symbol, at: int) -> bool:
        """Take in a character at a place; whether a word has ended where a name may be."""
        edge = is_edge(last, symbol.kind)
        for reading in self.readings:
            if edge or reading.standing is not QUIET:
                self._advance(reading, last, char, symbol, edge, at)
        return edge and last != Kind.SEPARATOR and bool(self.candidates)

    def _advance(self, reading: _Reading, last: int, char: str, symbol: Symbol, edge: bool, at: int) -> None:
        was, began = reading.standing, reading.before
        standing = reading.standing = reading.openings.read(was, last, char, symbol)
        if edge and (was.word or was.foreign) and was.word[:1] != PARTICLE:
            reading.before = reading.word
        if edge:
            reading.word = at
        if last == Kind.SEPARATOR:
            reading.run = at
        if standing.called not in (NOWHERE, SOON):
            start = {BEFORE: reading.before, EARLIER: began, RUN: reading.run, HERE: reading.word}[standing.called]
            words = 1 if standing.called == EARLIER else MOST_WORDS
            self.candidates.append(_Candidate(start, words, packed=standing.called == RUN))

    def ended(self, text: str, at: int, *, separated: bool) -> int | None:
        """At the end of a word at a place, the end of `text`: where a name begins that may not be told."""
        now = [one for one in self.candidates if separated or not one.packed or at - one.start >= MOST_RUN]
        if not now:
            return None
        if at == len(text):  # nothing of the answer is missing
            text = self.context + text
        beyond = at - len(text)
        first = min(candidate.start for candidate in now)
        cut = max(first - beyond - CONTEXT, 0)
        found = self.names.named(text[cut:], first - beyond - cut)
        for candidate in now:
            candidate.words -= 1
        self.candidates = [
            one
            for one in self.candidates
            if one not in now or (one.words and not one.packed and at - one.start < MOST_HELD)
        ]
        return None if found is None else found + beyond + cut
