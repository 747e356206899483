"""What is killed: a Redis, replicas of the policy plane and erasure workers, and who starts them again."""

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

from benchmarks.plane import Planes, Replica
from gateway.forget.embedded import EmbeddedRedis

WORKERS = 2
STALENESS_S = 10.0
WATCH_EVERY_S = 0.05
ENDS_WITHIN_S = 5.0
WEIGHTS = {"redis": 4, "replica": 3, "worker": 3}  # how often each is killed


class Scene:
    """All processes of a run in `folder`. What ends is started again until `at_rest`."""

    def __init__(self, folder: Path, replicas: int, seed: int) -> None:
        self.folder, self.seed = folder, seed
        self.kills: Counter[str] = Counter()
        self.redis = EmbeddedRedis(folder)  # starts its server again by itself
        self.adapters = folder / "adapters"
        self.names = [f"replica-{number}" for number in range(replicas)]
        self.replicas: dict[str, Replica] = {}
        self.workers: list[int] = []
        self._nursery: subprocess.Popen[str] | None = None
        self.planes = Planes("", folder, {"UNLEARN_MAX_STALENESS_S": str(STALENESS_S)})

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Everything is up, and stays up as far as it is not killed; at the end all is stopped in good order."""
        with self.redis:
            self.planes.redis_url = self.redis.url
            self._nursery = self._start_nursery()
            for name in self.names:
                self.replicas[name] = self.planes.start(name)
            watching = asyncio.create_task(self._watch())
            try:
                await asyncio.to_thread(self.planes.wait_until_ready)
                yield
            finally:
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)
                await asyncio.to_thread(self._stop)

    def _start_nursery(self) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "benchmarks.chaos.workers", self.redis.url, str(self.adapters), str(self.seed)]
        with (self.folder / "workers.log").open("wb") as log:
            pipe = subprocess.PIPE
            environment = self.planes.environment("workers")
            return subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, stderr=log, text=True)

    async def _watch(self) -> None:
        while True:
            for name in self.names:
                if self.replicas[name].process.poll() is not None:
                    self.replicas[name] = self.planes.start(name)
            self.workers = [pid for pid in self.workers if is_alive(pid)]
            while len(self.workers) < WORKERS:
                self.workers.append(await asyncio.to_thread(self._hatch))
            await asyncio.sleep(WATCH_EVERY_S)

    def _hatch(self) -> int:
        assert self._nursery and self._nursery.stdin and self._nursery.stdout
        self._nursery.stdin.write("\n")
        self._nursery.stdin.flush()
        return int(self._nursery.stdout.readline())

    def _stop(self) -> None:
        for replica in self.planes.replicas:
            replica.stop()
        if self._nursery:
            try:
                self._nursery.communicate(timeout=60)  # its standard input ends, and so does it
            finally:
                self._nursery.kill()

    def kill_one(self, rng: random.Random) -> None:
        """SIGKILL, in whatever it is doing: starting, serving, training, publishing."""
        kind = rng.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        victims: dict[str, list[int | None]] = {
            "redis": [self.redis.pid],
            "replica": [replica.process.pid for replica in self.replicas.values()],
            "worker": [*self.workers],
        }
        alive = [pid for pid in victims[kind] if pid is not None and is_alive(pid)]
        if alive:
            os.kill(rng.choice(alive), signal.SIGKILL)
            self.kills[kind] += 1

    def left_over(self) -> list[str]:
        """Processes that work in our folder though everything was stopped, and has had a moment to end."""
        deadline = time.monotonic() + ENDS_WITHIN_S
        while (found := self._processes()) and time.monotonic() < deadline:
            time.sleep(WATCH_EVERY_S)
        return found

    def _processes(self) -> list[str]:
        marker = f"{self.folder}/".encode()
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                with contextlib.suppress(OSError):
                    command = (entry / "cmdline").read_bytes()
                    if marker in command + (entry / "environ").read_bytes():
                        found.append(f"process {entry.name}: {command.replace(bytes(1), b' ').decode()[:200]}")
        return found


def is_alive(pid: int) -> bool:
    """Whether there is such a process, and it runs."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
