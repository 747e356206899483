"""What a gateway does in the background for as long as it runs."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

from gateway import metrics
from gateway.actor import acting
from gateway.forget.errors import StoreUnavailable
from gateway.forget.jobs import RECONCILE_EVERY_S, Jobs
from gateway.forget.model import State
from gateway.forget.outbox import Outbox
from gateway.forget.replica import Replica
from gateway.forget.store import Store
from gateway.security.key_store import KeyStore

logger = logging.getLogger(__name__)

PURGE_EVERY_S = 60.0
NOTE_USE_EVERY_S = 60.0


@contextlib.asynccontextmanager
async def background_tasks() -> AsyncIterator[Callable[[Awaitable[None]], None]]:
    """Starts tasks that are cancelled, and waited for, at the end; one that fails is told in the log."""
    tasks: set[asyncio.Future[None]] = set()

    def start(work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        tasks.add(task)
        task.add_done_callback(_report)

    try:
        yield start
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _report(task: "asyncio.Future[None]") -> None:
    if not task.cancelled() and (error := task.exception()):
        logger.error("a background task ended: %s", type(error).__name__)


async def show_metrics(replica: Replica, store: Store, jobs: Jobs, outbox: Outbox) -> None:
    """What /metrics tells of policy, requests, jobs and callbacks is renewed now and then."""
    while True:
        metrics.policy_version.set(replica.version)
        metrics.store_up.set(replica.store_up)
        metrics.ready.set(replica.ready)
        metrics.orphans.set(replica.orphans)
        with contextlib.suppress(StoreUnavailable):
            metrics.show_requests(await store.counts())
            metrics.show_jobs(await asyncio.to_thread(jobs.counts))
            metrics.show_callbacks(*(await outbox.dead(1))[:2])
            erased, _ = await store.page(state=State.ERASED, limit=200)
            metrics.show_verifications(request.verification for request in erased if request.verification)
        await asyncio.sleep(metrics.REFRESH_S)


async def note_use(keys: KeyStore, used: dict[str, float]) -> None:
    """Says now and then which API keys were used."""
    while True:
        await asyncio.sleep(NOTE_USE_EVERY_S)
        latest = dict(used)
        with contextlib.suppress(StoreUnavailable):
            if latest:
                await keys.used(latest)
            for id_, at in latest.items():
                if used[id_] == at:
                    del used[id_]


async def reconcile(jobs: Jobs) -> None:
    """A request whose job was lost gets another."""
    while True:
        with contextlib.suppress(StoreUnavailable):
            await asyncio.to_thread(jobs.reconcile)
        await asyncio.sleep(RECONCILE_EVERY_S)


async def purge(store: Store, kept_s: float) -> None:
    """What was given for erasures that are over is deleted in time."""
    while True:
        with contextlib.suppress(StoreUnavailable), acting("retention"):
            await store.purge(kept_s)
        await asyncio.sleep(PURGE_EVERY_S)
