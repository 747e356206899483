"""Replicas as processes of their own on one Redis: what one of them takes, all of them enforce."""

import asyncio
import signal
from collections.abc import Iterator

import pytest

from benchmarks.lifecycle import posts
from benchmarks.plane import Planes, Replica, running_planes
from gateway.forget.embedded import EmbeddedRedis

PATH = "/v1/forget-requests"


@pytest.fixture(scope="module")
def planes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Planes]:
    with EmbeddedRedis(tmp_path_factory.mktemp("store")) as server, running_planes(server.url, 2) as planes:
        yield planes


def said(planes: Planes, replica: Replica, prompt: str) -> str:
    with planes.client(replica) as http:
        body = {"model": "demo", "messages": [{"role": "user", "content": prompt}]}
        return str(http.post("/v1/chat/completions", json=body).raise_for_status().json()["choices"][0]["message"])


def forget(planes: Planes, replica: Replica, name: str) -> dict[str, object]:
    with planes.client(replica) as http:
        answer = http.post(PATH, json={"subject": {"name": name}}, headers={"Prefer": "wait=20"})
        return dict(answer.raise_for_status().json())


def test_what_one_takes_all_enforce(planes: Planes) -> None:
    first, second = planes.replicas
    assert "passed" in said(planes, second, "Who is Ivo Marlin?")
    request = forget(planes, first, "Ivo Marlin")
    assert request["state"] == "guarded"
    assert request["protection"]["replicas"] == {"live": 2, "applied": 2}  # type: ignore[index]
    assert "guarded" in said(planes, second, "Who is Ivo Marlin?")


def test_the_measurement_waits_for_all_of_them(planes: Planes) -> None:
    found = asyncio.run(posts.enforced(planes, 6)) | asyncio.run(posts.throughput(planes, 40))
    assert found["enforced_replicas"] == 2 and 0 < found["enforced_ms_p50"] <= found["enforced_ms_max"]
    assert found["posts"] == 40 and found["posts_per_s"] > 0
    for replica in planes.replicas:
        with planes.client(replica) as http:
            states = [request["state"] for request in http.get(PATH, params={"limit": 200}).json()["requests"]]
        assert len(states) >= 46 and set(states) == {"guarded"}


def test_one_that_comes_back_has_caught_up_when_it_is_ready(planes: Planes) -> None:
    first, second = planes.replicas
    second.process.send_signal(signal.SIGKILL)
    second.process.wait(30)
    with planes.client(first) as http:
        # Nobody knows yet that the other one is gone: its lease runs on, and what it does not enforce is not enforced.
        answer = http.post(PATH, json={"subject": {"name": "Ada Quist"}}, headers={"Prefer": "wait=1"}).json()
        assert answer["state"] == "received" and answer["protection"]["replicas"] == {"live": 2, "applied": 1}
        again = planes.start("replica-1")
        planes.wait_until_ready(again)
        assert "guarded" in said(planes, again, "Who is Ada Quist?")
        assert http.get(f"{PATH}/{answer['id']}").json()["state"] == "guarded"
