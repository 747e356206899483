"""Starts the real gateway as a user does, and talks to it over HTTP."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx

START_LIMIT_S = 400.0


def free_port() -> int:
    """A port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Service:
    """A running gateway."""

    def __init__(self, url: str, process: "subprocess.Popen[bytes] | None" = None) -> None:
        self.url = url
        self.process = process
        self.http = httpx.Client(base_url=url, timeout=120)

    def ask_all(self, questions: Sequence[str], guards: str = "on", concurrency: int = 16) -> list[str]:
        """Greedy answers to `questions`; `guards` is on, off (weights alone) or base (untouched model)."""
        return asyncio.run(self._ask_all(questions, guards, concurrency))

    async def _ask_all(self, questions: Sequence[str], guards: str, concurrency: int) -> list[str]:
        gate = asyncio.Semaphore(concurrency)
        headers = {} if guards == "on" else {"X-Unlearn-Guards": guards}
        async with httpx.AsyncClient(base_url=self.url, timeout=120, headers=headers) as client:

            async def ask(question: str) -> str:
                async with gate:
                    body = {
                        "model": "demo",
                        "messages": [{"role": "user", "content": question}],
                        "max_tokens": 24,
                        "temperature": 0,
                    }
                    response = await client.post("/v1/chat/completions", json=body)
                    response.raise_for_status()
                    return str(response.json()["choices"][0]["message"]["content"])

            return list(await asyncio.gather(*map(ask, questions)))

    def forget(self, name: str, **fields: Any) -> dict[str, Any]:
        """POST a forget request for a person."""
        body = {"kind": "person", "subject": {"name": name}, **fields}
        response = self.http.post("/v1/forget-requests", json=body)
        response.raise_for_status()
        found: dict[str, Any] = response.json()
        return found

    def request(self, request_id: str) -> dict[str, Any]:
        """GET a forget request."""
        response = self.http.get(f"/v1/forget-requests/{request_id}")
        response.raise_for_status()
        found: dict[str, Any] = response.json()
        return found

    def withdraw(self, request_id: str) -> None:
        """Withdraw a request and wait until it is withdrawn."""
        self.http.post(f"/v1/forget-requests/{request_id}/withdraw").raise_for_status()
        self.wait_for(request_id, "withdrawn")

    def wait_for(self, request_id: str, state: str, limit_s: float = 300.0) -> dict[str, Any]:
        """Poll until a request is in `state`; raises `RuntimeError` when it fails or takes longer.

        503 means to ask again: the store did not answer in time.
        """
        deadline, request = time.monotonic() + limit_s, {}
        while time.monotonic() < deadline:
            try:
                request = self.request(request_id)
            except httpx.HTTPStatusError as error:
                if error.response.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                    raise
                time.sleep(1)
                continue
            if request["state"] == state:
                return request
            if request["state"] == "failed":
                raise RuntimeError(f"request failed: {json.dumps(request, indent=1)}")
            time.sleep(0.1)
        raise RuntimeError(f"not '{state}' after {limit_s:.0f} s: {json.dumps(request, indent=1)}")


@contextmanager
def running_service(
    data_dir: Path, *options: str, log: Path | None = None, environment: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Service]:
    """`unlearn-gateway serve` on the demo model, ready to answer, its worker loaded; stopped by SIGTERM afterwards."""
    port = free_port()
    command = [sys.executable, "-m", "gateway", "serve", "--data-dir", str(data_dir), "--port", str(port)]
    command += ["--no-auth", "--allow-guards-off", *options]
    with (log or Path(os.devnull)).open("wb") as sink:
        process = subprocess.Popen(command, stdout=sink, stderr=subprocess.STDOUT, env={**os.environ, **environment})
        service = Service(f"http://127.0.0.1:{port}", process)
        try:
            wait_until_ready(service)
            yield service
        finally:
            service.http.close()
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(60)
            finally:
                process.kill()


def wait_until_ready(service: Service) -> None:
    """Wait for /ready and for the worker, if there is one, to have loaded its model."""
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline:
        if service.process is not None and service.process.poll() is not None:
            raise RuntimeError(f"the gateway ended with status {service.process.returncode} while starting")
        try:
            response = service.http.get("/ready")
            if response.is_success and response.json()["worker"] in ("ready", "off"):
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.2)
    raise RuntimeError(f"the gateway was not ready after {START_LIMIT_S:.0f} s")
