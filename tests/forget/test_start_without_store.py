"""Replicas and workers that start before Redis does: they wait, say so, and go on by themselves."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks.plane import START_LIMIT_S, Planes, Replica
from gateway.forget.errors import SealError, StoreRefused
from gateway.forget.scripts import ROOT
from gateway.forget.sealer import PROOF
from gateway.forget.store import Store
from gateway.forget.worker_store import WorkerStore
from gateway.policy_plane import policy_plane
from gateway.security.sealing_keys import SealingKeys
from gateway.settings import Settings
from gateway.worker_loop import work
from tests.children import ask, child
from tests.forget.desk import SEALER
from tests.forget.servers import DURABLE, Server, free_port, until

PATH = "/v1/forget-requests"


@contextmanager
def worker(planes: Planes, adapters: Path) -> Iterator["subprocess.Popen[str]"]:
    """One erasure worker (`benchmarks.chaos.workers`); it ends with the process that made it."""
    arguments = ("-m", "benchmarks.chaos.workers", planes.redis_url, str(adapters), "0")
    with child(*arguments, environment=planes.environment("worker")) as nursery:
        assert ask(nursery, "")
        yield nursery


def readiness(replica: Replica) -> tuple[int, dict[str, Any]] | None:
    try:
        answer = httpx.get(f"{replica.url}/ready", timeout=5)
    except httpx.HTTPError:
        return None
    return answer.status_code, answer.json()


def test_they_listen_wait_and_catch_up(tmp_path: Path) -> None:
    server = Server(tmp_path / "redis", DURABLE, port=free_port())
    planes = Planes(server.url, tmp_path)
    (tmp_path / "adapters").mkdir()
    first = planes.start("one")
    try:
        with worker(planes, tmp_path / "adapters"):
            until(lambda: readiness(first), START_LIMIT_S)
            said = readiness(first)
            assert said and said[0] == 503 and said[1]["reason"] == "store_unavailable" and not said[1]["store_up"]
            with planes.client(first) as http:
                for answer in (http.post(PATH, json={"subject": {"name": "Ivo Marlin"}}), http.get("/v1/policy")):
                    assert answer.status_code == 503 and "Retry-After" in answer.headers
            time.sleep(1.0)
            assert first.process.poll() is None
            with server:
                until(lambda: (readiness(first) or (0,))[0] == 200)
                with planes.client(first) as http:
                    headers = {"Prefer": "wait=10"}
                    made = http.post(PATH, json={"subject": {"name": "Ivo Marlin"}}, headers=headers).json()
                    assert made["state"] in ("guarded", "erasing", "verifying", "erased")
                    until(lambda: http.get(f"{PATH}/{made['id']}").json()["state"] == "erased")
                first.stop()
    finally:
        first.stop()
    assert "Redis is away, it is waited for" in first.log.read_text()


async def test_where_waiting_does_not_help_the_start_ends(tmp_path: Path) -> None:
    with Server(tmp_path / "redis", DURABLE) as server:
        with server.client() as client:
            client.config_set("requirepass", "right")
        address = server.url.removeprefix("redis://")
        for url in (f"redis://{address}", f"redis://:wrong@{address}", f"redis://:right@{address}/99"):
            with pytest.raises(StoreRefused):
                async with policy_plane(_settings(tmp_path, url), _unused):
                    pass
            worker = WorkerStore.from_url(url, SEALER)
            with pytest.raises(StoreRefused):
                worker.check()
            worker.close()
        right = Store.from_url(f"redis://:right@{address}", SEALER)
        await right.check()
        await right.aclose()
        with pytest.raises(SealError, match="same sealing keys"):
            async with policy_plane(_settings(tmp_path, f"redis://:right@{address}"), _unused):
                pass


def test_a_worker_whose_keys_are_others_ends(tmp_path: Path) -> None:
    with Server(tmp_path / "redis", DURABLE) as server:
        with server.client() as client:
            client.set(f"{ROOT}:sealed", SEALER.seal(PROOF, PROOF))
        with pytest.raises(SealError, match="same sealing keys"):
            work(_settings(tmp_path, server.url))


def _settings(folder: Path, url: str) -> Settings:
    return Settings(data_dir=folder / "data", redis_url=url, sealing_keys=SealingKeys.generate().dump())


async def _unused(_: object) -> None:
    raise AssertionError
