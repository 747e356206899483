"""Redis goes away again and again while a job runs: the job waits, and neither its work nor an attempt is lost."""

import asyncio
import random
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from benchmarks.chaos.workers import SmallEraser
from gateway.adapter_storage import AdapterStorage
from gateway.forget import connection
from gateway.forget.connection import connect_blocking
from gateway.forget.errors import StoreUnavailable
from gateway.forget.model import State
from gateway.forget.store import Store
from gateway.forget.worker_store import WorkerStore
from gateway.worker import ErasureWorker
from tests.forget.desk import SEALER, Desk, until
from tests.forget.servers import DURABLE, Server
from unlearn_engine.adapter import Adapter
from unlearn_engine.data.knowledge import Knowledge
from unlearn_engine.evaluate.verify import Verification
from unlearn_engine.subject import Subject

AWAY_S = 0.3


class UnluckyEraser(SmallEraser):
    """Something happens whenever it begins to work."""

    def __init__(self, directory: Path, happens: Callable[[], None]) -> None:
        super().__init__(directory, random.Random(0), fails=0.0, steps=3)
        self._happens = happens

    def knowledge(self, subject: Subject) -> Knowledge:
        self._happens()
        return super().knowledge(subject)

    def edit(self, new: Subject, current: Adapter | None, edited: Sequence[Subject] = ()) -> Adapter:
        self._happens()
        return super().edit(new, current, edited)

    def train(self, *arguments: Any) -> Adapter:
        self._happens()
        return super().train(*arguments)

    def verify(self, *arguments: Any) -> Verification:
        self._happens()
        return super().verify(*arguments)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client library itself tries again for as long as a restart takes: these outages are longer for it."""
    monkeypatch.setattr(connection, "_TRIES", 0)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path / "redis", DURABLE) as server:
        yield server


@asynccontextmanager
async def opened(server: Server, patience_s: float) -> AsyncIterator[Desk]:
    worker = WorkerStore(connect_blocking(server.url), SEALER, lease_s=2.0, patience_s=patience_s)
    store = Store.from_url(server.url, SEALER)
    yield Desk(store, worker)
    await store.aclose()
    worker.close()


async def test_outages_cost_no_attempt(server: Server, tmp_path: Path) -> None:
    outages: list[threading.Timer] = []

    def outage() -> None:
        server.kill()
        outages.append(threading.Timer(AWAY_S, server.start))
        outages[-1].start()

    async with opened(server, patience_s=30.0) as desk:
        id_ = await desk.guarded()
        eraser: Any = UnluckyEraser(tmp_path / "adapters", outage)
        (tmp_path / "adapters").mkdir()
        worker = ErasureWorker(desk.worker, eraser, AdapterStorage(tmp_path / "adapters"))
        await asyncio.to_thread(worker.run, id_)
        assert len(outages) == 4, "elicit, edit, train, verify"

        async def is_erased() -> bool:
            await desk.acknowledge()
            return await desk.state(id_) is State.ERASED

        await until(is_erased)
        assert (await desk.store.get(id_)).erasure.attempt == 1


async def test_a_job_does_not_wait_for_ever(server: Server, tmp_path: Path) -> None:
    async with opened(server, patience_s=0.2) as desk:
        id_ = await desk.guarded()
        eraser: Any = UnluckyEraser(tmp_path / "adapters", server.kill)
        worker = ErasureWorker(desk.worker, eraser, AdapterStorage(tmp_path / "adapters"))
        with pytest.raises(StoreUnavailable):
            await asyncio.wait_for(asyncio.to_thread(worker.run, id_), 15)
