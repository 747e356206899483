"""The audit of an answer by patterns, after that by phrases: cut where a match begins, held back while one grows."""

from gateway.guards.audit import Audit, Released
from gateway.guards.escapes import characters
from gateway.guards.pattern import CODES, IGNORED
from gateway.guards.pattern_set import PatternSet, Step


class PatternAudit:
    """Reads what another audit lets through; the same interface. Never raises.

    The verdict depends on the text alone, never on how it was cut into chunks.

    Args:
        prompt: what of it matches a lenient pattern may be said again.
        said: what was told of the answer before.
    """

    def __init__(self, audit: Audit, patterns: PatternSet, prompt: str = "", said: str = "") -> None:
        self._audit = audit
        self._patterns = patterns
        self._prompt = _plain(prompt) if patterns.reads_prompts else ""
        self._threads = patterns.step((), said).threads
        self._held = ""  # read, not released
        self._unread = ""  # an escape that is not complete
        self._blocked = False

    @property
    def holds(self) -> bool:
        """Whether something is held back."""
        return bool(self._held or self._unread)

    def feed(self, text: str, final: bool = False) -> Released:
        """Take in the next chunk; give out what is settled."""
        if self._blocked:
            return Released("", True)
        verdict = self._audit.feed(text, final)
        self._blocked = verdict.blocked
        before = len(self._held)
        step = self._read(self._unread + verdict.text, final or verdict.blocked)
        for match in step.complete:
            end = before + match.end
            begun = max(0, end - match.length)
            if not self._is_stated(match.pattern, self._held[begun:end]):
                self._blocked = True
                return self._released(begun)
        self._threads = step.threads
        growing = 0 if final or verdict.blocked or not step.threads else step.threads[0][0]
        return self._released(max(0, len(self._held) - growing))

    def _released(self, end: int) -> Released:
        text, self._held = self._held[:end], self._held[end:]
        return Released(text, self._blocked)

    def _read(self, text: str, final: bool) -> Step:
        if "\\" not in text:
            self._held, self._unread = self._held + text, ""
            return self._patterns.step(self._threads, text)
        read = list(characters(text, final=final))
        end = read[-1][2] if read else 0
        self._held, self._unread = self._held + text[:end], text[end:]
        return self._patterns.read(self._threads, ((char, until - start) for char, start, until in read))

    def _is_stated(self, pattern: int, match: str) -> bool:
        return self._patterns.may_be_stated(pattern) and _plain(match) in self._prompt


def _plain(text: str) -> str:
    """The symbols of a text, as patterns read them."""
    codes = (CODES[char] for char, _, _ in characters(text, final=True))
    return "".join(map(chr, (code for code in codes if code != IGNORED)))
