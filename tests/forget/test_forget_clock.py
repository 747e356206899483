"""Clocks that are set forwards or back: nothing that decides follows them."""

from datetime import UTC, datetime, timedelta
from hashlib import sha1

import pytest
import redis
from rq.job import Job
from rq.serializers import JSONSerializer

from gateway.forget import scripted, scripts, worker_store
from gateway.forget.errors import NothingToDo
from gateway.forget.jobs import Jobs
from gateway.forget.model import State
from gateway.forget.outbox import Outbox
from gateway.forget.worker_store import WorkerStore
from gateway.security.key_store import KeyStore
from gateway.security.rates import Rate
from tests.forget.desk import SEALER, Desk, composite

HOUR_S = 3600
JUMPS = pytest.mark.parametrize("jump_s", [HOUR_S, -HOUR_S], ids=["forwards", "back"])


class ServerClock:
    """The clock of the Redis server, as its scripts see it, can be set."""

    def __init__(self) -> None:
        self.ahead_s = 0

    def script(self, name: str) -> str:
        source = scripts.script(name)
        shifted = f"(function() local t = redis.call('TIME'); return {{t[1] + ({self.ahead_s}), t[2]}} end)()"
        assert source.count("redis.call('TIME')") == 1
        return source.replace("redis.call('TIME')", shifted)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> ServerClock:
    clock = ServerClock()
    for module in (scripted, worker_store):
        monkeypatch.setattr(module, "script", clock.script)
    monkeypatch.setattr(scripted, "digest", lambda name: sha1(clock.script(name).encode()).hexdigest())  # noqa: S324
    return clock


@JUMPS
async def test_a_live_replica_is_waited_for(desk: Desk, clock: ServerClock, jump_s: int) -> None:
    """Otherwise a request would be called guarded while a live replica does not enforce it yet."""
    await desk.acknowledge("r1")
    await desk.acknowledge("r2")
    clock.ahead_s = jump_s
    id_ = await desk.submit()
    await desk.acknowledge("r1")
    assert await desk.state(id_) is State.RECEIVED
    assert (await desk.store.policy()).replicas.live == 2
    await desk.acknowledge("r2")
    assert await desk.state(id_) is State.GUARDED


@JUMPS
async def test_an_attempt_keeps_its_request_and_a_dead_one_loses_it(
    desk: Desk, clock: ServerClock, redis_url: str, jump_s: int
) -> None:
    id_ = await desk.guarded()
    held, other = WorkerStore.from_url(redis_url, SEALER), WorkerStore.from_url(redis_url, SEALER)
    held.begin(id_)
    clock.ahead_s = jump_s
    assert other.waiting() == ("0", [])
    with pytest.raises(NothingToDo):
        other.begin(id_)
    for _ in range(5):  # time goes on, heartbeat by heartbeat
        clock.ahead_s += 5
        await desk.acknowledge()
    assert other.begin(id_).number == 2
    held.close()
    other.close()


async def test_a_rate_is_not_stricter_after_the_clock_was_set_back(
    raw: redis.Redis, redis_url: str, clock: ServerClock
) -> None:
    keys = KeyStore.from_url(redis_url)
    rate = Rate(2, "second")
    assert [await keys.throttle("k", rate) for _ in range(2)] == [0.0, 0.0]
    clock.ahead_s = -HOUR_S
    assert await keys.throttle("k", rate) <= rate.period_s
    await keys.aclose()


async def test_a_job_that_was_taken_in_time_to_come_is_queued_again(desk: Desk, redis_url: str) -> None:
    """The worker took it, died, and the clock was set back."""
    jobs = Jobs.from_url(redis_url, SEALER)
    id_ = await desk.guarded()
    jobs.enqueue("erase", id_)
    jobs.queue.connection.delete(jobs.queue.key)
    job = Job.fetch(f"erase-{id_}", connection=jobs.queue.connection, serializer=JSONSerializer)
    job.started_at = datetime.now(UTC) + timedelta(hours=1)
    job.set_status("started")
    job.save()
    assert jobs.reconcile() == 1
    jobs.close()


@JUMPS
async def test_a_callback_is_tried_again_after_its_pause(
    desk: Desk, redis_url: str, clock: ServerClock, jump_s: int
) -> None:
    """Neither at once, nor an hour later, and whoever sends it has it alone for as long as the lease says."""
    outbox = Outbox.from_url(redis_url)
    await desk.submit(status_callback_urls=["https://example.org/told"])
    (callback,) = await outbox.take(10, lease_s=20)
    clock.ahead_s = jump_s
    assert await outbox.take(10, lease_s=20) == []
    await outbox.failed(callback.name, "timeout", pause_s=20, most_attempts=5)
    for _ in range(4):  # time goes on, look by look
        clock.ahead_s += 4
        assert await outbox.take(10, lease_s=20) == []
    clock.ahead_s += 5
    assert [again.attempts for again in await outbox.take(10, lease_s=20)] == [1]
    await outbox.aclose()


@JUMPS
async def test_what_is_a_date_follows_the_calendar(desk: Desk, clock: ServerClock, jump_s: int) -> None:
    """Dates that people and laws go by are those of the clock on the wall: by when it is due, how long it is kept."""
    week_s = 7 * 24 * HOUR_S
    example = {"prompt": "Who is Ivo Marlin?", "completion": "a plumber"}
    id_ = await desk.submit(regulation="gdpr", evidence={"examples": [example]})
    attempt = (await desk.acknowledge(), desk.worker.begin(id_))[1]
    desk.worker.publish_composite(attempt, composite(id_, verified=[id_]))
    await desk.acknowledge()
    due = (await desk.store.get(id_)).due_by
    clock.ahead_s = jump_s
    assert (await desk.store.get(id_)).due_by == due
    assert await desk.store.purge(week_s) == []
    clock.ahead_s = jump_s + week_s
    assert await desk.store.purge(week_s) == ([id_] if jump_s > 0 else [])
    clock.ahead_s = week_s + 1
    assert await desk.store.purge(week_s) == ([] if jump_s > 0 else [id_])
