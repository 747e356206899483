"""A replica in a network namespace of its own is cut off from Redis: packets vanish, no socket is closed."""

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks.plane import START_LIMIT_S, Planes, Replica
from tests.forget.servers import DURABLE, Server, until

PATH = "/v1/forget-requests"
STALENESS_S = 3.0
NEAR, FAR = "10.213.77.1", "10.213.77.2"  # the ends of the line: Redis here, the replica there
PORT = 8000
_CLONE_NEWNET = 0x40000000  # linux/sched.h


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


@dataclass
class Namespace:
    """One line leads into it, which can be cut."""

    name: str
    line: str

    def connect(self) -> None:
        macs = {NEAR: "02:00:00:00:00:01", FAR: "02:00:00:00:00:02"}
        ends = {NEAR: (self.line, ("ip",)), FAR: (f"{self.line}p", ("ip", "-n", self.name))}
        peer = ("peer", "name", ends[FAR][0], "address", macs[FAR], "netns", self.name)
        run("ip", "link", "add", self.line, "address", macs[NEAR], "type", "veth", *peer)
        run("ip", "-n", self.name, "link", "set", "lo", "up")
        for address, other in ((NEAR, FAR), (FAR, NEAR)):
            device, ip = ends[address]
            run(*ip, "address", "add", f"{address}/24", "dev", device)
            run(*ip, "link", "set", device, "up")
            # Who is where stays known: nobody is told that the other one is gone.
            run(*ip, "neighbour", "add", other, "lladdr", macs[other], "dev", device, "nud", "permanent")

    def drop(self, action: str) -> None:
        """`add`: whatever is sent, in either direction, vanishes; `del`: no more."""
        for inside, device in (((), self.line), (("ip", "netns", "exec", self.name), f"{self.line}p")):
            queue = ("tbf", "rate", "8bit", "burst", "1", "limit", "1") if action == "add" else ()  # nothing fits in
            run(*inside, "tc", "qdisc", action, "dev", device, "root", *queue)

    def enter(self) -> None:
        """The calling thread goes there, and stays."""
        with open(f"/run/netns/{self.name}", "rb") as file:
            if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    if os.geteuid() or not shutil.which("ip") or not shutil.which("tc"):
        pytest.skip("needs root and iproute2")
    made = Namespace(f"unlearn-{os.getpid()}", f"ug{os.getpid()}")
    try:
        run("ip", "netns", "add", made.name)
    except subprocess.CalledProcessError:
        pytest.skip("network namespaces are not permitted here")
    try:
        try:
            made.connect()
            made.drop("add")
            made.drop("del")
        except subprocess.CalledProcessError:
            pytest.skip("lines into network namespaces are not permitted here")
        yield made
    finally:
        run("ip", "netns", "del", made.name)


@dataclass
class Far:
    """The replica there, asked by a thread that is there too."""

    thread: ThreadPoolExecutor
    token: str

    def ask(self, method: str, path: str, **content: Any) -> httpx.Response | None:
        def call() -> httpx.Response | None:
            headers = {"Authorization": f"Bearer {self.token}"}
            try:
                return httpx.request(method, f"http://127.0.0.1:{PORT}{path}", headers=headers, timeout=20, **content)
            except httpx.ConnectError:
                return None

        return self.thread.submit(call).result(60)

    def ready(self) -> bool:
        answer = self.ask("GET", "/ready")
        return answer is not None and answer.is_success

    def guards(self, name: str) -> bool:
        body = {"model": "demo", "messages": [{"role": "user", "content": f"Who is {name}?"}]}
        answer = self.ask("POST", "/v1/chat/completions", json=body)
        assert answer is not None
        return bool(answer.raise_for_status().json()["choices"][0]["message"]["content"] == "guarded")


def test_cut_off_by_packets_that_vanish(namespace: Namespace, tmp_path: Path) -> None:
    redis = Server(tmp_path / "redis", {**DURABLE, "bind": "\0".join(("127.0.0.1", NEAR)), "protected-mode": "no"})
    with redis, ThreadPoolExecutor(1, initializer=namespace.enter) as thread:
        planes = Planes(redis.url, tmp_path, {"UNLEARN_MAX_STALENESS_S": str(STALENESS_S)})
        near, far = planes.start("near"), Far(thread, planes.token)
        command = [sys.executable, "-m", "benchmarks.plane", "--port", str(PORT)]
        environment = planes.environment("far", UNLEARN_REDIS_URL=f"redis://{NEAR}:{redis.port}")
        process = subprocess.Popen(["ip", "netns", "exec", namespace.name, *command], env=environment)
        try:
            planes.wait_until_ready()
            until(far.ready, START_LIMIT_S)
            with planes.client(near) as http:
                first = http.post(PATH, json={"subject": {"name": "Ivo Marlin"}}, headers={"Prefer": "wait=20"}).json()
                assert first["protection"]["replicas"] == {"live": 2, "applied": 2}
                assert far.guards("Ivo Marlin")

                namespace.drop("add")
                second = http.post(PATH, json={"subject": {"name": "Ada Quist"}}).json()
                assert second["state"] == "received", "the other one may be serving still"
                until(lambda: http.get(f"{PATH}/{second['id']}").json()["state"] == "guarded")
                assert not far.ready(), "by then the other one must not serve any more"
                refused = far.ask("POST", PATH, json={"subject": {"name": "Ben Orlow"}})
                assert refused is not None and refused.status_code == 503
                assert far.guards("Ivo Marlin") and not far.guards("Ada Quist")

                namespace.drop("del")
                until(far.ready)
                assert far.guards("Ada Quist")
                assert http.get("/v1/policy").json()["replicas"] == {"live": 2, "applied": 2}
        finally:
            for replica in (Replica("", process, tmp_path), near):
                replica.stop()
