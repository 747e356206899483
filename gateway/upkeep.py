"""What a gateway does in the background for as long as it runs."""

import asyncio
import contextlib
import logging

from gateway import metrics
from gateway.actor import acting
from gateway.adapter_storage import AdapterStorage
from gateway.forget.errors import StoreUnavailable
from gateway.forget.jobs import RECONCILE_EVERY_S, Jobs
from gateway.forget.outbox import Outbox
from gateway.forget.replica import Replica
from gateway.forget.store import Store
from gateway.security.key_store import KeyStore

logger = logging.getLogger(__name__)

PURGE_EVERY_S = 60.0
LOOK_EVERY_S = 30.0  # at the storage for adapters
NOTE_USE_EVERY_S = 60.0
MEASURED = 200  # erased requests, the newest, over which measures are averaged


async def show_metrics(replica: Replica, store: Store, jobs: Jobs, outbox: Outbox) -> None:
    """What /metrics tells of policy, requests, jobs and callbacks is renewed now and then."""
    shown = (-1, -1)
    while True:
        metrics.policy_version.set(replica.version)
        metrics.store_up.set(replica.store_up)
        metrics.ready.set(replica.ready)
        metrics.orphans.set(replica.orphans)
        with contextlib.suppress(StoreUnavailable):
            metrics.show_requests(await store.counts())
            metrics.show_jobs(await asyncio.to_thread(jobs.counts))
            metrics.show_callbacks(*(await outbox.dead(1))[:2])
            latest, verifications = await store.verifications(MEASURED, shown)
            if latest != shown:
                metrics.show_verifications(verifications)
                shown = latest
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


async def watch_adapters(storage: AdapterStorage) -> None:
    """What is wrong with the storage for adapters is told when it is noticed, and counted while it lasts."""
    told = None
    while True:
        problem = await asyncio.to_thread(storage.look)
        metrics.adapter_storage_up.set(problem is None)
        if problem != told:
            logger.error(problem or "adapters can be shared again")
            told = problem
        await asyncio.sleep(LOOK_EVERY_S)


async def purge(store: Store, kept_s: float) -> None:
    """What was given for erasures that are over is deleted in time."""
    while True:
        with contextlib.suppress(StoreUnavailable), acting("retention"):
            await store.purge(kept_s)
        await asyncio.sleep(PURGE_EVERY_S)
