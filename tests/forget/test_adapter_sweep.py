"""Adapter folders that nobody needs are deleted, and no others."""

from pathlib import Path

import pytest
import redis

from gateway.adapter_sweep import KEEP_S, Sweep
from tests.forget.desk import Desk, composite


def folder(directory: Path, name: str) -> Path:
    made = directory / name
    made.mkdir()
    (made / "manifest.json").write_text("{}")
    return made


class Sweeps:
    """Sweeps by one process, whose clock can be moved on."""

    def __init__(self, directory: Path, desk: Desk) -> None:
        self.now = 0.0
        self._sweep = Sweep(directory, desk.worker, clock=lambda: self.now)

    def later(self, passed_s: float = KEEP_S) -> int:
        """One after so much time; how many folders it deleted."""
        self.now += passed_s
        return self._sweep.run()


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


async def test_what_is_or_may_come_to_be_live_stays(desk: Desk, tmp_path: Path, raw: redis.Redis) -> None:
    first, second = await desk.guarded("Ivo Marlin"), await desk.guarded("Ada Quist")
    digests = {who: who * 64 for who in "abcdef"}
    for name in (*digests.values(), ".partial-x1", f".swept-{'9' * 64}"):
        folder(tmp_path, name)
    folder(tmp_path, "cache")
    sweeps = Sweeps(tmp_path, desk)
    attempt = desk.worker.begin(first)
    desk.worker.publish_composite(attempt, composite(first, verified=[first], name=digests["a"]))
    attempt = desk.worker.begin(second)
    both = composite(first, second, verified=[first], stage="edit", name=digests["b"])
    desk.worker.publish_composite(attempt, both)
    await desk.acknowledge("r1", adapter=digests["d"])  # still on another one

    assert sweeps.later() == 0
    assert sweeps.later() == 0, "a worker is at it: what it wrote is not published yet"
    folder(tmp_path, "0" * 64)
    desk.worker.publish_composite(attempt, composite(first, second, verified=[first, second], name=digests["c"]))
    assert sweeps.later(1.0) == 4
    assert names(tmp_path) == {"cache", "0" * 64, *(digests[who] for who in "abcd")}
    assert sweeps.later(KEEP_S - 2) == 0, "not long enough: streams may still run on what was just replaced"
    assert sweeps.later(2.0) == 2
    assert names(tmp_path) == {"cache", *(digests[who] for who in "acd")}


async def test_what_is_needed_after_all_is_put_back(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An erasure begins, and comes to the same adapter, while the folders are looked at."""
    id_ = await desk.guarded()
    kept, asked, ask = folder(tmp_path, "a" * 64), [], desk.worker.adapters_in_use

    def ask_once_it_is_aside() -> tuple[bool, frozenset[str]]:
        asked.append(names(tmp_path))
        if not kept.exists():
            desk.worker.begin(id_)
        return ask()

    sweeps = Sweeps(tmp_path, desk)
    assert sweeps.later() == 0
    monkeypatch.setattr(desk.worker, "adapters_in_use", ask_once_it_is_aside)
    assert sweeps.later() == 0
    assert names(tmp_path) == {kept.name} and names(kept) == {"manifest.json"}
    assert asked[-1] == {f".swept-{kept.name}"}


async def test_what_a_killed_sweep_has_taken_aside_is_put_back(desk: Desk, tmp_path: Path) -> None:
    id_ = await desk.guarded()
    folder(tmp_path, f".swept-{'a' * 64}")
    folder(tmp_path, f".swept-{'b' * 64}")
    desk.worker.publish_composite(desk.worker.begin(id_), composite(id_, name="a" * 64))
    sweeps = Sweeps(tmp_path, desk)
    assert (sweeps.later(), sweeps.later()) == (0, 0), "a worker is at it"
    assert names(tmp_path) == {"a" * 64, f".swept-{'b' * 64}"}
