"""POSTs of forget requests: how soon three replicas enforce one, and how many a second a gateway takes."""

import asyncio
import random
import statistics
import time
from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.lifecycle.connection import Connection
from benchmarks.plane import Planes
from unlearn_engine.data.names import unseen_name

PATH = "/v1/forget-requests"
CONNECTIONS = 32


def bodies(seed: int) -> Iterator[dict[str, Any]]:
    """Requests with nothing but the name of somebody invented."""
    rng = random.Random(seed)
    while True:
        yield {"subject": {"name": unseen_name(rng)}}


async def enforced(planes: Planes, count: int) -> dict[str, float]:
    """Milliseconds from sending a POST to an answer that says that all live replicas enforce it; one after the other.

    The replicas are asked in turn. Where the first answer does not say it yet, the request is read until it does.
    """
    connections = [await Connection.open(replica.url, planes.token) for replica in planes.replicas]
    taken, live = [], len(connections)
    for number, body in zip(range(count), bodies(seed=1), strict=False):
        connection = connections[number % live]
        began = time.perf_counter()
        status, request = await connection.ask("POST", PATH, body)
        assert status == 201, request
        while not _is_enforced(request, live):
            _, request = await connection.ask("GET", f"{PATH}/{request['id']}")
        taken.append((time.perf_counter() - began) * 1000)
    for connection in connections:
        await connection.close()
    return {
        "enforced_ms_p50": statistics.median(taken),
        "enforced_ms_p99": statistics.quantiles(taken, n=100, method="inclusive")[98],
        "enforced_ms_max": max(taken),
        "enforced_requests": count,
        "enforced_replicas": live,
    }


async def throughput(planes: Planes, count: int) -> dict[str, float]:
    """Durable POSTs a second of the first replica over connections side by side; each answer waits for the guard."""
    todo = iter([next(made) for made in [bodies(seed=2)] for _ in range(count)])
    states: list[str] = []

    async def send(connection: Connection) -> None:
        for body in todo:
            status, request = await connection.ask("POST", PATH, body)
            assert status == 201, request
            states.append(request["state"])
        await connection.close()

    connections = [await Connection.open(planes.replicas[0].url, planes.token) for _ in range(CONNECTIONS)]
    began = time.perf_counter()
    await asyncio.gather(*map(send, connections))
    seconds = time.perf_counter() - began
    return {
        "posts_per_s": count / seconds,
        "posts": count,
        "posts_guarded_share": states.count("guarded") / count,
    }


def _is_enforced(request: Mapping[str, Any], live: int) -> bool:
    protection: Mapping[str, Any] = request["protection"]
    return bool(request["state"] != "received" and protection["replicas"] == {"live": live, "applied": live})
