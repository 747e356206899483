"""The disk under Redis and the adapters is full, and has room again: a small file system of the test's own."""

import asyncio
import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.chaos.workers import BASE, change
from gateway.adapter_storage import AdapterStorage
from gateway.forget import connection
from gateway.forget.embedded import EmbeddedRedis
from gateway.forget.errors import StoreUnavailable
from gateway.forget.model import ForgetRequestIn
from gateway.forget.replica import Replica
from gateway.forget.store import Store
from gateway.guards.policy import Policy
from tests.forget.desk import SEALER, until
from unlearn_engine import adapter as adapters


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    mounted = tmp_path / "disk"
    mounted.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(mounted)]
    if os.geteuid() or not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("file systems cannot be mounted here")
    yield mounted
    subprocess.run(["umount", "-l", str(mounted)], check=True)


def fill(disk: Path) -> Path:
    """Not a byte is left."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (65536, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError as error:
                assert error.errno == errno.ENOSPC
    return filler


async def test_what_was_acknowledged_stays_and_it_goes_on_by_itself(
    disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "TIMEOUT_S", 1.0)
    policies: list[Policy] = []

    async def apply(policy: Policy) -> None:
        policies.append(policy)

    def asked(name: str) -> ForgetRequestIn:
        return ForgetRequestIn(subject={"name": name, "aliases": ["x" * 200]})

    with EmbeddedRedis(disk) as server:
        store = Store.from_url(server.url, SEALER)
        replica = Replica(store, apply, "r1", max_staleness_s=2.0)
        task = asyncio.create_task(replica.run())
        await until(lambda: replica.ready)
        kept = {await store.submit(asked(f"Person {letter}")) for letter in "abc"}
        await until(lambda: set(policies[-1].targets) == kept)

        filler = fill(disk)
        refused = 0
        for letter in "defghijklmnopqrstuvwxyz":
            try:
                kept.add(await store.submit(asked(f"Person {letter}")))
            except StoreUnavailable:
                refused += 1
        assert refused > 3, "the last page of the file has room for a few"
        await until(lambda: not replica.ready)
        assert len(policies[-1].targets) >= 3, "and goes on guarding"

        filler.unlink()
        await until(lambda: replica.ready, 30)
        known = {request.id for request in (await store.page(limit=100))[0]}
        assert kept <= known
        kept.add(await store.submit(asked("Ada Quist")))
        await until(lambda: kept <= set(policies[-1].targets))
        assert replica.orphans == 0
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await store.aclose()


def test_no_part_of_a_fetched_adapter_is_left(disk: Path, tmp_path: Path) -> None:
    """What a replica does; the worker's disk is in `test_worker_faults.py`."""
    made = adapters.export(tmp_path / "made", BASE, change(["one"]), {}, ["one"], ())
    shared = tmp_path / "shared"
    shared.mkdir()
    AdapterStorage(tmp_path / "made", str(shared)).publish(made.digest, made.path)
    filler = fill(disk)
    here = AdapterStorage(disk, str(shared))
    with pytest.raises(OSError, match="No space left"):
        here.fetch(made.digest, "/nowhere")
    assert {path.name for path in disk.iterdir()} == {filler.name}
    filler.unlink()
    assert adapters.load(here.fetch(made.digest, "/nowhere")).digest == made.digest
