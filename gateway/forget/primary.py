"""Connections to whichever server is the primary now: asked for before each new connection, left when it is no more.

All keys of the gateway share a hash slot, so one node of a Cluster is enough, and a plain client does there all that it
does with a single server: transactions, blocking reads, WAITAOF on the connection that wrote.

The client library has such a pool for Sentinel. It asks its `sentinel_manager` for the primary, which here may be a
Cluster's nodes just as well.
"""

import asyncio
import random
from typing import Any

import redis
import redis.asyncio
import redis.asyncio.sentinel
import redis.sentinel
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.crc import key_slot
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import MovedError, RedisError
from redis.retry import Retry

from gateway.forget.address import Address
from gateway.forget.scripts import ROOT

NODE_TIMEOUT_S = 1.0  # for each node that is asked
_SLOT = key_slot(ROOT.encode())


class _Nodes:
    def __init__(self, address: Address) -> None:
        self._address = address
        self._question: tuple[str, ...] = ("CLUSTER", "SLOTS")
        if address.kind == "sentinel":
            self._question = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", address.service)

    def _in_turn(self) -> list[tuple[str, int]]:
        """In another order each time: a node that is cut off may still name the primary of before."""
        return random.sample(self._address.nodes, k=len(self._address.nodes))

    def _options(self, node: tuple[str, int]) -> dict[str, Any]:
        host, port = node
        given = {"host": host, "port": port, "ssl": self._address.tls, "decode_responses": True, "protocol": 2}
        return {**self._address.asking, **given}

    def _primary(self, reply: Any, node: tuple[str, int]) -> tuple[str, int] | None:
        """What a node's answer says; None if it knows no primary."""
        if self._address.kind == "sentinel":
            return (reply[0], int(reply[1])) if reply else None
        for first, last, (host, port, *_), *_ in reply or ():
            if first <= _SLOT <= last:
                return host or node[0], int(port)
        return None


class _BlockingNodes(_Nodes):
    def discover_master(self, _: str) -> tuple[str, int]:
        for node in self._in_turn():
            try:
                with redis.Redis(
                    **self._options(node),
                    socket_timeout=NODE_TIMEOUT_S,
                    socket_connect_timeout=NODE_TIMEOUT_S,
                    retry=Retry(NoBackoff(), 0),
                ) as client:
                    ask: Any = client.execute_command
                    found = self._primary(ask(*self._question), node)
            except (RedisError, OSError):
                continue
            if found:
                return found
        raise RedisConnectionError("no node knows the primary")


class _AsyncNodes(_Nodes):
    async def discover_master(self, _: str) -> tuple[str, int]:
        for node in self._in_turn():
            try:
                async with (
                    asyncio.timeout(NODE_TIMEOUT_S),
                    redis.asyncio.Redis(**self._options(node), retry=AsyncRetry(NoBackoff(), 0)) as client,
                ):
                    ask: Any = client.execute_command
                    found = self._primary(await ask(*self._question), node)
            except (RedisError, OSError):
                continue
            if found:
                return found
        raise RedisConnectionError("no node knows the primary")


class _Connection(redis.asyncio.sentinel.SentinelManagedConnection):
    async def read_response(self, *arguments: Any, **options: Any) -> Any:
        try:
            return await super().read_response(*arguments, **options)
        except MovedError:  # as the library does when a Sentinel's primary has become a replica
            await self.disconnect()
            raise RedisConnectionError("this node is not the primary any more") from None


class _TlsConnection(_Connection, redis.asyncio.sentinel.SentinelManagedSSLConnection):
    pass


class _BlockingConnection(redis.sentinel.SentinelManagedConnection):
    def read_response(self, *arguments: Any, **options: Any) -> Any:
        try:
            return super().read_response(*arguments, **options)
        except MovedError:
            self.disconnect()  # type: ignore[no-untyped-call]
            raise RedisConnectionError("this node is not the primary any more") from None


class _BlockingTlsConnection(_BlockingConnection, redis.sentinel.SentinelManagedSSLConnection):
    pass


class Client(redis.asyncio.Redis):
    """Of a primary; `copies` says how many replicas have to have a write before it counts."""

    copies = 0


def client(address: Address, **options: Any) -> Client:
    """For the event loop; `options` are those of a client of one server."""
    make: Any = redis.asyncio.sentinel.SentinelConnectionPool
    pool = make(
        address.service,
        _AsyncNodes(address),
        connection_class=_TlsConnection if address.tls else _Connection,
        **{**address.options, **options},
    )
    made = Client.from_pool(pool)
    assert isinstance(made, Client)  # noqa: S101 from_pool makes what it is called on
    made.copies = address.copies
    return made


def blocking_client(address: Address, **options: Any) -> redis.Redis:
    """For workers."""
    make: Any = redis.sentinel.SentinelConnectionPool
    pool = make(
        address.service,
        _BlockingNodes(address),
        connection_class=_BlockingTlsConnection if address.tls else _BlockingConnection,
        **{**address.options, **options},
    )
    return redis.Redis.from_pool(pool)
