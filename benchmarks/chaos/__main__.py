"""`python -m benchmarks.chaos --kills N --requests M --seed S --json FILE`: the randomised fault run."""

import argparse
import asyncio
import json
import random
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import redis

from benchmarks.chaos.clients import Clients
from benchmarks.chaos.scene import Scene
from benchmarks.chaos.verdict import Verdict, judge, settle
from benchmarks.chaos.workers import BASE
from gateway.forget.scripts import ROOT
from unlearn_engine import adapter as adapters
from unlearn_engine.errors import EraseError

CONCURRENCY = 12
KILLING_S = 300.0  # over which the kills are spread, at most
PER_KILL_S = 1.2
LAST_KILL_S, SETTLED_S = 420.0, 540.0  # after the start: a slow machine gets fewer kills, not more than ten minutes
SWEPT_WITHIN_S = 30.0


async def run(kills: int, requests: int, seed: int, replicas: int, folder: Path) -> dict[str, Any]:
    """The whole run; what it found, in counts and in words."""
    rng = random.Random(f"kills of {seed}")
    scene = Scene(folder, replicas, seed)
    started = time.monotonic()
    headers = {"Authorization": f"Bearer {scene.planes.token}"}
    async with httpx.AsyncClient(headers=headers, timeout=15) as http, scene.running():
        clients = Clients(
            http, lambda: [replica.url for replica in scene.replicas.values()], random.Random(f"clients of {seed}")
        )
        watching = asyncio.create_task(clients.watch())
        pause_s = min(PER_KILL_S, KILLING_S / kills)
        living = asyncio.gather(*_lives(clients, requests, kills * pause_s))
        while scene.kills.total() < kills and time.monotonic() < started + LAST_KILL_S:
            await asyncio.sleep(rng.uniform(0, 2 * pause_s))
            scene.kill_one(rng)
        killed_s = time.monotonic() - started
        await living
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        restless = await settle(clients, started + SETTLED_S)
        settled_s = time.monotonic() - started
        await asyncio.to_thread(scene.planes.wait_until_ready, *scene.replicas.values())
        urls = [replica.url for replica in scene.replicas.values()]
        verdict = await judge(clients, urls, restless, await _audit(clients))
        verdict.orphans += await asyncio.to_thread(_orphan_adapters, scene)
    verdict.orphans += await asyncio.to_thread(scene.left_over)
    return {
        **_counts(verdict),
        "kills": scene.kills.total(),
        "requests": sum(bool(asked.ids) for asked in clients.asked),
        "replicas": replicas,
        "seed": seed,
        "killed": dict(scene.kills),
        "withdrawn": sum(asked.withdrawn for asked in clients.asked),
        "guard_checks_during_kills": clients.guard_checks,
        "tries": clients.tries,
        "refused": dict(clients.refusals.most_common()),
        "seconds": {"until_last_kill": round(killed_s, 1), "until_settled": round(settled_s, 1)},
        "findings": {name: found for name, found in vars(verdict).items() if found},
    }


def _lives(clients: Clients, requests: int, over_s: float) -> list[Any]:
    gate = asyncio.Semaphore(CONCURRENCY)

    async def later(number: int) -> None:
        await asyncio.sleep(over_s * number / requests)
        async with gate:
            await clients.live(number)

    return [later(number) for number in range(requests)]


async def _audit(clients: Clients) -> list[str]:
    lines: list[str] = []
    path = "/v1/audit?after=0"
    while path:
        response = (await clients.answered("GET", path)).raise_for_status()
        lines += response.text.splitlines()
        path = response.links.get("next", {}).get("url", "")
    return lines


def _orphan_adapters(scene: Scene) -> list[str]:
    """Folders that nothing in the store refers to, and adapters that it refers to and that are not whole.

    Workers without a job look for them at least every 15 seconds.
    """
    deadline = time.monotonic() + SWEPT_WITHIN_S
    with redis.Redis.from_url(scene.redis.url, decode_responses=True, protocol=2) as store:
        wanted = {
            dict(zip(fields[::2], fields[1::2], strict=True))["digest"]
            for fields in map(json.loads, store.hvals(f"{ROOT}:composites"))
        }
        if live := store.hget(f"{ROOT}:composite", "digest"):
            wanted.add(live)
    while (orphans := {folder.name for folder in scene.adapters.iterdir()} - wanted) and time.monotonic() < deadline:
        time.sleep(0.1)
    found = [f"nothing refers to adapter folder {name}" for name in orphans]
    for digest in wanted:
        try:
            adapters.parts(adapters.load(scene.adapters / digest), BASE)
        except EraseError as error:
            found.append(str(error))
    return found


def _counts(verdict: Verdict) -> dict[str, int]:
    return {name: len(found) for name, found in vars(verdict).items()}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--replicas", type=int, default=3)
    parser.add_argument("--json", type=Path, help="where the result is written")
    parser.add_argument("--folder", type=Path, help="for data and logs; default: one that is deleted at the end")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # and stop everything on the way out
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        result = asyncio.run(run(options.kills, options.requests, options.seed, options.replicas, folder.resolve()))
    text = json.dumps(result, indent=1)
    print(text)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(text + "\n")
    raise SystemExit(any(result[name] for name in vars(Verdict())))


if __name__ == "__main__":
    main()
