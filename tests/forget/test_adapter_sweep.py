"""Adapter folders that nobody needs are deleted, and no others."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from gateway.adapter_sweep import sweep
from gateway.forget.worker_store import WorkerStore
from tests.forget.desk import SEALER, Desk, composite


def folder(directory: Path, name: str, age_s: float = 1000.0) -> Path:
    made = directory / name
    made.mkdir()
    (made / "manifest.json").write_text("{}")
    then = made.stat().st_mtime - age_s
    os.utime(made, (then, then))
    return made


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


async def test_what_is_or_may_come_to_be_live_stays(desk: Desk, tmp_path: Path, raw: redis.Redis) -> None:
    first, second = await desk.guarded("Ivo Marlin"), await desk.guarded("Ada Quist")
    digests = {who: who * 64 for who in "abcdef"}
    for name in (*digests.values(), ".partial-x1", ".swept-x2"):
        folder(tmp_path, name)
    folder(tmp_path, "0" * 64, age_s=5.0)
    folder(tmp_path, "cache")
    attempt = desk.worker.begin(first)
    desk.worker.publish_composite(attempt, composite(first, verified=[first], name=digests["a"]))
    attempt = desk.worker.begin(second)
    both = composite(first, second, verified=[first], stage="edit", name=digests["b"])
    desk.worker.publish_composite(attempt, both)
    await desk.acknowledge("r1", adapter=digests["d"])  # still on another one

    assert sweep(tmp_path, desk.worker) == 0, "a worker is at it: what it wrote is not published yet"
    desk.worker.publish_composite(attempt, composite(first, second, verified=[first, second], name=digests["c"]))
    assert sweep(tmp_path, desk.worker) == 5
    assert names(tmp_path) == {"cache", "0" * 64, *(digests[who] for who in "acd")}


async def test_what_is_needed_after_all_is_put_back(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, redis_url: str
) -> None:
    """An erasure begins, and comes to the same adapter, while the folders are looked at."""
    id_ = await desk.guarded()
    kept, ask = folder(tmp_path, "a" * 64), desk.worker.adapters_in_use
    answers: list[Callable[[], object]] = [ask, lambda: (WorkerStore.from_url(redis_url, SEALER).begin(id_), ask())[1]]
    monkeypatch.setattr(desk.worker, "adapters_in_use", lambda: answers.pop(0)())
    assert sweep(tmp_path, desk.worker) == 0
    assert names(tmp_path) == {kept.name} and names(kept) == {"manifest.json"}
