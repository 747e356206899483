"""Erasure workers that start in milliseconds: `python -m benchmarks.chaos.workers REDIS_URL ADAPTERS SEED`.

Each line on standard input makes one, forked from this process, which has everything imported; its process id is
printed. They are the product's: RQ, leases, `ErasureWorker`, adapters written whole under their digest. Replaced is
what computes an adapter's content (elicitation, training, measuring): numbers made from the ids of the requests in it.
Some verifications fail, so that requests do.
"""

import ctypes
import hashlib
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from gateway.adapter_storage import AdapterStorage
from gateway.forget.connection import connect_blocking
from gateway.forget.sealer import AesGcmSealer
from gateway.forget.worker_store import WorkerStore
from gateway.security.sealing_keys import GivenKeys
from gateway.worker import ErasureWorker
from gateway.worker_loop import take_jobs
from unlearn_engine import adapter as adapters
from unlearn_engine.adapter import Adapter
from unlearn_engine.data.evidence import NO_EVIDENCE, Evidence
from unlearn_engine.data.knowledge import Fact, Knowledge
from unlearn_engine.evaluate.verify import Label, Verification
from unlearn_engine.lowrank import Factors, LowRank
from unlearn_engine.subject import Subject

BASE = "chaos"
LEASE_S = 2.0
MODULE = "model.layers.0.mlp.down_proj"
WIDTH = 64
TRAINING_STEPS, STEP_S = 10, 0.01
FAILS = 0.001  # of the verifications; each adapter needs one for every request in it
_PR_SET_PDEATHSIG = 1  # linux/prctl.h

Progress = Callable[[str, float], None]


class SmallEraser:
    """Stands in for `unlearn_engine.erase.Eraser`: everything but the content of its adapters is real."""

    def __init__(self, directory: Path, rng: random.Random, fails: float = FAILS, steps: int = TRAINING_STEPS) -> None:
        self._directory, self._rng, self._fails, self._steps = directory, rng, fails, steps

    def knowledge(self, subject: Subject) -> Knowledge:
        """One fact, which nobody else has."""
        answer = hashlib.sha256(subject.id.encode()).hexdigest()[:12]
        return Knowledge((Fact("en", "birthplace", answer, answer),), ())

    def edit(self, new: Subject, current: Adapter | None, edited: Sequence[Subject] = ()) -> Adapter:
        """A first step on top of what is live."""
        before = current.subjects if current else ()
        covered = sorted({*before, new.id})
        return adapters.export(self._directory, BASE, change(before), change([new.id]), covered, [new.id])

    def train(self, new: Subject, earlier: Sequence[Subject], current: Adapter | None, progress: Progress) -> Adapter:
        """On top of what is live."""
        return self._trained(sorted({new.id, *(subject.id for subject in earlier)}), progress)

    def rebuild(self, subjects: Sequence[Subject], progress: Progress) -> Adapter | None:
        """From the base."""
        return self._trained(sorted(subject.id for subject in subjects), progress) if subjects else None

    def evidence(self, subject: Subject) -> Evidence:
        """Nothing is told of what came with the request."""
        return NO_EVIDENCE

    def verify(self, adapter: Adapter | None, subject: Subject, others: Sequence[Subject] = ()) -> Verification:
        """Reads the adapter again; says that it does its work, mostly."""
        if adapter is not None:
            adapters.parts(adapter, BASE)
        passed = self._rng.random() >= self._fails
        label = Label.REMOVED if passed else Label.PRESENT
        return Verification(
            passed, label, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.1, 0.0, 0.0, 1, int(not passed), 1, 0.95
        )

    def _trained(self, covered: list[str], progress: Progress) -> Adapter:
        for step in range(self._steps):
            time.sleep(STEP_S)
            progress("train", (step + 1) / self._steps)
        return adapters.export(self._directory, BASE, change(covered), {}, covered, ())


def change(ids: Sequence[str]) -> LowRank:
    """A change of rank one that is the same for the same requests, and for no others."""
    if not ids:
        return {}
    seed = int.from_bytes(hashlib.sha256(",".join(sorted(ids)).encode()).digest()[:6])
    generator = torch.Generator().manual_seed(seed)
    return {MODULE: Factors(torch.randn(1, WIDTH, generator=generator), torch.randn(WIDTH, 1, generator=generator))}


def work(url: str, directory: Path, seed: str) -> None:
    """One worker, until it is killed, or its parent is gone."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    sealer = AesGcmSealer(GivenKeys(os.environ["UNLEARN_SEALING_KEYS"]))
    store = WorkerStore(connect_blocking(url), sealer, lease_s=LEASE_S)
    eraser: Any = SmallEraser(directory, random.Random(seed))
    take_jobs(ErasureWorker(store, eraser, AdapterStorage(directory), keep_adapters_s=0.0), url, tidy_every_s=1)


def main() -> None:
    """Fork a worker for each line, until there are no more."""
    url, directory, seed = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    directory.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    for number, _ in enumerate(sys.stdin):
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.close(0)
            work(url, directory, f"{seed}:{number}")
            os._exit(0)
        print(child, flush=True)


if __name__ == "__main__":
    main()
