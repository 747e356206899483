"""Erasure workers that die where they are told to: `python -m tests.forget.mortal_workers REDIS_URL ADAPTERS`.

Each line on standard input is `{"kill": N, "file_bytes": N, "jobs": [[kind, id], ...]}`: a process forked from this one
tidies up, does the jobs, is killed before its N-th call of the store, or may write files of so many bytes only; null
for neither. The answer is its wait status: 0 when it was not killed.
"""

import json
import os
import random
import resource
import signal
import sys
from pathlib import Path
from typing import Any

import torch

from benchmarks.chaos.workers import SmallEraser
from gateway import worker
from gateway.adapter_storage import AdapterStorage
from gateway.forget.connection import connect_blocking
from gateway.forget.sealer import AesGcmSealer
from gateway.forget.worker_store import WorkerStore
from gateway.security.sealing_keys import GivenKeys
from gateway.worker import ErasureWorker

LEASE_S = 0.1


class MortalStore(WorkerStore):
    """Kills its process before one of its calls."""

    kill: int | None = None
    calls = 0

    def _run(self, name: str, *arguments: str | int) -> Any:
        if name == "renew" and not arguments[3]:  # the lease's thread: its calls come at any time
            return super()._run(name, *arguments)
        self.calls += 1
        if self.calls == self.kill:
            os.kill(os.getpid(), signal.SIGKILL)
        return super()._run(name, *arguments)


def work(url: str, directory: Path, order: dict[str, Any]) -> None:
    """The jobs of one line."""
    if order["file_bytes"] is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (order["file_bytes"], order["file_bytes"]))
    sealer = AesGcmSealer(GivenKeys(os.environ["UNLEARN_SEALING_KEYS"]))
    store = MortalStore(connect_blocking(url), sealer, lease_s=LEASE_S)
    eraser: Any = SmallEraser(directory, random.Random(0), fails=0.0, steps=1)
    mortal = ErasureWorker(store, eraser, AdapterStorage(directory), keep_adapters_s=0.0)
    mortal.tidy()
    store.kill, store.calls = order["kill"], 0
    worker.workers[:] = [mortal]
    for kind, id_ in order["jobs"]:
        worker.run(kind, id_)


def main() -> None:
    """One process for each line."""
    url, directory = sys.argv[1], Path(sys.argv[2])
    torch.set_num_threads(1)
    print("ready", flush=True)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            os.dup2(2, 1)  # when our parent ends, nobody else is to be listened to
            work(url, directory, json.loads(line))
            os._exit(0)
        print(os.waitpid(child, 0)[1], flush=True)


if __name__ == "__main__":
    main()
