"""The cheap audit of answers to prompts that name nobody: the full audit only where a name may be growing.

Names are forbidden inside the engine already; this is the second look. Reading a chunk is one dictionary look-up, since
where a text stands depends on its last few letters only; a full `OutputAudit` takes over, with the recent text, as soon
as `HELD_LETTERS` letters of a name stand there or an escape could hide one. So at most its first letters are told.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.guards.answer_names import AnswerNames, NamesAudit
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
    steps: dict[str, "_Standing"] = field(default_factory=dict, compare=False)

    @property
    def letters(self) -> int:
        """How many letters may belong to a name, at most."""
        return max((len(thread) - 1 for going in self.threads for thread in going), default=0)


class NameWatch:
    """Shared by all answers under one policy. Costs nothing for names that are never begun."""

    def __init__(self, names: Sequence[PhraseSet], forms: AnswerNames | None = None) -> None:
        self.names = tuple(names)
        self.forms = forms
        self.start = _Standing(((),) * len(self.names), Kind.SEPARATOR, False)
        self._standings: dict[tuple[tuple[Threads, ...], int, bool], _Standing] = {}
        self._steps = 0

    def step(self, standing: _Standing, text: str) -> _Standing:
        """Where the text stands after one more chunk."""
        following = standing.steps.get(text)
        if following is None:
            self._steps += 1
            if self._steps >= CACHED_STEPS:
                self._steps = 0
                for known in self._standings.values():
                    known.steps.clear()
                self._standings.clear()
                self.start.steps.clear()
            following = standing.steps[text] = self._read(standing, text)
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
        key = (threads, last, suspicious)
        known = self._standings.get(key)
        if known is None:
            known = self._standings[key] = _Standing(*key)
        return known


def watched(watch: NameWatch, said: str = "", asked: str = "") -> "WatchedAudit | NamesAudit":
    """The audit of one answer, or of what follows the part `said` of it; `asked` shows its language."""
    audit = WatchedAudit(watch, said)
    return NamesAudit(audit, watch.forms, asked, said) if watch.forms else audit


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
        self._tail = deque([said], TAIL)  # the last pieces handed out, of a character at least
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
            standing = self._standing.steps.get(text) or self._watch.step(self._standing, text)
            if not standing.suspicious:
                self._standing = standing
                if text:
                    self._tail.append(text)
                return Released(text, False)
            self._audit = OutputAudit(self._watch.names)
            recent = _recent("".join(self._tail)[-TAIL:], self._standing.letters)
            self._held = self._told = len(recent)
            self._take(self._audit.feed(recent))
        self._held += len(text)
        verdict = self._audit.feed(text, final)
        released = self._take(verdict)
        if released:
            self._tail.append(released)
        if not self._held:
            self._audit = None
            self._standing = self._watch.step(self._watch.start, "".join(self._tail)[-TAIL:])
        return Released(released, verdict.blocked)

    def _take(self, verdict: Released) -> str:
        """The part of a verdict's text that was not handed out before."""
        self._held -= len(verdict.text)
        new = verdict.text[self._told :]
        self._told = max(0, self._told - len(verdict.text))
        return new
