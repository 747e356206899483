"""A worker dies at every step of its work, or its disk is full: the guard stays on, and another one ends the work."""

import itertools
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.chaos.workers import BASE
from gateway.forget.model import TRANSITIONS, State
from gateway.forget.sealer import AesGcmSealer
from gateway.forget.snapshot import NOWHERE
from gateway.forget.store import Store
from gateway.forget.worker_store import WorkerStore
from gateway.security.sealing_keys import GivenKeys, SealingKeys
from tests.children import ask, child, told
from tests.forget.desk import Desk, until
from unlearn_engine import adapter as adapters

KEYS = SealingKeys.generate().dump()
MOST_CALLS = 60  # of the store, in one job
TOO_SMALL = 300  # bytes; an adapter's weights have more


@dataclass
class Workers:
    """The process that forks them."""

    process: "subprocess.Popen[str]"
    directory: Path

    def do(self, *jobs: tuple[str, str], kill: int | None = None, file_bytes: int | None = None) -> int:
        """A worker does jobs; its wait status."""
        return int(ask(self.process, json.dumps({"jobs": jobs, "kill": kill, "file_bytes": file_bytes})))

    def names(self) -> set[str]:
        """What lies among the adapters."""
        return {path.name for path in self.directory.iterdir()}


@pytest.fixture(scope="module")
def workers(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    directory = tmp_path_factory.mktemp("adapters")
    environment = {**os.environ, "UNLEARN_SEALING_KEYS": KEYS, "OMP_NUM_THREADS": "1"}
    with child("-m", "tests.forget.mortal_workers", redis_url, str(directory), environment=environment) as process:
        assert told(process) == "ready"
        yield Workers(process, directory)


@pytest.fixture
def desk(store: Store, worker: WorkerStore) -> Desk:
    sealer = AesGcmSealer(GivenKeys(KEYS))
    return Desk(Store(store._client, sealer), WorkerStore(worker._client, sealer))


async def check(desk: Desk, id_: str) -> None:
    """What holds at every moment."""
    changes = await desk.store.changes(NOWHERE)
    assert id_ in {request.id for request in changes.enforced}, "the guard is on"
    path = [entry.state for entry in (await desk.store.get(id_)).state_history]
    assert all(after in TRANSITIONS[before] for before, after in itertools.pairwise(path))


async def finish(desk: Desk, workers: Workers, *jobs: tuple[str, str]) -> None:
    """Another worker takes over when the dead one's lease has ended."""
    waiting = {id_ for _, id_ in jobs}

    async def is_free() -> bool:
        await desk.acknowledge()
        return waiting.isdisjoint(with_work_left(desk)) or waiting <= {id_ for id_, _ in desk.waiting()}

    await until(is_free)
    assert workers.do(*jobs) == 0
    await desk.acknowledge()


def with_work_left(desk: Desk) -> set[str]:
    """Requests with work left, whether somebody is at them or not."""
    return {str(id_) for id_ in desk.worker._client.smembers("{unlearn}:work")}  # type: ignore[union-attr]


async def withdrawn(desk: Desk, id_: str) -> None:
    """The last one with an adapter goes: nothing is left to rebuild."""
    assert not await desk.store.withdraw(id_)
    await desk.acknowledge()
    assert await desk.state(id_) is State.WITHDRAWN


async def test_killed_at_every_call_of_an_erasure(desk: Desk, workers: Workers) -> None:
    for call in range(1, MOST_CALLS):
        id_ = await desk.guarded()
        killed = workers.do(("erase", id_), kill=call) == signal.SIGKILL
        await check(desk, id_)
        await finish(desk, workers, ("erase", id_))
        assert await desk.state(id_) is State.ERASED
        await check(desk, id_)
        composite = (await desk.store.changes(NOWHERE)).composite
        assert composite and composite.requests == composite.verified == {id_}
        adapters.parts(adapters.load(Path(composite.path)), BASE)
        workers.do()
        assert workers.names() == desk.worker.adapters_in_use()[1], "nothing else is left"
        await withdrawn(desk, id_)
        if not killed:
            break
    assert not killed and call > 8, "there are so many"


async def test_killed_at_every_call_of_a_rebuild(desk: Desk, workers: Workers) -> None:
    for call in range(1, MOST_CALLS):
        stays, goes = await desk.guarded("Ada Quist"), await desk.guarded("Ivo Marlin")
        await finish(desk, workers, ("erase", goes), ("erase", stays))
        assert await desk.store.withdraw(goes)
        killed = workers.do(("rebuild", goes), kill=call) == signal.SIGKILL
        await check(desk, stays)
        await finish(desk, workers, ("rebuild", goes))
        assert (await desk.state(stays), await desk.state(goes)) == (State.ERASED, State.WITHDRAWN)
        composite = (await desk.store.changes(NOWHERE)).composite
        assert composite and composite.requests == {stays}
        await withdrawn(desk, stays)
        if not killed:
            break
    assert not killed and call > 5


async def test_a_full_disk(desk: Desk, workers: Workers) -> None:
    """The operating system refuses to write more than so much of a file, as a full disk or a quota does."""
    id_ = await desk.guarded()
    assert workers.do(("erase", id_), file_bytes=TOO_SMALL) == 0
    request = await desk.store.get(id_)
    assert request.state is State.ERASING and request.erasure.composite_digest is None
    await check(desk, id_)
    assert not any(name.startswith(".partial") for name in workers.names())
    for digest in workers.names():
        adapters.parts(adapters.load(workers.directory / digest), BASE)
    desk.worker._client.hset(f"{{unlearn}}:request:{id_}", "lease", 0)  # the pause before the next attempt is over
    await finish(desk, workers, ("erase", id_))
    assert await desk.state(id_) is State.ERASED


async def test_a_disk_that_stays_full_ends_as_failed(desk: Desk, workers: Workers) -> None:
    id_ = await desk.guarded()
    for _ in range(6):
        assert workers.do(("erase", id_), file_bytes=TOO_SMALL) == 0
        desk.worker._client.hset(f"{{unlearn}}:request:{id_}", "lease", 0)
    request = await desk.store.get(id_)
    assert request.state is State.FAILED and "too often" in request.state_reason
    await check(desk, id_)
    await desk.store.retry(id_)
    await finish(desk, workers, ("erase", id_))
    assert await desk.state(id_) is State.ERASED
