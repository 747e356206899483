"""How soon the guard knows other names and facts that the gateway asks its own model for, and what chat pays for it."""

import asyncio
import itertools
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from benchmarks.guards.benign import common_words
from benchmarks.guards.traffic import first_token_ms
from benchmarks.service import Service, running_service
from benchmarks.serving_overhead import Variant
from unlearn_engine.demo.world import World, build_world

ALONE = 5
AT_ONCE = 100
POLL_S = 0.02
STREAMS = 8
FIRST_TOKENS = 400

Tell = Callable[[str, float], None]


def measure(tell: Tell, alone: int = ALONE, at_once: int = AT_ONCE, first_tokens: int = FIRST_TOKENS) -> dict[str, Any]:
    """Seconds from the POST to guarded other names and facts; first tokens and answers a second meanwhile and after.

    Nobody else asks the model: there is no worker. A stranger among the subjects is asked about and nothing is heard.
    """
    world = build_world()
    with tempfile.TemporaryDirectory() as folder, running_service(Path(folder), "--no-worker") as service:
        singles = []
        for position, person in enumerate(world.people[:alone]):
            tell("one request", 0.1 * position / alone)
            singles.append(asyncio.run(_heard(service, [person.name], 1)))
        tell("many at once", 0.1)
        names, known = _crowd(world, alone, at_once)
        heard, meanwhile = asyncio.run(_with_traffic(service, names, known, first_tokens))
        tell("afterwards", 0.9)
        afterwards = asyncio.run(_traffic(service, first_tokens))
    return {
        "interviews_alone": {what: statistics.median(one[what][0] for one in singles) for what in ("names", "facts")},
        "interviews_alone_worst": {what: max(one[what][0] for one in singles) for what in ("names", "facts")},
        "interviews_at_once": at_once,
        "interviews_crowd": {
            what: {"p50": statistics.median(seconds), "last": max(seconds)} for what, seconds in heard.items()
        },
        "interviews_traffic": {"meanwhile": meanwhile, "afterwards": afterwards},
    }


def _crowd(world: World, first: int, count: int) -> tuple[list[str], int]:
    """People of the demonstration with strangers among them, and how many of them are known."""
    known = [person.name for person in world.people[first:]][: count * 4 // 5]
    rng = random.Random(4)
    strangers = [world.unseen_name(rng) for _ in range(count - len(known))]
    return rng.sample([*known, *strangers], count), len(known)


async def _heard(service: Service, names: Sequence[str], known: int) -> dict[str, list[float]]:
    """Post all, then watch the version: other names of all come first, each a version of its own, then facts."""
    async with httpx.AsyncClient(base_url=service.url, timeout=120) as client:

        async def version() -> int:
            return int((await client.get("/v1/policy")).raise_for_status().json()["version"])

        before, began = await version() + len(names), time.monotonic()
        posted = [
            client.post("/v1/forget-requests", json={"subject": {"name": name}, "erase": "guard_only"})
            for name in names
        ]
        for response in await asyncio.gather(*posted):
            response.raise_for_status()
        seconds: list[float] = []
        while len(seconds) < 2 * known:
            await asyncio.sleep(POLL_S)
            new = await version() - before - len(seconds)
            seconds += [time.monotonic() - began] * new
        return {"names": seconds[:known], "facts": seconds[known:]}


async def _with_traffic(
    service: Service, names: Sequence[str], known: int, first_tokens: int
) -> tuple[dict[str, list[float]], dict[str, float]]:
    hearing = asyncio.create_task(_heard(service, names, known))
    traffic = await _traffic(service, first_tokens)
    if hearing.done():
        raise RuntimeError("everything was asked before the traffic was measured: ask for fewer first tokens")
    return await hearing, traffic


async def _traffic(service: Service, first_tokens: int) -> dict[str, float]:
    """Milliseconds to the first token, of requests one at a time and of several in one instant."""
    variant = Variant(urlsplit(service.url).port or 0)
    questions = itertools.cycle(prompt.text for prompt in common_words())
    await first_token_ms(variant, next(questions))
    alone = [await first_token_ms(variant, next(questions)) for _ in range(first_tokens)]
    together = [
        taken
        for _ in range(first_tokens // STREAMS)
        for taken in await asyncio.gather(*(first_token_ms(variant, next(questions)) for _ in range(STREAMS)))
    ]
    found: dict[str, float] = {}
    for how, times in (("alone", alone), ("together", together)):
        cuts = statistics.quantiles(times, n=100, method="inclusive")
        found |= {f"{how}_p50": cuts[49], f"{how}_p99": cuts[98]}
    return found
