"""What a store that hangs, is slow, is full, or is cut off does to requests and replicas."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from gateway.forget import connection
from gateway.forget.errors import StoreUnavailable
from gateway.forget.jobs import Jobs
from gateway.forget.model import ForgetRequestIn, State
from gateway.forget.problems import RETRY_AFTER_S
from gateway.forget.replica import Replica
from gateway.forget.routes import router
from gateway.forget.store import Store
from gateway.guards.policy import Policy
from tests.forget.desk import SEALER, until
from tests.forget.proxy import Proxy
from tests.forget.servers import DURABLE, Server

PATH = "/v1/forget-requests"
MARLIN = ForgetRequestIn(subject={"name": "Ivo Marlin"})
QUIST = ForgetRequestIn(subject={"name": "Ada Quist"})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("redis"), DURABLE) as server:
        yield server


@pytest.fixture(autouse=True)
def emptied(server: Server) -> None:
    with server.client() as client:
        client.flushall()


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Store]:
    store = Store.from_url(url, SEALER)
    try:
        yield store
    finally:
        await store.aclose()


@asynccontextmanager
async def following(store: Store, name: str, **options: float) -> AsyncIterator[tuple[Replica, list[Policy]]]:
    policies: list[Policy] = []

    async def apply(policy: Policy) -> None:
        policies.append(policy)

    replica = Replica(store, apply, name, **options)
    task = asyncio.create_task(replica.run())
    try:
        await until(lambda: replica.ready)
        yield replica, policies
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def client_of(store: Store) -> AsyncIterator[httpx.AsyncClient]:
    async def enqueue(kind: str, request_id: str) -> None:
        """No workers here."""

    app = FastAPI()
    app.include_router(router(store, enqueue=enqueue, first_wait_s=0.01))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as http:
        yield http


def is_refused(response: httpx.Response) -> bool:
    return (
        response.status_code == 503
        and response.json()["code"] == "store_unavailable"
        and response.headers["Retry-After"] == str(RETRY_AFTER_S)
    )


async def test_hung(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests are refused, few of them ask at all; the guard stays on; all goes on when it answers again."""
    body = {"subject": {"name": "Ada Quist"}}
    async with (
        Proxy(server.port) as proxy,
        opened(proxy.url) as own,
        opened(server.url) as store,
        following(store, "r1", max_staleness_s=0.5) as (replica, policies),
        client_of(own) as http,
    ):
        known = await store.submit(MARLIN)
        await until(lambda: known in policies[-1].targets)
        assert (await http.get(f"{PATH}/{known}")).is_success
        monkeypatch.setattr(connection, "TIMEOUT_S", 0.1)
        with server.hung():
            answers = await asyncio.gather(*(http.post(PATH, json=body) for _ in range(20)))
            assert all(map(is_refused, answers)) and own._breaker.open
            taken = proxy.taken
            assert all([is_refused(await http.post(PATH, json=body)) for _ in range(200)])
            assert proxy.taken < taken + 30_000, (
                "as much as forty would write: nobody waits for a store that does not answer"
            )
            await until(lambda: not replica.ready)
            assert known in policies[-1].targets
        monkeypatch.undo()
        await until(lambda: replica.ready)
        async with asyncio.timeout(15):
            while not (answer := await http.post(PATH, json=body)).is_success:
                assert is_refused(answer)
        await until(lambda: len(policies[-1].targets) >= 2)


async def test_an_answer_that_is_lost_makes_no_second_request(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The gateway, or the line to it, ends between the write and the answer."""
    async with Proxy(server.port) as proxy, opened(proxy.url) as store:
        await store.check()
        monkeypatch.setattr(connection, "TIMEOUT_S", 0.1)
        proxy.mute = True
        with pytest.raises(StoreUnavailable):
            await store.submit(MARLIN, idempotency_key="one")
        proxy.mute = False
        proxy.cut()
        proxy.mend()
        monkeypatch.undo()
        id_ = await store.submit(MARLIN, idempotency_key="one")
        assert [request.id for request in (await store.page())[0]] == [id_], "it was stored, once"


async def test_slow(server: Server) -> None:
    async with (
        Proxy(server.port, delay_s=0.1) as proxy,
        opened(proxy.url) as store,
        client_of(store) as http,
        following(store, "r1") as (_, policies),
    ):
        answers = await asyncio.gather(
            *(http.post(PATH, json={"subject": {"name": f"Ivo Marlin{letter}"}}) for letter in "abcdefgh")
        )
        assert {answer.status_code for answer in answers} == {201}
        await until(lambda: len(policies[-1].targets) == 8)


async def test_full(server: Server) -> None:
    """What is stored can be read and stays enforced; nothing new is taken, not even in part."""
    async with (
        opened(server.url) as store,
        client_of(store) as http,
        following(store, "r1", max_staleness_s=60) as (_, policies),
    ):
        known = await store.submit(MARLIN)
        await until(lambda: known in policies[-1].targets)
        with server.client() as client:
            client.config_set("maxmemory", 1)
            try:
                refused = await http.post(
                    PATH, json={"subject": {"name": "Ada Quist"}}, headers={"Idempotency-Key": "one"}
                )
                assert is_refused(refused)
                assert (await http.get(f"{PATH}/{known}")).json()["state"] in (State.RECEIVED, State.GUARDED)
            finally:
                client.config_set("maxmemory", 0)
        taken = await http.post(PATH, json={"subject": {"name": "Ada Quist"}}, headers={"Idempotency-Key": "one"})
        assert taken.status_code == 201
        await until(lambda: set(policies[-1].targets) == {known, taken.json()["id"]})


async def test_one_replica_is_cut_off(server: Server) -> None:
    """It goes on guarding what it knows, and is not ready; the others wait for it only as long as its lease."""
    async with (
        Proxy(server.port) as proxy,
        opened(proxy.url) as far,
        opened(server.url) as near,
        following(near, "near", max_staleness_s=1.0) as (_, at_near),
        following(far, "far", max_staleness_s=1.0) as (cut_off, at_far),
    ):
        first = await near.submit(MARLIN)
        await until(lambda: first in at_far[-1].targets)
        proxy.cut()
        second = await near.submit(QUIST)
        await until(lambda: second in at_near[-1].targets)
        assert (await near.get(second)).state is State.RECEIVED, "the other may be serving still"
        await near.wait_until_guarded(second, 10)
        assert (await near.get(second)).state is State.GUARDED
        assert not cut_off.ready, "by then the other must not serve any more"
        assert set(at_far[-1].targets) == {first}
        proxy.mend()
        await until(lambda: cut_off.ready)
        assert set(at_far[-1].targets) == {first, second}


async def test_jobs_do_not_wait_for_ever(tmp_path: Path) -> None:
    """They are queued in threads, of which there are few: the replica compiles its policies in the same ones."""
    with Server(tmp_path) as server:
        jobs = Jobs.from_url(server.url, SEALER)
        jobs.counts()
        with server.hung(), pytest.raises(StoreUnavailable):
            await asyncio.wait_for(asyncio.to_thread(jobs.enqueue, "erase", "0"), 30)
        jobs.close()
