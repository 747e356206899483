"""What runs in the background goes on after an unforeseen error, is counted, and can be seen to fail."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count, pairwise

import pytest
from prometheus_client import REGISTRY

from gateway import background
from gateway.background import Background
from gateway.forget.replica import Replica
from gateway.forget.store import Acknowledgement, Store
from gateway.guards.policy import Policy
from tests.forget.desk import SEALER, Desk, until


def failures(part: str) -> float:
    return REGISTRY.get_sample_value("unlearn_background_failures_total", {"part": part}) or 0.0


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "FIRST_PAUSE_S", 0.05)
    monkeypatch.setattr(background, "STEADY_S", 0.2)


class Unforeseen(Store):
    """Its answers to a replica cannot be understood for a while."""

    broken = False
    words = "Ivo Marlin"

    async def acknowledge(self, replica_id: str, *arguments: object, **options: object) -> Acknowledgement:
        if self.broken:
            raise KeyError(self.words)
        return await super().acknowledge(replica_id, *arguments, **options)


@asynccontextmanager
async def following(store: Store) -> AsyncIterator[tuple[Replica, Background, list[Policy]]]:
    policies: list[Policy] = []

    async def apply(policy: Policy) -> None:
        policies.append(policy)

    replica = Replica(store, apply, "r1")
    async with Background() as running:
        running.start("policy", replica.run)
        await until(lambda: replica.ready)
        yield replica, running, policies


async def test_a_replica_whose_heartbeat_fails_is_not_ready_and_follows_again(
    desk: Desk, redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    before = failures("policy")
    store = Unforeseen.from_url(redis_url, SEALER)
    async with following(store) as (replica, running, policies):
        store.broken = True
        await until(lambda: failures("policy") > before)
        assert not replica.ready, "it has left: nobody waits for what it enforces"
        assert running.failing == ["policy"]
        store.broken = False
        id_ = await desk.submit("Ivo Marlin")
        await until(lambda: replica.ready and id_ in policies[-1].targets)
        await until(lambda: not running.failing)
    assert "KeyError" in caplog.text and "acknowledge" in caplog.text and "Marlin" not in caplog.text
    await store.aclose()


async def test_pauses_grow_and_a_part_that_is_done_is_not_started_again(caplog: pytest.LogCaptureFixture) -> None:
    began: list[float] = []
    loop = asyncio.get_running_loop()

    async def done_at_the_fourth_try() -> None:
        began.append(loop.time())
        if len(began) < 4:
            raise ExceptionGroup("several", [ValueError(Unforeseen.words)])

    with caplog.at_level(logging.ERROR):
        async with Background() as running:
            running.start("one", done_at_the_fourth_try)
            await until(lambda: len(began) == 4)
            await asyncio.sleep(0.3)
            assert len(began) == 4 and not running.failing
    pauses = [later - earlier for earlier, later in pairwise(began)]
    assert all(pause >= 0.05 * 2**number for number, pause in zip(count(), pauses, strict=False))
    assert "ValueError" in caplog.text and "Marlin" not in caplog.text
