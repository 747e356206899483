"""What is kept in Redis is changed by scripts: runs them for whoever acts, and waits for the disk where it can tell."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import redis.asyncio
from redis.exceptions import NoScriptError

from gateway.actor import actor
from gateway.forget.breaker import Breaker
from gateway.forget.connection import WAIT_TIMEOUT_MS, answering, has_waitaof
from gateway.forget.errors import StoreUnavailable
from gateway.forget.primary import Client
from gateway.forget.scripts import ROOT, digest, script


class Scripted:
    """Base of the stores on the gateway's event loop. Every method raises `StoreUnavailable` when Redis is away."""

    def __init__(self, client: redis.asyncio.Redis) -> None:
        self._client = client
        self._waitaof: bool | None = None
        self._breaker = Breaker()

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._client.aclose()

    async def check(self) -> None:
        """Finds out what the server can promise; warns in the log if that is not durability."""
        with self._breaker.guarding():
            self._waitaof = await has_waitaof(self._client)

    @asynccontextmanager
    async def _answering(self) -> AsyncIterator[None]:
        """For commands: `StoreUnavailable` if Redis fails, does not answer in time, or did not lately."""
        with self._breaker.guarding():
            async with answering():
                yield

    async def _run(self, name: str, *arguments: str | int) -> Any:
        async with self._answering():
            try:
                return await self._client.evalsha(digest(name), 1, ROOT, *arguments, actor.get())
            except NoScriptError:  # a server that has not seen it yet, or has been started again
                return await self._client.eval(script(name), 1, ROOT, *arguments, actor.get())

    async def _write(self, name: str, *arguments: str | int) -> Any:
        """Like `_run`, but returns only when the change is on the server's disk, if it can tell, and has its copies."""
        if self._waitaof is None:
            await self.check()
        copies = self._client.copies if isinstance(self._client, Client) else 0
        if not self._waitaof and not copies:  # an embedded server answers only after its fsync
            return await self._run(name, *arguments)
        # One pipeline, because WAIT and WAITAOF are about the writes of their own connection.
        async with self._answering(), self._client.pipeline(transaction=False) as pipeline:
            pipeline.eval(script(name), 1, ROOT, *arguments, actor.get())
            if self._waitaof:
                pipeline.execute_command("WAITAOF", 1, 0, WAIT_TIMEOUT_MS)
            if copies:
                pipeline.execute_command("WAIT", copies, WAIT_TIMEOUT_MS)
            reply, *confirmed = await pipeline.execute()
        if self._waitaof and not confirmed[0][0]:
            raise StoreUnavailable("Redis did not confirm in time that the change is on disk")
        if copies and confirmed[-1] < copies:
            raise StoreUnavailable("too few replicas of Redis confirmed the change in time")
        return reply
