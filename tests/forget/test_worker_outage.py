"""Redis goes away again and again while a job runs: the job waits, and neither its work nor an attempt is lost."""

import asyncio
import os
import random
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, closing
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
from gateway.worker_loop import take_jobs
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


def test_it_ends_when_it_is_told_to_though_it_cannot_take_its_leave(server: Server, tmp_path: Path) -> None:
    """As by `kill -9` of a gateway: its Redis is gone, too, before the worker hears of it."""
    eraser: Any = SmallEraser(tmp_path, random.Random(0), fails=0.0, steps=1)
    signals: list[int] = []

    def tell() -> None:
        signals.append(signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    timers = [threading.Timer(*one) for one in ((1.0, server.kill), (2.0, tell), (30.0, tell))]
    try:
        with closing(WorkerStore(connect_blocking(server.url), SEALER)) as store, pytest.raises(SystemExit) as ended:
            for timer in timers:
                timer.start()
            take_jobs(ErasureWorker(store, eraser, AdapterStorage(tmp_path)), server.url)
    finally:
        for timer in timers:
            timer.cancel()
        for number, handler in before.items():
            signal.signal(number, handler)
    assert ended.value.code == 128 + signal.SIGTERM and len(signals) == 1
