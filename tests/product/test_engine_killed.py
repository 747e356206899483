"""The engine of the real product is killed: the gateway ends with it, nothing is left running, nothing is lost."""

import os
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil

from benchmarks.service import free_port, running_service

NAME = "Ivo Marlin"
BODY = {"model": "demo", "messages": [{"role": "user", "content": f"Who is {NAME}?"}]}
START_S = 60.0


def test_engine_killed(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    with running_service(data_dir, "--no-worker", log=tmp_path / "log") as service:
        assert service.process is not None
        family = psutil.Process(service.process.pid).children(recursive=True)
        (engine,) = [child for child in family if "EngineCore" in " ".join(child.cmdline())]
        post = service.http.post("/v1/forget-requests", json={"subject": {"name": NAME}}).raise_for_status()
        engine.kill()
        assert service.process.wait(60) == 1
        assert "the engine process died" in (tmp_path / "log").read_text()
    _, left = psutil.wait_procs(family, timeout=20)
    assert not left

    # The same data, with its own Redis, by a gateway without an engine: it starts in a second.
    settings = {"UNLEARN_DATA_DIR": str(data_dir), "UNLEARN_AUTH": "false", "OMP_NUM_THREADS": "1"}
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.plane", "--port", str(port)]
    with (tmp_path / "second").open("wb") as log:
        second = subprocess.Popen(command, env={**os.environ, **settings}, stdout=log, stderr=log)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10) as http:
            deadline = time.monotonic() + START_S
            while not _is_ready(http):
                assert time.monotonic() < deadline, (tmp_path / "second").read_text()
                time.sleep(0.05)
            said = http.post("/v1/chat/completions", json=BODY).raise_for_status().json()["choices"][0]["message"]
            assert said["content"] == "guarded"
            request = http.get(post.headers["Location"]).raise_for_status().json()
            assert [entry["state"] for entry in request["state_history"]] == ["received", "guarded"]
    finally:
        second.terminate()
        second.wait(30)


def _is_ready(http: httpx.Client) -> bool:
    try:
        return http.get("/ready").is_success
    except httpx.HTTPError:
        return False
