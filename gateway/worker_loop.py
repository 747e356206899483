"""The process of an erasure worker: connects, loads the model, takes one job after the other until a signal."""

import logging
import os
import signal
import sys
import time
from contextlib import ExitStack
from types import FrameType
from typing import Any

from redis.exceptions import RedisError
from rq import SimpleWorker
from rq.serializers import JSONSerializer

from gateway.adapter_storage import AdapterStorage
from gateway.forget.embedded import EmbeddedRedis
from gateway.forget.errors import StoreRefused, StoreUnavailable
from gateway.forget.facts_at_rest import facts_at_rest
from gateway.forget.jobs import QUEUE
from gateway.forget.queue_connection import connect_queue
from gateway.forget.sealer import AesGcmSealer
from gateway.forget.worker_store import WorkerStore
from gateway.log_filter import watch_lines
from gateway.model_files import model_folder
from gateway.security.sealing_keys import key_source
from gateway.settings import Settings
from gateway.tracing import start_tracing
from gateway.worker import ErasureWorker, workers
from unlearn_engine.data.domain import domain_for
from unlearn_engine.erase import Eraser
from unlearn_engine.layers import load_or_compute_layer_map
from unlearn_engine.placement import Placement

logger = logging.getLogger(__name__)

LOADED = "worker: ready"
WORKER_TTL_S = 30  # RQ waits 15 s less for a job, and 10 s more for an answer
AGAIN_AFTER_S, AGAIN_AT_MOST_S = 0.5, 5.0
TIDY_EVERY_S = 600


class _Worker(SimpleWorker):  # type: ignore[misc]
    """Stops at once on a signal: the attempt is released on the way out, and another worker takes the request.

    It listens to no commands: those of RQ's own dashboard go around the leases.
    """

    stopped_by = 0  # the signal's number

    def subscribe(self) -> None:
        """No thread, no connection for that."""

    def unsubscribe(self) -> None:
        """There is nothing to end."""

    def run_maintenance_tasks(self) -> None:
        """Now and then, and at the start: RQ's own, and adapters that nobody needs."""
        super().run_maintenance_tasks()
        for worker in workers:
            worker.tidy()

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """Leave the job, wherever it is."""
        self.stopped_by = signum
        raise SystemExit(128 + signum)


def work(settings: Settings) -> None:
    """Load the model, then take jobs until a signal; says on stdout when it is loaded. Redis may come later.

    Raises:
        StoreRefused, SealError: with this address, or these keys, nothing could be done.
    """
    logging.basicConfig(level=logging.INFO, format="worker: %(message)s", stream=sys.stderr)
    logging.getLogger("rq").setLevel(logging.WARNING)
    start_tracing("unlearning-worker")
    with ExitStack() as stack:
        url = settings.redis_url or stack.enter_context(EmbeddedRedis(settings.data_dir)).url
        facts = facts_at_rest(settings.facts_key_path, hash_new=settings.facts_at_rest == "hashed")
        store = WorkerStore.from_url(url, AesGcmSealer(key_source(settings)), facts)
        stack.callback(store.close)
        try:
            store.check()
        except StoreRefused:
            raise
        except StoreUnavailable as away:
            logger.warning("Redis is away, it is waited for: %s", away)
        folder = model_folder(settings.model)
        placement = Placement(
            settings.worker_device, settings.worker_dtype, settings.worker_quantise, settings.worker_checkpointing
        )
        layer_map = load_or_compute_layer_map(folder, settings.cache_dir, placement)
        settings.adapters_dir.mkdir(parents=True, exist_ok=True)
        domain, threads = domain_for(folder), settings.worker_threads
        eraser = Eraser(folder, settings.adapters_dir, layer_map, domain, threads=threads, placement=placement)
        print(LOADED, flush=True)
        storage = AdapterStorage(settings.adapters_dir, settings.adapters_url)
        if problem := storage.look(publishes=True):
            logger.error("%s; until then nothing can be erased", problem)
        take_jobs(ErasureWorker(store, eraser, storage), url)


def take_jobs(worker: ErasureWorker, url: str, *, tidy_every_s: int = TIDY_EVERY_S) -> None:
    """One job after the other, until a signal ends this process. A store that is away is waited for.

    Raises:
        StoreRefused, SealError: there is no use in waiting.
    """
    workers[:] = [worker]
    watch_lines(worker.spoken.named)
    pause_s = AGAIN_AFTER_S
    while True:
        taker: _Worker | None = None
        connection: Any = connect_queue(url, timeout_s=None)
        try:
            worker.check()
            pause_s = AGAIN_AFTER_S  # it answers
            taker = _Worker(
                [QUEUE],
                connection=connection,
                serializer=JSONSerializer,
                worker_ttl=WORKER_TTL_S,
                maintenance_interval=tidy_every_s,
            )
            taker.work(logging_level="CRITICAL")
        except StoreRefused:
            raise
        except (StoreUnavailable, RedisError, OSError) as error:
            if taker is not None and taker.stopped_by:  # RQ takes its leave on the way out, of a store that is gone
                raise SystemExit(128 + taker.stopped_by) from None
            logger.warning("jobs cannot be taken: %s", type(error).__name__)
        finally:
            connection.close()
        time.sleep(pause_s)  # RQ gives up when the store goes away at the wrong moment
        pause_s = min(2 * pause_s, AGAIN_AT_MOST_S)


def leave_with_parent(parent: int) -> None:
    """End this worker when the gateway that started it ends, even by `kill -9`."""
    import ctypes

    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        sys.exit("the gateway is gone")
