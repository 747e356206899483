"""The patterns of all targets that have some, compiled, and those of them that are withheld from a caller."""

from collections.abc import Mapping, Set
from typing import Literal, Protocol

from gateway.audience import withheld
from gateway.guards.pattern import Pattern, compiled
from gateway.guards.pattern_set import NO_PATTERNS, PatternSet


class Patterned(Protocol):
    """What may have patterns."""

    @property
    def patterns(self) -> tuple[str, ...]: ...
    @property
    def audiences(self) -> frozenset[str]: ...
    @property
    def in_context(self) -> Literal["block", "allow"]: ...


_Known = tuple[tuple[Pattern, ...], frozenset[str], bool]  # compiled, audiences, whether the prompt's may be repeated


class WithheldPatterns:
    """By target. Read-only; sets for callers are made when first asked for."""

    def __init__(self, known: Mapping[str, _Known] | None = None) -> None:
        self._known = known or {}
        self._sets: dict[frozenset[str], PatternSet] = {}

    def with_changes(self, changed: Mapping[str, Patterned], gone: Set[str]) -> "WithheldPatterns":
        """With other targets; itself where none of them has or had patterns.

        Raises:
            BadPattern: one cannot be compiled.
        """
        new = {
            id_: (tuple(map(compiled, target.patterns)), target.audiences, target.in_context == "allow")
            for id_, target in changed.items()
            if target.patterns
        }
        stale = self._known.keys() & (changed.keys() | gone)
        if not new and not stale:
            return self
        return WithheldPatterns({id_: known for id_, known in self._known.items() if id_ not in stale} | new)

    def withheld(self, caller: frozenset[str]) -> PatternSet:
        """What answers to a caller with these audiences are read for."""
        if not self._known:
            return NO_PATTERNS
        if (found := self._sets.get(caller)) is None:
            own = [known for known in self._known.values() if withheld(known[1], caller)]
            patterns = [(pattern, lenient) for compiled_, _, lenient in own for pattern in compiled_]
            found = self._sets[caller] = PatternSet(
                tuple(pattern for pattern, _ in patterns), tuple(lenient for _, lenient in patterns)
            )
        return found
