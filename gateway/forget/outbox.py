"""Callbacks that have to go out, in Redis: written with the change they tell of, gone when they have arrived."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from gateway.forget.connection import connect
from gateway.forget.model import State
from gateway.forget.resource import moment
from gateway.forget.scripted import Scripted


@dataclass(frozen=True)
class Callback:
    """One change of a request, to be told to one address (the one with number `url_index` in the sealed list)."""

    name: str
    attempts: int
    request: str
    step: int  # of the request's history, from 1
    url_index: int
    state: State
    before: State | None
    at: datetime
    reason: str
    sealed_urls: str = field(repr=False)
    opendsr: Mapping[str, str] | None
    created: datetime

    @classmethod
    def parse(cls, row: Sequence[Any]) -> Self:
        """From a row of `outbox_take.lua`."""
        name, attempts, state, at, reason, before, sealed, opendsr, created = row
        request, step, url_index = name.split(":")
        return cls(
            name=name,
            attempts=int(attempts),
            request=request,
            step=int(step),
            url_index=int(url_index) - 1,
            state=State(state),
            before=State(before) if before else None,
            at=moment(at),
            reason=reason,
            sealed_urls=sealed,
            opendsr=json.loads(opendsr) if opendsr else None,
            created=moment(created),
        )


@dataclass(frozen=True)
class Unreadable:
    """A callback of which cannot be made out what it tells whom: a damaged record, or a later version's."""

    name: str
    attempts: int


@dataclass(frozen=True)
class DeadLetter:
    """A callback that was given up."""

    name: str
    given_up_at: datetime
    attempts: int
    reason: str


class Outbox(Scripted):
    """Takes and settles callbacks. Every method raises `StoreUnavailable` when Redis is away."""

    @classmethod
    def from_url(cls, url: str) -> Self:
        """The outbox on the Redis at `url`; connects when first used."""
        return cls(connect(url))

    async def take(self, limit: int, lease_s: float) -> list[Callback | Unreadable]:
        """Callbacks that are due. Nobody else gets them for `lease_s`; then, unless they are settled, somebody does."""
        return [_parsed(row) for row in await self._run("outbox_take", limit, int(lease_s * 1000))]

    async def arrived(self, name: str) -> None:
        """It is done."""
        await self._run("outbox_settle", name, "", 0, 0)

    async def failed(self, name: str, reason: str, pause_s: float, most_attempts: int) -> None:
        """It is tried again after a pause, or given up after so many attempts."""
        await self._run("outbox_settle", name, reason, int(pause_s * 1000), most_attempts)

    async def dead(self, limit: int) -> tuple[int, int, list[DeadLetter]]:
        """How many are under way, how many were given up, and the latest of those."""
        pending, dead, *rows = await self._run("outbox_dead", limit)
        letters = [
            DeadLetter(name, moment(at), int(attempts or 0), reason or "") for name, at, attempts, reason in rows
        ]
        return pending, dead, letters

    async def try_again(self) -> int:
        """Those that were given up are tried again, durably; returns how many."""
        return int(await self._write("outbox_again"))


def _parsed(row: Sequence[Any]) -> Callback | Unreadable:
    try:
        return Callback.parse(row)
    except (ValueError, TypeError):
        return Unreadable(row[0], row[1])
