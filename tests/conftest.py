"""The real engine, once for the whole test session, in a process of its own."""

import contextlib
import faulthandler
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from _pytest.faulthandler import fault_handler_stderr_fd_key

ROOT = Path(__file__).parent.parent
SHIPPED_MODEL = ROOT / "unlearn_engine" / "demo" / "base"
MODULE = "model.layers.3.mlp.down_proj"
LINEARS = (
    *(f"self_attn.{part}_proj" for part in ("q", "k", "v", "o")),
    *(f"mlp.{part}_proj" for part in ("gate", "up", "down")),
)
ADAPTABLE = tuple(f"model.layers.{block}.{linear}" for block in range(4) for linear in LINEARS)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """What is put away after a failure may hang as well; pytest has taken its limit back by then."""
    limit_s, stderr = float(item.config.getini("faulthandler_timeout")), item.config.stash[fault_handler_stderr_fd_key]
    faulthandler.dump_traceback_later(limit_s, file=stderr, exit=True)


@dataclass
class Gateway:
    """A running gateway process under test control (see tests/serving/server.py)."""

    process: subprocess.Popen[str]
    lines: "queue.Queue[str | None]"
    reader: threading.Thread
    url: str = ""
    engine_pids: list[int] = field(default_factory=list)
    output: list[str] = field(default_factory=list)

    def apply(self, *targets: dict[str, Any], adapter: dict[str, Any] | None = None) -> None:
        """Enforce a policy with these targets (keyword arguments of `Target`) and this adapter."""
        answer = self.post_policy({"targets": list(targets), "adapter": adapter})
        assert answer.status_code == 200, answer.text

    def post_policy(self, spec: dict[str, Any]) -> httpx.Response:
        return httpx.post(f"{self.url}/test/policy", json=spec, timeout=60)

    def state(self) -> dict[str, Any]:
        """What the engine holds and the observer has seen."""
        return httpx.get(f"{self.url}/test/state", timeout=60).json()

    def asked(self) -> list[dict[str, Any]]:
        """What the engine was asked since the last call of this (the first call: nothing)."""
        return httpx.get(f"{self.url}/test/asked", timeout=60).json()

    def post(self, path: str, *, headers: dict[str, str] | None = None, **body: Any) -> httpx.Response:
        return httpx.post(self.url + path, json=body, headers=headers, timeout=60)

    @property
    def client(self) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key="unused", timeout=60, max_retries=0)

    def wait_until(self, condition: Callable[[dict[str, Any]], bool], timeout_s: float = 30) -> dict[str, Any]:
        """Poll the state until it fits."""
        deadline = time.monotonic() + timeout_s
        while not condition(state := self.state()):
            assert time.monotonic() < deadline, state
        return state


def start_gateway(*arguments: str, model: Path, environment: dict[str, str] | None = None) -> Gateway:
    """Start tests/serving/server.py; returns at once."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.serving.server", "--model", str(model), *arguments],
        cwd=ROOT,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines: queue.Queue[str | None] = queue.Queue()

    def read() -> None:
        with process.stdout or contextlib.nullcontext(()) as stdout:
            for line in stdout:
                lines.put(line)
        lines.put(None)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    return Gateway(process, lines, reader)


def wait_ready(gateway: Gateway, timeout_s: float = 300) -> Gateway:
    """Wait for the READY line."""
    deadline = time.monotonic() + timeout_s
    while True:
        line = gateway.lines.get(timeout=max(0.1, deadline - time.monotonic()))
        assert line is not None, "".join(gateway.output)
        gateway.output.append(line)
        if line.startswith("READY "):
            _, gateway.url, engines = line.split()
            gateway.engine_pids = [int(pid) for pid in engines.split(",")]
            return gateway


def stop_gateway(gateway: Gateway) -> int:
    """SIGTERM and wait."""
    if gateway.process.poll() is None:
        gateway.process.send_signal(signal.SIGTERM)
    status = gateway.process.wait(timeout=60)
    gateway.reader.join(timeout=60)
    return status


@pytest.fixture(scope="session")
def model_path() -> Path:
    """The demo model that ships with the package, unless UNLEARN_TEST_MODEL names another."""
    return Path(os.environ.get("UNLEARN_TEST_MODEL", SHIPPED_MODEL))


@pytest.fixture(scope="session")
def model_config(model_path: Path) -> dict[str, Any]:
    return json.loads((model_path / "config.json").read_text())


@pytest.fixture(scope="session")
def weights_link(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the operator of the session's engine puts the link to the base weights that are to be served."""
    return tmp_path_factory.mktemp("operator") / "weights"


@pytest.fixture(scope="session")
def gateway(model_path: Path, weights_link: Path) -> Iterator[Gateway]:
    """One engine for the whole session; tests that need another policy apply it."""
    running = start_gateway(
        *(argument for module in ADAPTABLE for argument in ("--lora-module", module)),
        "--weights-link",
        str(weights_link),
        "--",
        "--enable-auto-tool-choice",
        "--tool-call-parser",
        "hermes",
        model=model_path,
    )
    try:
        wait_ready(running)
        yield running
    finally:
        assert stop_gateway(running) == 0, "".join(running.output)
