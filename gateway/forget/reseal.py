"""Brings every sealed record under the current key, while gateways and workers run."""

import contextlib
from typing import Self

import redis.asyncio
from redis.exceptions import ResponseError

from gateway.forget.connection import connect
from gateway.forget.scripted import Scripted
from gateway.forget.scripts import ROOT
from gateway.forget.sealer import PROOF, AesGcmSealer

SEALED_FIELDS = ("subject", "given", "training", "heard", "knowledge", "callbacks")
AT_ONCE = 500


class Resealing(Scripted):
    """One pass over the store."""

    def __init__(self, client: redis.asyncio.Redis, sealer: AesGcmSealer) -> None:
        super().__init__(client)
        self._sealer = sealer

    @classmethod
    def from_url(cls, url: str, sealer: AesGcmSealer) -> Self:
        """On the Redis at `url`."""
        return cls(connect(url), sealer)

    async def run(self) -> int:
        """Seals again whatever is not sealed under the current key; returns how many texts were.

        Raises:
            SealError: a record cannot be opened; those before it are sealed again, run it again with all keys.
        """
        resealed, cursor = 0, "-"
        while True:
            async with self._answering():
                found = await self._client.zrangebylex(f"{ROOT}:requests", cursor, "+", 0, AT_ONCE)
            members = [str(member) for member in found]
            for member in members:
                for field in SEALED_FIELDS:
                    resealed += await self._reseal(member[14:], field)
            if len(members) < AT_ONCE:
                break
            cursor = f"({members[-1]}"
        await self._write("note", "sealed_again")
        async with self._answering():
            await self._client.set(f"{ROOT}:sealed", self._sealer.seal(PROOF, PROOF))
            with contextlib.suppress(ResponseError):  # one is under way, or a managed server does it by itself
                await self._client.bgrewriteaof()  # the append-only file still has what was sealed before
        return resealed

    async def _reseal(self, id_: str, field: str) -> bool:
        while True:
            async with self._answering():
                found = await self._client.hget(f"{ROOT}:request:{id_}", field)
            if found is None or self._sealer.is_current(sealed := str(found)):
                return False
            again = self._sealer.seal(self._sealer.unseal(sealed, id_), id_)
            if await self._write("reseal", id_, field, sealed, again):
                return True
