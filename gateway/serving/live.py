"""Policies in use: the one enforced now, and earlier ones whose last requests are still running."""

import asyncio
from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, field

from vllm.lora.request import LoRARequest

from gateway.guards.policy import Policy
from gateway.serving.watch import NameWatch


def watch_of(policy: Policy, names_tables: Sequence[str]) -> NameWatch:
    """What audits answers to prompts that name nobody, by the names that may not be told."""
    return NameWatch([policy.phrase_set(table) for table in names_tables], policy.answer_names(names_tables))


@dataclass(eq=False)
class LivePolicy:
    """One policy snapshot with the engine's side of it.

    Args:
        adapter: the LoRA that carries the erasure, None for the base weights.
        tables: ids of the phrase tables loaded for it.
        watch: audits answers to prompts that name nobody, for callers from whom every target is withheld.
    """

    policy: Policy
    adapter: LoRARequest | None
    tables: Set[str]
    watch: NameWatch
    _watches: dict[tuple[str, ...], NameWatch] = field(default_factory=dict)  # for other callers, by names tables
    _running: int = 0
    _drained: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._drained.set()

    def watch_over(self, names_tables: tuple[str, ...]) -> NameWatch:
        """What audits answers to prompts that name nobody, by the names withheld from the caller."""
        if names_tables == self.policy.names_tables:
            return self.watch
        if names_tables not in self._watches:
            self._watches[names_tables] = watch_of(self.policy, names_tables)
        return self._watches[names_tables]

    @contextmanager
    def held(self) -> Iterator["LivePolicy"]:
        """Keep tables and adapter in the engine while a request runs."""
        self._running += 1
        self._drained.clear()
        try:
            yield self
        finally:
            self._running -= 1
            if self._running == 0:
                self._drained.set()

    async def drained(self) -> None:
        """Return once no request runs on this policy."""
        await self._drained.wait()
