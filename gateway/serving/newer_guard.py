"""An answer that began under an older policy takes up the guard of a newer one from its next piece of text on."""

from typing import Protocol

from gateway.guards.answer_names import NamesAudit
from gateway.guards.audit import Audit, Released
from gateway.guards.pattern_audit import PatternAudit
from gateway.guards.pattern_set import NO_PATTERNS, PatternSet
from gateway.serving.watch import TAIL, NameWatch, WatchedAudit, watched


class TakesUp(Protocol):
    """What goes on under a newer guard, or ends."""

    def watch(self, newer: NameWatch, patterns: PatternSet, prompt: str) -> None:
        """From now on these names and patterns may not be said."""

    def end(self) -> None:
        """Nothing more may be said at all."""


class NewerGuard:
    """Reads what the engine says before the answer's own audit does, once there is something newer to know.

    The same interface as the audit. What was told before the newer guard came is told.
    """

    def __init__(self, audit: Audit) -> None:
        self._audit = audit
        self._said = ""  # the engine's last characters
        self._newer: tuple[NameWatch, PatternSet, str] | None = None
        self._names: WatchedAudit | NamesAudit | None = None
        self._patterns: PatternAudit | None = None
        self._ended = False

    def watch(self, newer: NameWatch, patterns: PatternSet = NO_PATTERNS, prompt: str = "") -> None:
        """From now on these names and patterns may not be said, besides what the answer's own audit knows."""
        self._newer = newer, patterns, prompt

    def end(self) -> None:
        """Nothing more may be said at all."""
        self._ended = True

    def feed(self, text: str, final: bool = False) -> Released:
        """Take in the next chunk; give out what is settled."""
        if self._ended:
            return Released("", True)
        if self._newer is not None and not self._holds():
            (newer, patterns, prompt), self._newer = self._newer, None
            self._names = watched(newer, self._said)
            self._patterns = PatternAudit(self._names, patterns, prompt, self._said) if patterns else None
        self._said = (self._said + text)[-TAIL:]
        if self._names is None:
            return self._audit.feed(text, final)
        names = (self._patterns or self._names).feed(text, final)
        own = self._audit.feed(names.text, final and not names.blocked)
        return Released(own.text, names.blocked or own.blocked)

    def _holds(self) -> bool:
        """Whether something is held back that another guard would lose."""
        return any(audit is not None and audit.holds for audit in (self._names, self._patterns))
