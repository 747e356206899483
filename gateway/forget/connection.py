"""Connections to Redis: the same time-outs everywhere, one translation of its errors, what the server can promise."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ExponentialBackoff
from redis.exceptions import AuthenticationError, AuthorizationError, NoPermissionError, RedisError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry

from gateway.forget import primary
from gateway.forget.address import parse_address
from gateway.forget.errors import StoreRefused, StoreUnavailable, Unanswered

logger = logging.getLogger(__name__)

TIMEOUT_S = 3.0
BLOCK_S = 1.0  # how long a blocking read may wait: shorter than the time-out
WAIT_TIMEOUT_MS = 1000  # for the disk, and once more for replicas
OLDEST_VERSION = (6, 2)
WAITAOF_VERSION = (7, 2)

# A server that restarts is back in a fraction of a second: lost connections are tried again for about that long.
_BACKOFF = ExponentialBackoff(cap=0.4, base=0.025)
_TRIES = 5


def connect(url: str) -> redis.asyncio.Redis:
    """A client for the gateway's event loop; connects when first used. Use it within `answering`.

    It has no time-out of its own: the client library enforces that by `asyncio.wait_for`, which on Python 3.11 may
    swallow the cancellation of the task that waits.

    Raises:
        ValueError: `url` is none (`address.parse_address` says which there are).
    """
    options: dict[str, Any] = {
        "decode_responses": True,
        "protocol": 2,
        "socket_timeout": None,
        "socket_connect_timeout": TIMEOUT_S,
        "max_connections": 10_000,
        "retry": AsyncRetry(_BACKOFF, _TRIES, supported_errors=(RedisConnectionError,)),
    }
    if address := parse_address(url):
        return primary.client(address, **options)
    return redis.asyncio.Redis.from_url(url, **options)


def connect_blocking(
    url: str, *, decode_responses: bool = True, timeout_s: float | None = TIMEOUT_S, **options: Any
) -> redis.Redis:
    """A client for a worker, or for threads. Without `timeout_s` it waits for as long as its user says.

    Raises:
        ValueError: `url` is none.
    """
    options |= {
        "decode_responses": decode_responses,
        "protocol": 2,
        "socket_timeout": timeout_s,
        "socket_connect_timeout": TIMEOUT_S,
        "retry": Retry(_BACKOFF, _TRIES, supported_errors=(RedisConnectionError,)),
    }
    if address := parse_address(url):
        return primary.blocking_client(address, **options)
    return redis.Redis.from_url(url, **options)


@contextmanager
def store_errors() -> Iterator[None]:
    """Turns what the client library raises into `StoreUnavailable`, without the command's arguments."""
    try:
        yield
    except (AuthenticationError, AuthorizationError, NoPermissionError) as error:
        raise StoreRefused(f"Redis does not let us in ({type(error).__name__}): user and password?") from None
    except ResponseError as error:
        # For pipelines the library puts the command with its arguments in front: cut off, they hold the subject.
        message = str(error).rpartition("caused error: ")[2][:200]
        if "DB index" in message:
            raise StoreRefused(f"Redis: {message}") from None
        raise StoreUnavailable(f"Redis: {type(error).__name__} {message}".rstrip()) from None
    except (RedisError, OSError) as error:
        raise Unanswered(f"Redis: {type(error).__name__}") from None


@asynccontextmanager
async def answering() -> AsyncIterator[None]:
    """For commands of the event loop's client: `StoreUnavailable` if Redis fails, or does not answer in time."""
    with store_errors():
        async with asyncio.timeout(TIMEOUT_S):
            yield


async def has_waitaof(client: redis.asyncio.Redis) -> bool:
    """Whether the server can confirm that a write is on disk; warns of servers that may lose writes.

    Raises:
        StoreUnavailable: the server is away.
        StoreRefused: it is too old, or does not let us in.
    """
    async with answering():
        info = await client.info("server")
        version = tuple(int(part) for part in str(info["redis_version"]).split(".")[:2])
        if version < OLDEST_VERSION:
            raise StoreRefused(f"Redis {info['redis_version']} is too old: 6.2 or newer is needed")
        try:
            settings = {**await client.config_get("appendonly"), **await client.config_get("appendfsync")}
        except ResponseError:  # managed servers may hide CONFIG
            logger.warning("Redis does not show its configuration: make sure that appendonly is on")
            return False
    confirms = version >= WAITAOF_VERSION
    if settings.get("appendonly") != "yes":
        logger.warning("Redis runs without appendonly: acknowledged forget requests are LOST when it stops")
        return False
    if settings.get("appendfsync") != "always" and not confirms:
        logger.warning("Redis syncs its append-only file once a second: set appendfsync always, or use Redis >= 7.2")
    return confirms
