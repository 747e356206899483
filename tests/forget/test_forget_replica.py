"""A replica keeps its policy in step with the store, whatever happens to either."""

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import redis

from gateway.forget import connection
from gateway.forget.embedded import EmbeddedRedis
from gateway.forget.errors import StoreUnavailable
from gateway.forget.model import ForgetRequestIn, State
from gateway.forget.replica import Replica
from gateway.forget.scripts import ROOT
from gateway.forget.snapshot import Changes, Mark
from gateway.forget.store import Store
from gateway.guards import names_tables
from gateway.guards.policy import Policy, Target
from tests.forget.desk import SEALER, Desk, composite, until


class Engine:
    """Takes policies as the serving engine does: all of a policy, or none of it."""

    def __init__(self) -> None:
        self.policies: list[Policy] = []
        self.broken_adapters: set[str] = set()
        self.failures = 0

    async def apply(self, policy: Policy) -> None:
        if self.failures:
            self.failures -= 1
            raise RuntimeError(next(iter(policy.targets.values())).names)
        if policy.adapter and policy.adapter.digest in self.broken_adapters:
            raise FileNotFoundError(policy.adapter.path)
        self.policies.append(policy)

    @property
    def targets(self) -> set[str]:
        return set(self.policies[-1].targets) if self.policies else set()

    @property
    def adapter(self) -> str | None:
        adapter = self.policies[-1].adapter if self.policies else None
        return adapter.digest if adapter else None


@asynccontextmanager
async def running(store: Store, engine: Engine, name: str = "r1", **options: object) -> AsyncIterator[Replica]:
    replica = Replica(store, engine.apply, name, **options)
    task = asyncio.create_task(replica.run())
    try:
        yield replica
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def is_in(desk: Desk, id_: str, state: State) -> Callable[[], object]:
    async def check() -> bool:
        return await desk.state(id_) is state

    return check


async def test_it_enforces_what_is_there_and_what_comes(desk: Desk) -> None:
    first = await desk.submit("Ivo Marlin")
    engine = Engine()
    async with running(desk.store, engine) as replica:
        await until(lambda: replica.ready)
        assert engine.targets == {first}
        second = await desk.submit("Ada Quist", response="refuse")
        await desk.store.wait_until_guarded(second, 10)
        assert engine.targets == {first, second}
        assert engine.policies[-1].targets[second].response == "refuse"
        assert (await desk.state(first), await desk.state(second)) == (State.GUARDED, State.GUARDED)
        await desk.store.withdraw(first)
        await until(is_in(desk, first, State.WITHDRAWN))
        assert engine.targets == {second}
        assert [policy.version for policy in engine.policies] == sorted(policy.version for policy in engine.policies)
    assert (await desk.store.policy()).replicas.live == 0, "it signed off"


async def test_targets_have_all_that_guards_need(desk: Desk) -> None:
    subject = {"name": "Ivo Marlin", "aliases": ["Vossi"], "description": "a plumber from Geneva"}
    plain = await desk.submit("Ada Quist")
    full = await desk.store.submit(
        ForgetRequestIn(
            subject=subject,
            exclusions=["Ivo Marlo"],
            response="refuse",
            in_context="allow",
            audiences=["public"],
            erase="guard_only",
        )
    )
    engine = Engine()
    async with running(desk.store, engine) as replica:
        await until(lambda: replica.ready)
        desk.worker.record_knowledge(desk.worker.begin(full), ["plumber", "Geneva"], ["Vosso"])
        await until(lambda: engine.policies[-1].targets[full].phrases)
        targets = engine.policies[-1].targets
        assert targets[plain] == Target(plain, ("Ada Quist",))
        assert targets[full] == Target(
            full,
            ("Ivo Marlin", "Vossi", "Vosso"),
            ("Ivo Marlo",),
            "refuse",
            ("plumber", "Geneva"),
            description="a plumber from Geneva",
            in_context="allow",
            audiences=frozenset({"public"}),
        )


async def test_what_many_additions_leave_is_put_together_and_enforced(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names_tables, "SMALL_TARGETS", 1)
    engine = Engine()
    async with running(desk.store, engine) as replica:
        await until(lambda: replica.ready)
        for number in range(5):
            await desk.store.wait_until_guarded(await desk.submit(f"Ada Quist{'abcde'[number]}"), 10)
        await until(lambda: any(policy.crowded for policy in engine.policies) and not engine.policies[-1].crowded)
        assert len(engine.targets) == 5
        await desk.store.wait_until_guarded(await desk.submit("Ivo Marlin"), 10)
        assert len(engine.policies[-1].examine("Ada Quistc, Ivo Marlin")) == 2


async def test_an_empty_store_is_a_policy_too(desk: Desk) -> None:
    engine = Engine()
    async with running(desk.store, engine) as replica:
        await until(lambda: replica.ready)
        assert engine.targets == set() and replica.version == 0


async def test_the_way_to_erased_and_back(desk: Desk) -> None:
    engine, moved = Engine(), []

    async def on_moved(request_id: str, state: State) -> None:
        moved.append((request_id, state))

    async with running(desk.store, engine, on_moved=on_moved):
        id_ = await desk.submit()
        await until(is_in(desk, id_, State.GUARDED))
        attempt = desk.worker.begin(id_)
        desk.worker.record_knowledge(attempt, ["born in Kest"], ["Mar"])
        desk.worker.publish_composite(attempt, composite(id_, stage="edit", name="edit1"))
        await until(lambda: engine.adapter == "edit1")
        assert engine.policies[-1].targets[id_].names == ("Ivo Marlin", "Mar")
        assert await desk.state(id_) is State.ERASING
        desk.worker.publish_composite(attempt, composite(id_, verified=[id_], name="trained1"))
        await until(is_in(desk, id_, State.ERASED))
        assert engine.adapter == "trained1"
        await desk.store.withdraw(id_)
        await until(is_in(desk, id_, State.WITHDRAWN))
        assert engine.targets == set() and engine.adapter is None
        await until(lambda: len(moved) == 3)
        assert [state for _, state in moved] == [State.GUARDED, State.ERASED, State.WITHDRAWN]


async def test_two_replicas_must_both_enforce(desk: Desk) -> None:
    quick, slow = Engine(), Engine()
    slow.failures = 10**9
    async with running(desk.store, quick, "quick"):
        await until(lambda: quick.policies)
        async with running(desk.store, slow, "slow") as replica:
            slow.failures = 0
            await until(lambda: replica.ready)
            slow.failures = 10**9
            id_ = await desk.submit()
            await until(lambda: quick.targets == {id_})
            await desk.store.wait_until_guarded(id_, 1.5)
            assert await desk.state(id_) is State.RECEIVED, "one of two is not all"
            slow.failures = 0
            await until(is_in(desk, id_, State.GUARDED))
            assert slow.targets == {id_}


async def test_a_failing_engine_is_tried_again_and_its_words_stay_out_of_the_log(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    engine = Engine()
    engine.failures = 3
    id_ = await desk.submit()
    with caplog.at_level(logging.DEBUG):
        async with running(desk.store, engine) as replica:
            await until(is_in(desk, id_, State.GUARDED))
            await until(lambda: replica.ready)
    assert "RuntimeError" in caplog.text
    assert "Marlin" not in caplog.text


async def test_a_broken_adapter_does_not_hold_up_the_guards(desk: Desk) -> None:
    engine = Engine()
    engine.broken_adapters.add("broken")
    async with running(desk.store, engine) as replica:
        first = await desk.submit("Ivo Marlin")
        await until(is_in(desk, first, State.GUARDED))
        attempt = desk.worker.begin(first)
        desk.worker.publish_composite(attempt, composite(first, verified=[first], name="broken"))
        second = await desk.submit("Ada Quist")
        await until(is_in(desk, second, State.GUARDED))
        assert engine.targets == {first, second} and engine.adapter is None
        assert await desk.state(first) is State.VERIFYING, "not erased: nobody serves that adapter"
        await until(lambda: replica.ready)
        engine.broken_adapters.clear()
        await until(is_in(desk, first, State.ERASED))
        assert engine.adapter == "broken"


async def test_a_replica_is_not_ready_before_its_first_adapter_is_live(desk: Desk) -> None:
    id_ = await desk.erased()
    engine = Engine()
    engine.broken_adapters.add(composite(id_).digest)
    async with running(desk.store, engine) as replica:
        await until(lambda: engine.targets == {id_})
        assert not replica.ready
        engine.broken_adapters.clear()
        await until(lambda: replica.ready)


async def test_store_away_keeps_the_policy_until_it_is_stale_and_catches_up(tmp_path: Path) -> None:
    now = [0.0]
    engine = Engine()
    with EmbeddedRedis(tmp_path) as server:
        store = Store.from_url(server.url, SEALER)
        first = await store.submit(ForgetRequestIn(subject={"name": "Ivo Marlin"}))
        replica = Replica(store, engine.apply, "r1", clock=lambda: now[0], max_staleness_s=60)
        task = asyncio.create_task(replica.run())
        await until(lambda: replica.ready)
    now[0] = 59.0
    assert replica.ready and engine.targets == {first}
    now[0] = 61.0
    assert not replica.ready and not replica.store_up
    assert engine.targets == {first}, "still enforced"
    with EmbeddedRedis(tmp_path) as server:
        await until(lambda: replica.ready)
        second = await store.submit(ForgetRequestIn(subject={"name": "Ada Quist"}))
        await until(lambda: engine.targets == {first, second})
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await store.aclose()


class SlowStore(Store):
    """What it says of changes can be held up."""

    def hold(self) -> None:
        self.told = asyncio.Event()

    async def changes(self, since: Mark) -> Changes:
        if told := getattr(self, "told", None):
            await told.wait()
        return await super().changes(since)


async def test_back_in_touch_it_is_ready_when_it_has_asked_what_came_meanwhile(desk: Desk, redis_url: str) -> None:
    """Nobody waited for it then: what the others call guarded may be news to it, though its heartbeats arrive again."""
    now = [0.0]
    store, engine = SlowStore.from_url(redis_url, SEALER), Engine()
    replica = Replica(store, engine.apply, "r1", clock=lambda: now[0], max_staleness_s=60)
    task = asyncio.create_task(replica.run())
    await until(lambda: replica.ready)
    store.hold()
    now[0] = 61.0
    assert not replica.ready
    await store.leave("r1")
    id_ = await desk.submit()
    await until(lambda: replica._acknowledged_at == 61.0)
    assert not replica.ready and replica.unready
    store.told.set()
    await until(lambda: replica.ready)
    assert engine.targets == {id_}
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await store.aclose()


async def test_a_store_that_takes_no_writes_makes_it_stale(tmp_path: Path) -> None:
    """Others stop waiting for a replica that they do not hear of, so it may not call itself ready."""
    now = [0.0]
    engine = Engine()
    with EmbeddedRedis(tmp_path) as server, redis.Redis.from_url(server.url) as client:
        store = Store.from_url(server.url, SEALER)
        replica = Replica(store, engine.apply, "r1", clock=lambda: now[0], max_staleness_s=60)
        task = asyncio.create_task(replica.run())
        await until(lambda: replica.ready)
        client.execute_command("REPLICAOF", "127.0.0.1", "1")
        now[0] = 61.0
        await until(lambda: replica.store_up)
        assert not replica.ready
        with pytest.raises(StoreUnavailable, match=r"(?i)read.?only"):
            await store.submit(ForgetRequestIn(subject={"name": "Ivo Marlin"}))
        client.execute_command("REPLICAOF", "NO", "ONE")
        await until(lambda: replica.ready)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await store.aclose()


async def test_a_hung_store_is_an_absent_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its socket accepts and never answers."""
    with EmbeddedRedis(tmp_path) as server:
        store = Store.from_url(server.url, SEALER)
        await store.check()
        assert server.pid
        os.kill(server.pid, signal.SIGSTOP)
        try:
            monkeypatch.setattr(connection, "TIMEOUT_S", 0.05)
            with pytest.raises(StoreUnavailable):
                await store.submit(ForgetRequestIn(subject={"name": "Ivo Marlin"}))
        finally:
            os.kill(server.pid, signal.SIGCONT)
        monkeypatch.undo()
        await store.submit(ForgetRequestIn(subject={"name": "Ivo Marlin"}))
        await store.aclose()


def forget_last_request(raw: redis.Redis, before: dict[str, bytes]) -> None:
    """Takes Redis back to an older state, as a failover to a lagging copy does."""
    raw.flushall()
    for key, value in before.items():
        raw.restore(key, 0, value)


def dump(raw: redis.Redis) -> dict[str, bytes]:
    return {key: raw.dump(key) for key in raw.scan_iter()}


async def test_an_older_store_drops_nothing(desk: Desk, redis_url: str, caplog: pytest.LogCaptureFixture) -> None:
    binary = redis.Redis.from_url(redis_url, protocol=2)
    engine = Engine()
    async with running(desk.store, engine) as replica:
        known = await desk.submit("Ivo Marlin")
        await until(is_in(desk, known, State.GUARDED))
        older = dump(binary)
        lost = await desk.submit("Ada Quist")
        await until(is_in(desk, lost, State.GUARDED))
        version = replica.version
        enforced = engine.policies[-1].version

        forget_last_request(binary, older)
        await until(lambda: replica.orphans == 1)
        assert replica.version < version
        assert engine.targets == {known, lost}
        assert "ALARM" in caplog.text and "Quist" not in caplog.text

        # The new log passes the old version: what it has is enforced, what it lost stays.
        ids = {await desk.submit(f"Person Number {word}") for word in ("One", "Two", "Three")}
        await until(lambda: engine.targets == {known, lost, *ids})
        for id_ in ids:
            await until(is_in(desk, id_, State.GUARDED))
        assert min(policy.version for policy in engine.policies[-1:]) >= enforced
        assert [policy.version for policy in engine.policies] == sorted(policy.version for policy in engine.policies)
    binary.close()


async def test_a_new_log_of_the_same_length_is_noticed(desk: Desk, redis_url: str) -> None:
    """Same version, other content: versions alone would not tell."""
    binary = redis.Redis.from_url(redis_url, protocol=2)
    engine = Engine()
    async with running(desk.store, engine) as replica:
        older = dump(binary)
        lost = await desk.submit("Ivo Marlin")
        await until(is_in(desk, lost, State.GUARDED))
        version = replica.version
        with binary.pipeline() as pipeline:  # at once: the replica never sees the shorter log
            pipeline.flushall()
            for key, value in older.items():
                pipeline.restore(key, 0, value)
            pipeline.execute()
        other = await desk.submit("Ada Quist")
        assert (await desk.store.policy()).version == version
        await until(is_in(desk, other, State.GUARDED))
        assert engine.targets == {lost, other} and replica.orphans == 1
    binary.close()


async def test_a_replica_far_behind_takes_the_whole_list(desk: Desk, raw: redis.Redis) -> None:
    engine = Engine()
    ids = {await desk.submit(f"Person {word}") for word in ("One", "Two", "Three")}
    async with running(desk.store, engine):
        await until(lambda: engine.targets == ids)
        dropped = ids.pop()
        with raw.pipeline() as pipeline:
            pipeline.xtrim(f"{ROOT}:log", maxlen=0)
            pipeline.execute()
        await desk.store.withdraw(dropped)
        raw.xtrim(f"{ROOT}:log", maxlen=0)
        await until(lambda: engine.targets == ids)


async def test_very_many_move_some_at_a_time(desk: Desk) -> None:
    ids = {await desk.submit(f"Person Number{number:c}") for number in range(ord("a"), ord("a") + 120)}
    moved = [(await desk.acknowledge()).moved for _ in range(4)]
    assert [len(step) for step in moved] == [50, 50, 20, 0]
    assert {id_ for step in moved for id_, _ in step} == ids
