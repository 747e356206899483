"""Jobs for the erasure workers, on RQ: only ids travel, and a lost job is found and queued again."""

import logging
from datetime import UTC, datetime, timedelta
from typing import Self

import redis
from rq import Queue
from rq.exceptions import NoSuchJobError
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer

from gateway.forget.connection import store_errors
from gateway.forget.model import State
from gateway.forget.queue_connection import connect_queue
from gateway.forget.sealer import Sealer
from gateway.forget.worker_store import WorkerStore

logger = logging.getLogger(__name__)

QUEUE = "erasure"
FUNCTION = "gateway.worker.run"
TIMEOUT_S = 3600
# Between taking a job and taking its request a worker has nothing to do: longer means that it died there.
BEGINS_WITHIN = timedelta(seconds=30)
RECONCILE_EVERY_S = 3.0

_BEGUN = frozenset({State.ERASING, State.VERIFYING})


class Jobs:
    """Queues `gateway.worker.run(kind, request_id)`; kind is "erase" or "rebuild". Blocking: call it in a thread.

    A job's id follows from its request, so a request has at most one. Who may work on a request is decided by its lease
    in the store, not here: a job too many finds nothing to do.
    """

    def __init__(self, connection: redis.Redis, store: WorkerStore) -> None:
        self._connection = connection
        self._store = store
        self._cursor = "0"
        self.queue = Queue(QUEUE, connection=connection, serializer=JSONSerializer)

    @classmethod
    def from_url(cls, url: str, sealer: Sealer) -> Self:
        """Jobs on the Redis at `url`."""
        return cls(connect_queue(url), WorkerStore.from_url(url, sealer))

    def close(self) -> None:
        """Closes the connections."""
        self._connection.close()
        self._store.close()

    def enqueue(self, kind: str, request_id: str) -> bool:
        """Queues a job, unless the request has one that is waiting or has just been taken; says whether it did."""
        with store_errors():
            job_id = _job_id(kind, request_id)
            if self.queue.get_job_position(job_id) is not None or self._just_taken(job_id):
                return False
            self._enqueue(kind, request_id)
        return True

    def reconcile(self) -> int:
        """Gives a job to requests that need one and have none; returns how many were missing.

        Each call looks at some more of those that wait, so that thousands cost no more than a few.
        """
        self._cursor, waiting = self._store.waiting(self._cursor)
        with store_errors():
            queued = set(self.queue.job_ids) if waiting else set()
            missing = 0
            for request_id, state in waiting:
                kind = "rebuild" if state is State.WITHDRAWING else "erase"
                job_id = _job_id(kind, request_id)
                # A request that was begun has a lease, which ended: whoever took the job is gone.
                if job_id not in queued and (state in _BEGUN or not self._just_taken(job_id)):
                    self._enqueue(kind, request_id)
                    missing += 1
        if missing:
            logger.info("queued %d jobs that were missing", missing)
        return missing

    def counts(self) -> dict[str, int]:
        """Jobs by status: `queued` and `started`."""
        with store_errors():
            return {"queued": self.queue.count, "started": self.queue.started_job_registry.count}

    def _enqueue(self, kind: str, request_id: str) -> None:
        self.queue.enqueue_call(
            FUNCTION,
            args=(kind, request_id),
            job_id=_job_id(kind, request_id),
            timeout=TIMEOUT_S,
            result_ttl=0,
            failure_ttl=TIMEOUT_S,
            at_front=kind == "rebuild",  # nothing can be built on an adapter that still has a withdrawn request
        )

    def _just_taken(self, job_id: str) -> bool:
        try:
            job = Job.fetch(job_id, connection=self._connection, serializer=JSONSerializer)
        except NoSuchJobError:
            return False
        started_at: datetime | None = job.started_at
        if job.get_status(refresh=False) is not JobStatus.STARTED or started_at is None:
            return False
        # A time to come is one of another clock.
        return timedelta() <= datetime.now(UTC) - started_at.replace(tzinfo=UTC) < BEGINS_WITHIN


def _job_id(kind: str, request_id: str) -> str:
    return f"{kind}-{request_id}"
