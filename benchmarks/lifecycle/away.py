"""A whole gateway with its engine: the time to its guard, and Redis away under chat, with the time compressed."""

import asyncio
import statistics
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from benchmarks.lifecycle.posts import PATH, bodies
from benchmarks.service import Service, running_service
from gateway.forget.embedded import EmbeddedRedis
from unlearn_engine.demo.templates import phrasebooks
from unlearn_engine.demo.world import World, build_world

MAX_STALENESS_S = 2.0  # for the product's 60
AWAY_S = 20.0  # for ten minutes
TALKERS = 4
SUBJECT, OTHER = 3, 20
POLL_S = 0.02


@dataclass
class Chats:
    """What chat got while Redis was away and came back."""

    served: int = 0
    failed: int = 0
    told: int = 0  # answers about the forgotten person that state the fact
    others: list[str] = field(default_factory=list)


def measured(folder: Path, posts: int) -> dict[str, float]:
    """The figures of one gateway."""
    world = build_world()
    settings = folder / "settings.toml"
    settings.write_text(f"max_staleness_s = {MAX_STALENESS_S}\n", "utf-8")
    with ExitStack() as stack:
        server = EmbeddedRedis(folder / "store")
        stack.callback(server.stop)
        server.start()
        options = ("--redis-url", server.url, "--no-worker", "--config", str(settings))
        service = stack.enter_context(running_service(folder / "gateway", *options))
        found = _guarded(service, posts)
        return found | asyncio.run(_away(service, server, EmbeddedRedis(folder / "store"), world))


def _guarded(service: Service, count: int) -> dict[str, float]:
    taken = []
    for _, body in zip(range(count), bodies(seed=4), strict=False):
        began = time.perf_counter()
        request = service.http.post(PATH, json=body).raise_for_status().json()
        while request["state"] == "received":
            request = service.request(request["id"])
        taken.append((time.perf_counter() - began) * 1000)
    return {
        "engine_enforced_ms_p50": statistics.median(taken),
        "engine_enforced_ms_p99": statistics.quantiles(taken, n=100, method="inclusive")[98],
    }


async def _away(service: Service, server: EmbeddedRedis, again: EmbeddedRedis, world: World) -> dict[str, float]:
    subject, other = world.people[SUBJECT], world.people[OTHER]
    question = phrasebooks()["en"].questions["birthplace"][0]
    fact = world.answer(subject, "birthplace", "en").strip(".")
    service.wait_for(service.forget(subject.name, erase="guard_only")["id"], "guarded")
    chats, stop = Chats(), asyncio.Event()
    async with httpx.AsyncClient(base_url=service.url, timeout=60) as client:

        async def ask(name: str, guards: str = "on") -> str:
            messages = [{"role": "user", "content": question.format(name=name)}]
            body = {"model": "demo", "messages": messages, "max_tokens": 24, "temperature": 0}
            headers = {} if guards == "on" else {"X-Unlearn-Guards": guards}
            response = (await client.post("/v1/chat/completions", json=body, headers=headers)).raise_for_status()
            return str(response.json()["choices"][0]["message"]["content"])

        async def talk() -> None:
            while not stop.is_set():
                try:
                    chats.told += fact in await ask(subject.name)
                    chats.others.append(await ask(other.name))
                    chats.served += 2
                except httpx.HTTPError:
                    chats.failed += 1

        async def until_ready(wanted: bool) -> float:
            began = time.perf_counter()
            while (await client.get("/ready")).is_success is not wanted:  # noqa: ASYNC110 another process
                await asyncio.sleep(POLL_S)
            return time.perf_counter() - began

        assert fact in await ask(subject.name, guards="base")
        talking = asyncio.gather(*(talk() for _ in range(TALKERS)))
        await asyncio.sleep(1.0)
        await asyncio.to_thread(server.stop)
        gone = time.perf_counter()
        not_ready_after_s = await until_ready(False)
        refused = (await client.post(PATH, json=next(bodies(seed=5)))).status_code
        await asyncio.sleep(AWAY_S - (time.perf_counter() - gone))
        ready_while_away = (await client.get("/ready")).is_success
        await asyncio.to_thread(again.start)
        try:
            catch_up_s = await until_ready(True)
            posted = time.perf_counter()
            request = (await client.post(PATH, json=next(bodies(seed=6)))).raise_for_status().json()
            while request["state"] == "received":
                request = (await client.get(f"{PATH}/{request['id']}")).json()
            first_guard_s = time.perf_counter() - posted
            await asyncio.sleep(0.5)
            stop.set()
            await talking
        finally:
            await asyncio.to_thread(again.stop)
    return {
        "redis_away_s": AWAY_S,
        "redis_away_max_staleness_s": MAX_STALENESS_S,
        "redis_away_chats": chats.served,
        "redis_away_chat_errors": chats.failed,
        "redis_away_told": chats.told,
        "redis_away_others_changed": len(set(chats.others)) - 1,
        "redis_away_not_ready_after_s": not_ready_after_s,
        "redis_away_ready": float(ready_while_away),
        "redis_away_post_status": refused,
        "catch_up_s": catch_up_s,
        "catch_up_first_guard_s": first_guard_s,
    }
