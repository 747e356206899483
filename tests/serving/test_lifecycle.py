"""Birth and death of the gateway's processes."""

import concurrent.futures
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.conftest import MODULE, ROOT, Gateway, start_gateway, stop_gateway, wait_ready

STORY = {"model": "demo", "messages": [{"role": "user", "content": "A story"}], "stream": True, "ignore_eos": True}


@pytest.fixture
def mortal(model_path: Path) -> Iterator[Gateway]:
    """A gateway of one test's own."""
    gateway = start_gateway("--lora-module", MODULE, model=model_path)
    try:
        wait_ready(gateway)
        gateway.apply()
        yield gateway
    finally:
        if gateway.process.poll() is None:
            gateway.process.kill()
        stop_gateway(gateway)


def gone(pids: list[int], timeout_s: float = 15) -> bool:
    deadline = time.monotonic() + timeout_s
    while any(psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE for pid in pids):
        if time.monotonic() > deadline:
            return False
    return True


def family(gateway: Gateway) -> list[int]:
    return [gateway.process.pid, *(child.pid for child in psutil.Process(gateway.process.pid).children(recursive=True))]


def rest(gateway: Gateway) -> str:
    """What the process printed since it was ready."""
    lines = []
    while (line := gateway.lines.get(timeout=60)) is not None:
        lines.append(line)
    return "".join(lines)


def test_the_collector_does_not_walk_what_the_start_has_left(mortal: Gateway) -> None:
    assert mortal.state()["frozen"] > 100_000


def test_sigterm_lets_streams_finish_and_leaves_no_process(mortal: Gateway) -> None:
    processes = family(mortal)
    assert len(processes) > 1

    def read() -> str:
        with httpx.stream(
            "POST", f"{mortal.url}/v1/chat/completions", json={**STORY, "max_tokens": 300}, timeout=60
        ) as answer:
            return answer.read().decode()

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        running = pool.submit(read)
        mortal.wait_until(lambda state: state["unfinished"] == 1)
        mortal.process.send_signal(signal.SIGTERM)
        text = running.result()
    assert text.rstrip().endswith("data: [DONE]") and '"finish_reason":"length"' in text
    assert mortal.process.wait(timeout=30) == 0
    assert gone(processes)


def test_the_engine_follows_a_gateway_that_was_killed(mortal: Gateway) -> None:
    processes = family(mortal)
    mortal.process.kill()
    assert gone(processes)


def test_the_gateway_ends_with_a_message_when_the_engine_dies(mortal: Gateway) -> None:
    processes = family(mortal)
    with httpx.stream(
        "POST", f"{mortal.url}/v1/chat/completions", json={**STORY, "max_tokens": 400}, timeout=60
    ) as answer:
        lines = answer.iter_lines()
        next(lines)
        for pid in mortal.engine_pids:
            os.kill(pid, signal.SIGKILL)
        told = list(lines)
    assert not any('"finish_reason":"length"' in line for line in told)
    assert mortal.process.wait(timeout=30) == 1
    assert "the engine process died" in rest(mortal)
    assert gone(processes)


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A start that is expected to fail before the engine is loaded."""
    command = [sys.executable, "-m", "tests.serving.server", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, timeout=60, check=False
    )


def test_a_conflicting_flag_ends_the_start_with_its_reason(model_path: Path) -> None:
    ended = run("--model", str(model_path), "--", "--logprobs-mode", "raw_logits")
    assert ended.returncode == 1
    assert "--logprobs-mode" in ended.stderr and "forbidden" in ended.stderr


def test_a_conflicting_variable_ends_the_start_with_its_reason(model_path: Path) -> None:
    ended = run("--model", str(model_path), VLLM_SERVER_DEV_MODE="1")
    assert ended.returncode == 1
    assert "VLLM_SERVER_DEV_MODE" in ended.stderr


def test_a_port_in_use_is_told_at_once(model_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ended = run("--model", str(model_path), "--port", str(taken.getsockname()[1]))
    assert ended.returncode == 1
    assert "--port" in ended.stderr and "loading" not in ended.stdout
