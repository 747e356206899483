"""The embedded server: one per folder, nothing lost, nothing left behind."""

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.forget import embedded
from gateway.forget.connection import connect_blocking
from gateway.forget.embedded import EmbeddedRedis, find_server
from gateway.forget.errors import EmbeddedRedisError
from gateway.forget.scripts import ROOT
from tests.children import child, told

# Submits for ever, and tells on its standard output what was acknowledged. Its server is its own.
SUBMITTER = """
import asyncio, sys
from pathlib import Path
from gateway.forget.embedded import EmbeddedRedis
from gateway.forget.model import ForgetRequestIn
from gateway.forget.errors import StoreUnavailable
from gateway.forget.sealer import AesGcmSealer
from gateway.forget.store import Store
from gateway.security.sealing_keys import KeyFile

async def main(url):
    sealer = AesGcmSealer(KeyFile(Path(sys.argv[1]) / "sealing-keys.json"))
    store = Store.from_url(url, sealer)
    while True:
        try:
            id_ = await store.submit(ForgetRequestIn(subject={"name": "Ivo Marlin"}))
        except StoreUnavailable:
            continue
        print(id_, flush=True)

with EmbeddedRedis(Path(sys.argv[1])) as server:
    print("server", server.pid, flush=True)
    asyncio.run(main(server.url))
"""


def until(condition: Callable[[], object], timeout_s: float = 15.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "did not happen"
        time.sleep(0.005)


def is_gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"


def stored(url: str) -> set[str]:
    with connect_blocking(url) as client:
        return {member[14:] for member in client.zrange(f"{ROOT}:requests", 0, -1)}


def test_it_is_a_real_server_without_a_port(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path) as server, connect_blocking(server.url) as client:
        settings = client.config_get("*")
        assert (settings["port"], settings["appendonly"], settings["appendfsync"]) == ("0", "yes", "always")
        pid = server.pid
        assert pid
        assert os.getsid(pid) != os.getsid(0), "Ctrl-C does not reach it"
    assert is_gone(pid)


def test_a_long_data_path(tmp_path: Path) -> None:
    deep = tmp_path / ("long" * 20) / ("path with spaces" * 3)
    with EmbeddedRedis(deep) as server, connect_blocking(server.url) as client:
        assert client.set("key", "kept")
    with EmbeddedRedis(deep) as server, connect_blocking(server.url) as client:
        assert client.get("key") == "kept"


def test_it_comes_back_when_killed_and_clients_reconnect(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path) as server, connect_blocking(server.url) as client:
        for round_ in range(3):
            client.set(f"key{round_}", "kept")
            pid = server.pid
            assert pid
            os.kill(pid, signal.SIGKILL)
            until(lambda pid=pid: is_gone(pid))
            assert client.get(f"key{round_}") == "kept"


def test_a_second_one_on_the_folder_takes_over(tmp_path: Path) -> None:
    first, second = EmbeddedRedis(tmp_path), EmbeddedRedis(tmp_path)
    first.start()
    second.start()
    assert first.url == second.url
    with connect_blocking(first.url) as client:
        client.set("key", "kept")
        first.stop()
        until(lambda: client.ping())
        assert client.get("key") == "kept"
        assert int(client.info("server")["process_id"]) == second.pid
    second.stop()


@pytest.mark.parametrize("seed", range(6))
def test_killed_at_any_moment_nothing_acknowledged_is_lost(tmp_path: Path, seed: int) -> None:
    """kill -9 of the server, of the process that submits, or of both, and a restart."""
    rng = random.Random(seed)
    acknowledged: set[str] = set()
    for _ in range(2):
        with child("-c", SUBMITTER, str(tmp_path)) as submitter:
            server_pid = int(told(submitter).split()[1])
            lines = rng.randrange(1, 60)
            acknowledged |= {told(submitter) for _ in range(lines)}
            victims = rng.choice([[server_pid], [submitter.pid], [server_pid, submitter.pid]])
            for pid in victims:
                os.kill(pid, signal.SIGKILL)
            if submitter.pid not in victims:  # its server comes back by itself
                acknowledged |= {told(submitter) for _ in range(5)}
                submitter.kill()
            while line := told(submitter):
                acknowledged |= {line} if len(line) == 36 else set()
    with EmbeddedRedis(tmp_path) as server:
        assert acknowledged <= stored(server.url)
        assert len(acknowledged) > 2


def test_a_killed_gateway_leaves_no_server_behind(tmp_path: Path) -> None:
    with child("-c", SUBMITTER, str(tmp_path)) as submitter:
        server_pid = int(told(submitter).split()[1])
        submitter.kill()
    until(lambda: is_gone(server_pid))


def test_a_truncated_file_is_no_obstacle(tmp_path: Path) -> None:
    """What a power cut leaves: the last write, never acknowledged, is half there."""
    with EmbeddedRedis(tmp_path) as server, connect_blocking(server.url) as client:
        client.set("key", "kept")
    written = max(tmp_path.rglob("*.aof"), key=lambda path: path.stat().st_size)
    with written.open("ab") as file:
        file.write(b"*1\r\n$5\r\nMULTI\r\n*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$9\r\nov")
    with EmbeddedRedis(tmp_path) as server, connect_blocking(server.url) as client:
        assert client.get("key") == "kept"


def test_no_server_binary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_server(tmp_path).exists()
    monkeypatch.setattr(embedded, "_candidates", lambda: iter([Path("/nowhere/redis-server")]))
    with pytest.raises(EmbeddedRedisError, match="install"):
        find_server(tmp_path)


def test_data_of_a_newer_server_is_not_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis 6.2 would start empty on it: every forget request would be gone."""
    old = fake_server(tmp_path, "6.2.14")
    monkeypatch.setattr(embedded, "_candidates", lambda: iter([old]))
    assert find_server(tmp_path) == old
    (tmp_path / "appendonlydir").mkdir()
    with pytest.raises(EmbeddedRedisError, match=r"7\.0"):
        find_server(tmp_path)


def fake_server(folder: Path, version: str) -> Path:
    """A program that says its version."""
    server = folder / "redis-server"
    server.write_text(f"#!/bin/sh\necho 'Redis server v={version} sha=0'\n")
    server.chmod(0o755)
    return server


def test_an_old_server_on_the_path_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = fake_server(tmp_path, "6.0.16")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert find_server(tmp_path) != old


def test_a_server_that_cannot_start_says_where_to_look(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path) as server, connect_blocking(server.url) as client:
        client.set("key", "kept")
    for written in tmp_path.rglob("*.aof"):
        written.write_bytes(b"this is no append-only file")
    with pytest.raises(EmbeddedRedisError, match=r"redis\.log"):
        EmbeddedRedis(tmp_path).start()
