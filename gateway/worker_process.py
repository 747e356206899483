"""The erasure worker as a process beside the gateway."""

import asyncio
import contextlib
import logging
import os
import sys
import time
from dataclasses import dataclass
from typing import Literal

from pydantic import SecretStr

from gateway.settings import SEALING_SETTINGS, Settings

logger = logging.getLogger(__name__)

WORKER_STOP_S = 5.0
WORKER_RESTART_S = (1.0, 60.0)  # first and longest pause before a worker that ended is started again

WorkerState = Literal["off", "loading", "ready", "restarting"]


@dataclass
class WorkerProcess:
    """The erasure worker beside the gateway: started once the engine serves, started again when it ends."""

    settings: Settings
    redis_url: str
    state: WorkerState

    async def keep(self) -> None:
        """Run until cancelled."""
        pause_s, longest_s = WORKER_RESTART_S
        while True:
            self.state = "loading"
            started = time.monotonic()
            await self._once()
            self.state = "restarting"
            if time.monotonic() - started > longest_s:
                pause_s = WORKER_RESTART_S[0]
            logger.error("the erasure worker ended, starting it again in %.0f s", pause_s)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, longest_s)

    async def _once(self) -> None:
        settings = self.settings
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway", "worker", "--parent", str(os.getpid())),
            *("--model", settings.model, "--data-dir", str(settings.data_dir), "--redis-url", self.redis_url),
            *("--worker-threads", str(settings.worker_threads)),
            stdout=asyncio.subprocess.PIPE,
            env=_worker_environment(settings),
        )
        assert process.stdout is not None  # noqa: S101 it is a pipe
        try:
            async for line in process.stdout:
                if line.strip().startswith(b"worker: ready"):
                    self.state = "ready"
            await process.wait()
        finally:
            if process.returncode is None:
                process.terminate()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(process.wait(), WORKER_STOP_S)
            if process.returncode is None:
                process.kill()
                await process.wait()


_NOT_FOR_THE_WORKER = ("OMP_NUM_THREADS", "UNLEARN_CONFIG", "UNLEARN_AUTH", "UNLEARN_BOOTSTRAP_KEY")


def _worker_environment(settings: Settings) -> dict[str, str]:
    """With all keys, without the engine's settings: the worker trains on as many threads as it is told.

    Threads that wait for each other spin only shortly: beside a busy engine, longer spinning makes two slower than one.
    """
    left_out = {*_NOT_FOR_THE_WORKER, *(f"UNLEARN_{name}".upper() for name in SEALING_SETTINGS)}
    kept = {name: value for name, value in os.environ.items() if name not in left_out}
    for name in SEALING_SETTINGS:
        if (value := getattr(settings, name)) is not None:
            kept[f"UNLEARN_{name}".upper()] = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
    if settings.adapters_url is not None:
        kept["UNLEARN_ADAPTERS_URL"] = settings.adapters_url
    kept["UNLEARN_FACTS_AT_REST"] = settings.facts_at_rest
    kept["UNLEARN_FACTS_KEY_FILE"] = str(settings.facts_key_path)
    return kept | {"GOMP_SPINCOUNT": "10000", "TOKENIZERS_PARALLELISM": "false"}
