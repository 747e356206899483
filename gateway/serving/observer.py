"""How the serving room tells others what it does, without knowing Prometheus."""

from typing import Literal, Protocol

Decision = Literal[
    "pass",
    "ignorance",
    "described",
    "refuse",
    "rewrite",
    "clause",
    "instruct",
    "blocked",
    "failed",
    "unavailable",
    "off",
]
Stage = Literal["examine", "hops", "audit", "load_tables", "add_adapter", "apply", "replace_weights"]

Hop = Literal["asked", "remembered", "matched"]


class GuardObserver(Protocol):
    """Receives decisions and durations; nothing in them tells anything about a subject or a prompt."""

    def decision(self, kind: Decision) -> None:
        """One request was decided upon; `blocked` comes in addition when an answer was cut by the audit."""

    def observe(self, stage: Stage, seconds: float) -> None:
        """One stage took so many seconds; `audit` is the sum over one request."""

    def hop(self, kind: Hop) -> None:
        """The model was asked whom a relation means, or had been before; `matched` comes in addition: a target."""


class SilentObserver:
    """Default observer."""

    def decision(self, kind: Decision) -> None:
        """Ignore it."""

    def observe(self, stage: Stage, seconds: float) -> None:
        """Ignore it."""

    def hop(self, kind: Hop) -> None:
        """Ignore it."""
