"""An answer that began under an older policy takes up the guard of a newer one from its next piece of text on."""

from typing import Protocol

from gateway.guards.audit import Released
from gateway.serving.watch import TAIL, NameWatch, WatchedAudit


class Audit(Protocol):
    """Reads one answer chunk by chunk (`OutputAudit`, `WatchedAudit`)."""

    def feed(self, text: str, final: bool = False) -> Released:
        """Take in the next chunk; give out what is settled."""


class NewerGuard:
    """Reads what the engine says before the answer's own audit does, once there is something newer to know.

    The same interface as the audit. What was told before the newer guard came is told.
    """

    def __init__(self, audit: Audit) -> None:
        self._audit = audit
        self._said = ""  # the engine's last characters
        self._newer: NameWatch | None = None
        self._names: WatchedAudit | None = None
        self._ended = False

    def watch(self, newer: NameWatch) -> None:
        """From now on these are the names that may not be said, besides what the answer's own audit knows."""
        self._newer = newer

    def end(self) -> None:
        """Nothing more may be said at all."""
        self._ended = True

    def feed(self, text: str, final: bool = False) -> Released:
        """Take in the next chunk; give out what is settled."""
        if self._ended:
            return Released("", True)
        if self._newer is not None and (self._names is None or not self._names.holds):
            self._names, self._newer = WatchedAudit(self._newer, self._said), None
        self._said = (self._said + text)[-TAIL:]
        if self._names is None:
            return self._audit.feed(text, final)
        names = self._names.feed(text, final)
        own = self._audit.feed(names.text, final and not names.blocked)
        return Released(own.text, names.blocked or own.blocked)
