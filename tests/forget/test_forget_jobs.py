"""Jobs on RQ: queued once, run by a real worker, found again when lost."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import redis
from rq import SimpleWorker
from rq.job import Job
from rq.serializers import JSONSerializer

from gateway.forget import jobs as jobs_module
from gateway.forget.jobs import Jobs
from gateway.forget.model import State
from gateway.forget.scripts import ROOT
from gateway.forget.worker_store import WorkerStore
from tests.forget.desk import SEALER, Desk, composite, until

ran: list[tuple[str, str]] = []


def run(kind: str, request_id: str) -> None:
    """Stands in for the erasure: notes that it was called."""
    ran.append((kind, request_id))


@pytest.fixture
def jobs(redis_url: str, raw: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> Iterator[Jobs]:
    monkeypatch.setattr(jobs_module, "FUNCTION", f"{__name__}.run")
    ran.clear()
    jobs = Jobs.from_url(redis_url, SEALER)
    yield jobs
    jobs.close()


def work_off(jobs: Jobs) -> None:
    SimpleWorker([jobs.queue], connection=jobs.queue.connection, serializer=JSONSerializer).work(burst=True)


async def test_a_job_is_queued_once_and_run(desk: Desk, jobs: Jobs) -> None:
    id_ = await desk.guarded()
    assert jobs.enqueue("erase", id_) and not jobs.enqueue("erase", id_)
    assert jobs.reconcile() == 0
    assert jobs.counts()["queued"] == 1
    work_off(jobs)
    assert ran == [("erase", id_)]


async def test_only_ids_travel(desk: Desk, jobs: Jobs, redis_url: str) -> None:
    id_ = await desk.guarded()
    jobs.enqueue("erase", id_)
    job = Job.fetch(f"erase-{id_}", connection=jobs.queue.connection, serializer=JSONSerializer)
    assert job.args == ["erase", id_] or job.args == ("erase", id_)
    assert b"Marlin" not in job.data and "Marlin" not in job.description


async def test_reconcile_finds_what_has_no_job(desk: Desk, jobs: Jobs) -> None:
    guarded = await desk.guarded("Ivo Marlin")
    await desk.guarded("Ada Quist", kind="topic")
    assert jobs.reconcile() == 1 and jobs.reconcile() == 0
    work_off(jobs)
    assert ran == [("erase", guarded)]
    assert jobs.reconcile() == 1, "it ran, but did not take the request"

    attempt = desk.worker.begin(guarded)
    assert jobs.queue.empty() and jobs.reconcile() == 0, "a worker is at it"
    desk.worker.publish_composite(attempt, composite(guarded, verified=[guarded]))
    assert jobs.reconcile() == 0, "it only waits for the replicas"


async def test_reconcile_looks_at_some_of_thousands_and_in_time_at_all(jobs: Jobs, raw: redis.Redis) -> None:
    ids = {f"{number:04}" for number in range(2000)}
    for id_ in ids:
        raw.hset(f"{ROOT}:request:{id_}", "state", "guarded")
    raw.sadd(f"{ROOT}:work", *ids)
    found = [jobs.reconcile() for _ in range(3)]
    assert all(0 < count < 400 for count in found)
    while sum(found) < 2000:
        assert len(found) < 20
        found.append(jobs.reconcile())
    assert {id_.removeprefix("erase-") for id_ in jobs.queue.job_ids} == ids
    raw.delete(jobs.queue.key)
    assert sum(jobs.reconcile() for _ in range(len(found) + 1)) == 2000, "and round again"


async def test_reconcile_takes_over_from_the_dead(desk: Desk, jobs: Jobs) -> None:
    id_ = await desk.guarded()
    jobs.enqueue("erase", id_)
    hasty = WorkerStore(desk.worker._client, SEALER, lease_s=0.01)
    # As after kill -9 of a worker: the job is off the queue, its record says started.
    jobs.queue.connection.delete(jobs.queue.key)
    job = Job.fetch(f"erase-{id_}", connection=jobs.queue.connection, serializer=JSONSerializer)
    job.started_at = datetime.now(UTC) - timedelta(minutes=5)
    job.set_status("started")
    job.save()
    hasty.verifying(hasty.begin(id_))
    await until(desk.waiting)
    assert jobs.reconcile() == 1
    work_off(jobs)
    assert ran == [("erase", id_)]


async def test_a_job_that_was_just_taken_is_not_queued_again(desk: Desk, jobs: Jobs) -> None:
    id_ = await desk.guarded()
    jobs.enqueue("erase", id_)
    jobs.queue.connection.delete(jobs.queue.key)
    job = Job.fetch(f"erase-{id_}", connection=jobs.queue.connection, serializer=JSONSerializer)
    job.started_at = datetime.now(UTC)
    job.set_status("started")
    job.save()
    assert jobs.reconcile() == 0


async def test_a_withdrawal_gets_its_rebuild(desk: Desk, jobs: Jobs) -> None:
    first = await desk.erased("Ivo Marlin")
    await desk.erased("Ada Quist")
    await desk.store.withdraw(first)
    assert jobs.reconcile() == 1
    work_off(jobs)
    assert ran == [("rebuild", first)]
    assert await desk.state(first) is State.WITHDRAWING
