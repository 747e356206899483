"""Ten thousand active requests, each with what a worker learns: start-up, one more, and whether chat feels it.

python -m benchmarks.lifecycle.crowd      # the part that needs a process of its own; settings as the gateway's
"""

import asyncio
import gc
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis.asyncio
import uvloop

from benchmarks.guards.subjects import invented_targets
from benchmarks.plane import HeldPolicy, Planes
from gateway.forget.facts_at_rest import FactsAtRest
from gateway.forget.model import ForgetRequestIn
from gateway.forget.scripts import ROOT
from gateway.forget.sealer import AesGcmSealer
from gateway.forget.snapshot import NOWHERE
from gateway.forget.store import Store
from gateway.guards.policy import Target
from gateway.policy_plane import PolicyPlane, policy_plane
from gateway.serving.environment import freeze_heap
from gateway.settings import load_settings

STARTS = 3
ADDED = 40
PROMPTS = (
    "Where was Ludovica Marensk born, and who taught her?",
    "Write a short poem about the sea in the manner of the romantics, and explain every line of it to a child.",
)
CHAT_EVERY_S = 0.002
SEEDED_AT_ONCE = 64


async def seed(redis_url: str, sealer: AesGcmSealer, count: int) -> None:
    """Stores so many guarded requests with facts. What a worker would have learnt is put into the records directly."""
    store, facts = Store.from_url(redis_url, sealer), FactsAtRest()
    targets = iter(invented_targets(count, seed=3).values())
    client = redis.asyncio.Redis.from_url(redis_url, protocol=2)

    async def submit() -> None:
        for target in targets:
            id_ = await store.submit(
                ForgetRequestIn.model_validate({"subject": {"name": target.names[0]}, "erase": "guard_only"})
            )
            learned = facts.dumps(target.phrases, (), id_, target.attributes)
            await client.hset(f"{ROOT}:request:{id_}", "knowledge", sealer.seal(learned, id_))

    await asyncio.gather(*(submit() for _ in range(SEEDED_AT_ONCE)))
    mark = (await store.changes(NOWHERE)).mark
    while (await store.acknowledge("seed", mark, "")).moved:
        pass
    await store.leave("seed")
    await client.aclose()
    await store.aclose()


def startup(planes: Planes) -> dict[str, float]:
    """Seconds from starting a replica's process to its being ready; the slowest of a few."""
    taken = []
    for _ in range(STARTS):
        began = time.perf_counter()
        replica = planes.start("starting")
        planes.wait_until_ready(replica)
        taken.append(time.perf_counter() - began)
        replica.stop()
    return {"startup_s": max(taken), "startup_s_p50": statistics.median(taken)}


def one_more(planes: Planes) -> dict[str, float]:
    """`measured` in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.lifecycle.crowd"]
    environment = planes.environment("one-more")
    said = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, timeout=300).stdout
    found: dict[str, float] = json.loads(said)
    return found


async def measured() -> dict[str, float]:
    """What one more request costs a gateway that enforces thousands, and how long chat waits for it.

    Compiled and swapped: from the target to the policy that the next prompt is read with, without the store. Chat: a
    prompt falls due every two milliseconds and is examined; what it takes more than usual until its examination is over
    is a stall, while requests are submitted, compiled, enforced and acknowledged.
    """
    held = HeldPolicy()
    async with policy_plane(load_settings(None), held.apply) as plane:
        freeze_heap()
        await plane.start()
        assert held.policy is not None
        compiled = [await _compiled(held, number) for number in range(ADDED)]
        quiet: list[float] = []
        disturbed: list[float] = []
        with _chatting(held, quiet):
            await asyncio.sleep(4.0)
        with _chatting(held, disturbed), _collections() as pauses:
            await _add(plane)
        usual = statistics.median(quiet)
        return {
            "active_requests": len(held.policy.targets) - ADDED,
            "compile_ms": statistics.median(compiled),
            "compile_ms_max": max(compiled),
            "chat_examined_ms_p50": usual,
            "chat_stall_ms_max": max(disturbed) - usual,
            "chat_stall_ms_p99": statistics.quantiles(disturbed, n=100)[98] - usual,
            "chat_stall_undisturbed_ms_max": max(quiet) - usual,
            "collector_pause_ms_max": max(pauses, default=0.0),
        }


async def _compiled(held: HeldPolicy, number: int) -> float:
    """As `Replica` does it; the outcome is thrown away."""
    before = held.policy
    assert before is not None
    target = Target(f"one-more-{number}", (f"Quentin Abravel{'abcdefghij'[number % 10]}",))
    began = time.perf_counter()
    await held.apply(await asyncio.to_thread(before.with_changes, before.version, [target], [], before.adapter))
    taken = time.perf_counter() - began
    held.policy = before
    return taken * 1000


async def _add(plane: PolicyPlane) -> None:
    for number in range(ADDED):
        name = f"Ottoline Verast{'abcdefghij'[number % 10]}{'abcdefghij'[number // 10]}"
        id_ = await plane.store.submit(ForgetRequestIn.model_validate({"subject": {"name": name}}))
        await plane.store.wait_until_guarded(id_, 10)
        await asyncio.sleep(0.05)


@contextmanager
def _chatting(held: HeldPolicy, taken_ms: list[float]) -> Iterator[None]:
    async def chat() -> None:
        number = 0
        while True:
            due = time.perf_counter() + CHAT_EVERY_S
            await asyncio.sleep(CHAT_EVERY_S)
            policy = held.policy
            assert policy is not None
            policy.examine(PROMPTS[number % len(PROMPTS)])
            policy.described(PROMPTS[number % len(PROMPTS)])
            taken_ms.append((time.perf_counter() - due) * 1000)
            number += 1

    chatting = asyncio.create_task(chat())
    try:
        yield
    finally:
        chatting.cancel()


@contextmanager
def _collections() -> Iterator[list[float]]:
    """Milliseconds of every pause of the garbage collector."""
    pauses: list[float] = []
    began = 0.0

    def note(phase: str, _: dict[str, Any]) -> None:
        nonlocal began
        if phase == "start":
            began = time.perf_counter()
        else:
            pauses.append((time.perf_counter() - began) * 1000)

    gc.callbacks.append(note)
    try:
        yield pauses
    finally:
        gc.callbacks.remove(note)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    print(json.dumps(uvloop.run(measured())))
