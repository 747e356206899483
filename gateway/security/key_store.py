"""API keys in Redis, beside the forget requests: what changes them is part of the same change log."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from gateway.forget.connection import connect
from gateway.forget.errors import KeyNotFound
from gateway.forget.scripted import Scripted
from gateway.security.keys import ApiKey
from gateway.security.rates import Rate


@dataclass(frozen=True)
class ListedKey:
    """A key, and when it was last used (in milliseconds since 1970; a minute or so late)."""

    key: ApiKey
    used: int | None


class KeyStore(Scripted):
    """Makes, lists and revokes keys."""

    @classmethod
    def from_url(cls, url: str) -> Self:
        """A store on the Redis at `url`; connects when first used."""
        return cls(connect(url))

    async def add(self, key: ApiKey) -> bool:
        """Stores a key, durably; false if its id is taken. Replicas hear of it by the change log."""
        fields = [part for field in key.fields().items() for part in field]
        return bool(await self._write("key_create", key.id, *fields))

    async def keys(self) -> list[ListedKey]:
        """Every key, the latest first."""
        listed = [
            ListedKey(ApiKey.parse(id_, flat), int(used) if used else None)
            for id_, flat, used in await self._run("key_list")
        ]
        return sorted(listed, key=lambda one: one.key.created, reverse=True)

    async def revoke(self, id_: str) -> None:
        """From now on the key is good no more; durable.

        Raises:
            KeyNotFound: there is none with this id.
        """
        if not await self._write("key_revoke", id_):
            raise KeyNotFound(id_)

    async def used(self, times: Mapping[str, float]) -> None:
        """Notes when keys were last used (seconds since 1970)."""
        await self._run("key_used", *(part for id_, at in times.items() for part in (id_, int(at * 1000))))

    async def throttle(self, id_: str, rate: Rate) -> float:
        """Counts a request for all replicas together; seconds to wait if it came too early, else 0."""
        return int(await self._run("throttle", id_, rate.count, int(rate.period_s * 1000))) / 1000
