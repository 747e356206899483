"""Every part that uses Redis works behind a Sentinel and on a Cluster, and goes on after a failover."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from rq.serializers import JSONSerializer

from gateway.forget import jobs as jobs_module
from gateway.forget.audit_log import AuditLog
from gateway.forget.errors import StoreUnavailable
from gateway.forget.jobs import QUEUE, Jobs
from gateway.forget.model import ForgetRequestIn, State
from gateway.forget.queue_connection import connect_queue
from gateway.forget.replica import Replica
from gateway.forget.reseal import Resealing
from gateway.forget.store import Store
from gateway.forget.worker_store import WorkerStore
from gateway.guards.policy import Policy
from gateway.security.forms import NewKey, make
from gateway.security.key_store import KeyStore
from gateway.security.keys import Scope
from gateway.security.rates import Rate
from gateway.verify_audit import check
from gateway.worker_loop import _Worker
from tests.forget.desk import SEALER, Desk, composite, until
from tests.forget.servers import Topology, behind_sentinel, cluster

FAILOVER_S = 60.0
ran: list[tuple[str, str]] = []


def run(kind: str, request_id: str) -> None:
    """Stands in for the erasure: notes that it was called."""
    ran.append((kind, request_id))


@pytest.fixture(scope="module", params=[behind_sentinel, cluster], ids=["sentinel", "cluster"])
def topology(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Topology]:
    start: Callable[[Path], AbstractContextManager[Topology]] = request.param
    with start(tmp_path_factory.mktemp("redis")) as topology:
        yield topology


async def try_until_stored(store: Store, name: str) -> str:
    """As a client does: again and again, with the same Idempotency-Key."""
    async with asyncio.timeout(FAILOVER_S):
        while True:
            try:
                return await store.submit(ForgetRequestIn(subject={"name": name}), idempotency_key=name)
            except StoreUnavailable:
                await asyncio.sleep(0.05)


async def test_what_is_acknowledged_has_so_many_copies(topology: Topology) -> None:
    """Before the failover below."""
    copied, alone = Store.from_url(f"{topology.url}?copies=1", SEALER), Store.from_url(topology.url, SEALER)
    marlin = ForgetRequestIn(subject={"name": "Ivo Marlin"})
    await copied.submit(marlin)
    with topology.replica.hung():
        await alone.submit(marlin)
        with pytest.raises(StoreUnavailable, match="replicas"):
            await copied.submit(marlin, idempotency_key="one")
        with pytest.raises(StoreUnavailable, match="replicas"):
            await copied.submit(marlin, idempotency_key="one")
    await copied.submit(marlin, idempotency_key="one")
    assert len((await alone.page())[0]) == 3
    await alone._client.flushall()
    for store in (copied, alone):
        await store.aclose()
    with topology.replica.client() as client:
        assert client.info("replication")["role"] == "slave"


async def test_everything_works_and_goes_on_after_a_failover(
    topology: Topology, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs_module, "FUNCTION", f"{__name__}.run")
    ran.clear()
    url = topology.url
    store, keys, log = Store.from_url(url, SEALER), KeyStore.from_url(url), AuditLog.from_url(url)
    worker, jobs = WorkerStore.from_url(url, SEALER), Jobs.from_url(url, SEALER)
    desk = Desk(store, worker)
    policies: list[Policy] = []

    async def apply(policy: Policy) -> None:
        policies.append(policy)

    async def erase(id_: str) -> None:
        """Through the queue, an RQ worker, and the leases."""
        await until(lambda: is_in(id_, State.GUARDED))
        await asyncio.to_thread(jobs.reconcile)
        connection = connect_queue(url, timeout_s=None)
        _Worker([QUEUE], connection=connection, serializer=JSONSerializer, worker_ttl=20).work(burst=True)
        connection.close()
        assert ("erase", id_) in ran
        attempt = worker.begin(id_)
        earlier = worker.snapshot().composite
        together = {id_, *(earlier.requests if earlier else ())}
        worker.publish_composite(attempt, composite(*together, verified=together))
        await until(lambda: is_in(id_, State.ERASED))

    async def is_in(id_: str, state: State) -> bool:
        return await desk.state(id_) is state

    replica = Replica(store, apply, "r1")
    following = asyncio.create_task(replica.run())
    try:
        await store.check()
        first = await try_until_stored(store, "Ivo Marlin")
        await erase(first)
        assert {event.kind for event in await store.events(first)} == {"transition"}
        made = await make(keys, NewKey(name="web shop", scopes={Scope.CHAT}))
        assert made and [listed.key.id for listed in await keys.keys()] == [made.id]
        assert (
            await keys.throttle(made.id, Rate(1, "minute")) == 0.0
            and await keys.throttle(made.id, Rate(1, "minute")) > 0
        )

        topology.kill_primary()
        second = await try_until_stored(store, "Ada Quist")
        await until(lambda: set(policies[-1].targets) == {first, second})
        assert not replica.orphans and await is_in(first, State.ERASED)
        await erase(second)
        assert (await log.standing(first)).head.sequence > 0
        resealing = Resealing.from_url(url, SEALER)
        await resealing.run()
        await resealing.aclose()
        page = await log.page()
        assert check(page.entries).problem is None and not page.more
        await until(lambda: replica.ready)
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        for opened in (store, keys, log):
            await opened.aclose()
        worker.close()
        jobs.close()
