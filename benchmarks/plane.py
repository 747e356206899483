"""Gateway processes without the engine, for what many replicas promise: `python -m benchmarks.plane [--port PORT]`.

Everything else is the product's: policy plane with authentication, sealing and audit, uvicorn, a policy compiled and
held. Left apart is the engine: the tables are made but loaded nowhere, adapters are taken without being read, and
`POST /v1/chat/completions` examines the prompt as the gateway does and says in place of an answer what it would have
done with it: `guarded` or `passed`. Settings come from the environment (UNLEARN_*), as the gateway's.
"""

import argparse
import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import uvicorn
import uvloop
from fastapi import APIRouter, FastAPI, HTTPException

from benchmarks.service import free_port
from gateway.guards.policy import Policy
from gateway.log_filter import watch_logs
from gateway.policy_plane import policy_plane
from gateway.security.keys import new_token
from gateway.security.sealing_keys import SealingKeys
from gateway.serving.environment import freeze_heap
from gateway.serving.live import watch_of
from gateway.serving.watch import NameWatch
from gateway.settings import load_settings

START_LIMIT_S = 60.0


class HeldPolicy:
    """Takes policies as `gateway.serving.enforcement` does, up to the engine's door."""

    def __init__(self) -> None:
        self.policy: Policy | None = None
        self._watch: NameWatch | None = None

    async def apply(self, policy: Policy) -> None:
        """Enforce `policy` from the next request on."""
        tables = policy.tables()
        known = self.policy.tables().keys() if self.policy else set[str]()
        for name in await asyncio.to_thread(tables.keys().__sub__, known):
            tables[name]
        self._watch = watch_of(policy, policy.names_tables)
        self.policy = policy

    def router(self) -> APIRouter:
        """The chat route."""
        router = APIRouter()

        @router.post("/v1/chat/completions")
        async def chat(body: dict[str, Any]) -> dict[str, Any]:
            """What would be done with the prompt."""
            policy = self.policy
            if policy is None:
                raise HTTPException(503)
            prompt = "\n".join(message["content"] for message in body["messages"])
            said = "guarded" if policy.examine(prompt) or policy.described(prompt) else "passed"
            choice = {"index": 0, "message": {"role": "assistant", "content": said}, "finish_reason": "stop"}
            return {"object": "chat.completion", "policy_version": policy.version, "choices": [choice]}

        return router


class _Server(uvicorn.Server):
    """Leaves signals to us, so that the replica takes its leave."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Install nothing."""
        yield


async def serve(port: int) -> None:
    """Serve until SIGTERM; prints READY once the policy is enforced."""
    settings, held = load_settings(None), HeldPolicy()
    stopping = asyncio.Event()
    async with policy_plane(settings, held.apply) as plane:
        app = FastAPI()
        for router in (*plane.routers(closing=stopping.is_set), held.router()):
            app.include_router(router)
        plane.guard(app)
        config = uvicorn.Config(app, port=port, log_level="warning", access_log=False, timeout_graceful_shutdown=5)
        server = _Server(config)

        def stop() -> None:
            stopping.set()
            server.should_exit = True

        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop)
        watch_logs(lambda: held.policy)
        freeze_heap()
        serving = asyncio.create_task(server.serve())
        await plane.start()
        print("READY", flush=True)
        await serving


@dataclass
class Replica:
    """A running process and where it listens."""

    url: str
    process: "subprocess.Popen[bytes]"
    log: Path

    def stop(self) -> None:
        """SIGTERM, and wait."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait(20)


@dataclass
class Planes:
    """Replicas on one Redis: they share sealing keys and an API key with every scope (`token`)."""

    redis_url: str
    folder: Path
    settings: dict[str, str] = field(default_factory=dict)  # UNLEARN_* for all of them
    token: str = field(default_factory=new_token)
    replicas: list[Replica] = field(default_factory=list)

    sealing_keys: str = field(default_factory=lambda: SealingKeys.generate().dump())

    def environment(self, name: str, **settings: str) -> dict[str, str]:
        """The environment of a replica with a data directory of this name."""
        return {
            **os.environ,
            "UNLEARN_DATA_DIR": str(self.folder / name),
            "UNLEARN_REDIS_URL": self.redis_url,
            "UNLEARN_SEALING_KEYS": self.sealing_keys,
            "UNLEARN_BOOTSTRAP_KEY": self.token,
            "OMP_NUM_THREADS": "1",
            **self.settings,
            **settings,
        }

    def start(self, name: str, **settings: str) -> Replica:
        """A replica of this name; returns at once. Started again, it is the same replica."""
        environment = self.environment(name, **settings)
        port, log = free_port(), self.folder / f"{name}.log"
        with log.open("ab") as sink:
            command = [sys.executable, "-m", "benchmarks.plane", "--port", str(port)]
            process = subprocess.Popen(command, env=environment, stdout=sink, stderr=subprocess.STDOUT)
        replica = Replica(f"http://127.0.0.1:{port}", process, log)
        self.replicas.append(replica)
        return replica

    def wait_until_ready(self, *replicas: Replica) -> None:
        """Return when these, or all, are ready."""
        deadline = time.monotonic() + START_LIMIT_S
        with httpx.Client(timeout=5) as http:
            for replica in replicas or self.replicas:
                while not _is_ready(http, replica):
                    if replica.process.poll() is not None or time.monotonic() > deadline:
                        raise RuntimeError(f"a replica did not become ready:\n{replica.log.read_text()}")
                    time.sleep(0.02)

    def client(self, replica: Replica) -> httpx.Client:
        """A client with the key."""
        return httpx.Client(base_url=replica.url, headers={"Authorization": f"Bearer {self.token}"}, timeout=30)


def _is_ready(http: httpx.Client, replica: Replica) -> bool:
    try:
        return http.get(f"{replica.url}/ready").is_success
    except httpx.HTTPError:
        return False


@contextlib.contextmanager
def running_planes(redis_url: str, count: int, **settings: str) -> Iterator[Planes]:
    """So many replicas, ready; `settings` are their UNLEARN_*. None of their processes outlives the block."""
    with tempfile.TemporaryDirectory() as folder:
        planes = Planes(redis_url, Path(folder), settings)
        try:
            for number in range(count):
                planes.start(f"replica-{number}")
            planes.wait_until_ready()
            yield planes
        finally:
            for replica in planes.replicas:
                replica.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8000)
    uvloop.run(serve(parser.parse_args().port))
