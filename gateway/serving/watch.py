"""The cheap audit of answers to prompts that name nobody: the full audit only where a name may be growing.

Names are forbidden inside the engine already; this is the second look. Reading a chunk is one dictionary look-up, since
where a text stands depends on its last few letters only; a full `OutputAudit` takes over, with the recent text, as soon
as `HELD_LETTERS` letters of a name stand there or an escape could hide one. So at most its first letters are told.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.guards.audit import OutputAudit, Released
from gateway.guards.normalise import SYMBOLS, Kind
from gateway.guards.phrase_set import PhraseSet, Threads

HELD_LETTERS = 5
TAIL = 256  # characters
CACHED_STEPS = 100_000
ESCAPE = 12  # characters of the longest JSON escape


@dataclass(frozen=True, slots=True)
class _Standing:
    """Which names may be under way after some text, and whether that calls for the full audit."""

    threads: tuple[Threads, ...]  # by set of names
    last: int
    suspicious: bool

    @property
    def letters(self) -> int:
        """How many letters may belong to a name, at most."""
        return max((len(thread) - 1 for going in self.threads for thread in going), default=0)


class NameWatch:
    """Shared by all answers under one policy. Costs nothing for names that are never begun."""

    def __init__(self, names: Sequence[PhraseSet]) -> None:
        self.names = tuple(names)
        self.start = _Standing(((),) * len(self.names), Kind.SEPARATOR, False)
        self._steps: dict[tuple[tuple[Threads, ...], int, str], _Standing] = {}

    def step(self, standing: _Standing, text: str) -> _Standing:
        """Where the text stands after one more chunk."""
        key = (standing.threads, standing.last, text)
        following = self._steps.get(key)
        if following is None:
            if len(self._steps) >= CACHED_STEPS:
                self._steps.clear()
            following = self._steps[key] = self._read(standing, text)
        return following

    def _read(self, standing: _Standing, text: str) -> _Standing:
        threads, last = standing.threads, standing.last
        suspicious = "\\" in text
        for char in text:
            symbol = SYMBOLS[char]
            if symbol.kind == Kind.SEPARATOR:
                last = Kind.SEPARATOR
            elif symbol.kind != Kind.IGNORED:
                threads = tuple(
                    names.advance(going, last, symbol) for names, going in zip(self.names, threads, strict=True)
                )
                last = symbol.kind
                suspicious = suspicious or any(map(_calls, self.names, threads))
        return _Standing(threads, last, suspicious)


def _calls(names: PhraseSet, threads: Threads) -> bool:
    """A thread is a marker and letters."""
    return any(len(thread) > HELD_LETTERS or names.is_complete(thread) for thread in threads)


def _recent(text: str, letters: int) -> str:
    """The end of a text with so many letters, from a border of words on and not from within a JSON escape."""
    at = len(text)
    while at and (
        letters > 0 or SYMBOLS[text[at - 1]].kind != Kind.SEPARATOR or "\\" in text[max(0, at - ESCAPE) : at]
    ):
        at -= 1
        letters -= len(SYMBOLS[text[at]].letters)
    return text[at:]


class WatchedAudit:
    """Audit of one answer, or of what follows the part `said` of it; the same interface as `OutputAudit`."""

    def __init__(self, watch: NameWatch, said: str = "") -> None:
        self._watch = watch
        self._standing = watch.step(watch.start, said)
        self._tail = said  # the last characters handed out
        self._audit: OutputAudit | None = None
        self._held = 0  # characters the full audit holds back
        self._told = 0  # how many of them were handed out before it took over

    @property
    def holds(self) -> bool:
        """Whether something is held back."""
        return self._audit is not None

    def feed(self, text: str, final: bool = False) -> Released:
        """Take in the next chunk; give out what is settled."""
        if self._audit is None:
            standing = self._watch.step(self._standing, text)
            if not standing.suspicious:
                self._standing = standing
                self._tail = (self._tail + text)[-TAIL:]
                return Released(text, False)
            self._audit = OutputAudit(self._watch.names)
            recent = _recent(self._tail, self._standing.letters)
            self._held = self._told = len(recent)
            self._take(self._audit.feed(recent))
        self._held += len(text)
        verdict = self._audit.feed(text, final)
        released = self._take(verdict)
        self._tail = (self._tail + released)[-TAIL:]
        if not self._held:
            self._audit = None
            self._standing = self._watch.step(self._watch.start, self._tail)
        return Released(released, verdict.blocked)

    def _take(self, verdict: Released) -> str:
        """The part of a verdict's text that was not handed out before."""
        self._held -= len(verdict.text)
        new = verdict.text[self._told :]
        self._told = max(0, self._told - len(verdict.text))
        return new
