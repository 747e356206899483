"""The gateway is killed at every step of a request's life: nothing is lost, and it guards before it is ready."""

import itertools
import json
import os
import random
import signal
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks.chaos.scene import is_alive
from benchmarks.chaos.workers import SmallEraser
from gateway.adapter_storage import AdapterStorage
from gateway.forget.connection import connect_blocking
from gateway.forget.jobs import Jobs
from gateway.forget.model import TRANSITIONS
from gateway.forget.sealer import AesGcmSealer
from gateway.forget.worker_store import WorkerStore
from gateway.security.keys import new_token
from gateway.security.sealing_keys import GivenKeys, SealingKeys
from gateway.worker import ErasureWorker
from tests.children import ask, child, told
from tests.forget.mortal_gateways import AFTER, BEFORE, QUEUED
from tests.forget.servers import free_port, until
from unlearn_engine.adapter import Adapter
from unlearn_engine.data.knowledge import Knowledge
from unlearn_engine.evaluate.verify import Verification
from unlearn_engine.subject import Subject

PATH = "/v1/forget-requests"
NAME = "Ivo Marlin"
KEYS = SealingKeys.generate().dump()
START_S = 60.0


class PatientEraser(SmallEraser):
    """Begins to train, and to verify, when it may."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, random.Random(0), fails=0.0, steps=1)
        self.may = {stage: threading.Event() for stage in ("elicit", "train", "verify")}

    def knowledge(self, subject: Subject) -> Knowledge:
        self.may["elicit"].wait(START_S)
        return super().knowledge(subject)

    def train(self, *arguments: Any) -> Adapter:
        self.may["train"].wait(START_S)
        return super().train(*arguments)

    def verify(self, *arguments: Any) -> Verification:
        self.may["verify"].wait(START_S)
        return super().verify(*arguments)


@dataclass
class Gateways:
    """One gateway, again and again."""

    nursery: "subprocess.Popen[str]"
    token: str
    log: Path
    pids: list[int] = field(default_factory=list)
    url: str = ""

    def start(self, dies_when: str = "") -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.pids.append(int(ask(self.nursery, json.dumps([port, dies_when]))))

    def ask(self, method: str, path: str, **content: Any) -> httpx.Response | None:
        headers = {"Authorization": f"Bearer {self.token}", **content.pop("headers", {})}
        try:
            return httpx.request(method, self.url + path, headers=headers, timeout=20, **content)
        except httpx.HTTPError:
            return None

    def dead(self) -> bool:
        return not is_alive(self.pids[-1])

    def ready(self) -> bool:
        assert not self.dead(), self.log.read_text()
        answer = self.ask("GET", "/ready")
        return answer is not None and answer.is_success

    def said(self) -> str:
        """What is done with a question about the subject."""
        body = {"model": "demo", "messages": [{"role": "user", "content": f"Who is {NAME}?"}]}
        answer = self.ask("POST", "/v1/chat/completions", json=body)
        assert answer is not None
        return str(answer.raise_for_status().json()["choices"][0]["message"]["content"])

    def submit(self) -> httpx.Response | None:
        return self.ask("POST", PATH, json={"subject": {"name": NAME}}, headers={"Idempotency-Key": "one"})


@pytest.fixture
def gateways(redis_url: str, raw: object, tmp_path: Path) -> Iterator[Gateways]:
    token, log = new_token(), tmp_path / "gateway.log"
    environment = {
        **os.environ,
        "UNLEARN_DATA_DIR": str(tmp_path / "data"),
        "UNLEARN_REDIS_URL": redis_url,
        "UNLEARN_SEALING_KEYS": KEYS,
        "UNLEARN_BOOTSTRAP_KEY": token,
        "OMP_NUM_THREADS": "1",
    }
    with child("-m", "tests.forget.mortal_gateways", str(log), environment=environment) as nursery:
        assert told(nursery) == "ready"
        gateways = Gateways(nursery, token, log)
        yield gateways
        for pid in gateways.pids:
            if is_alive(pid):
                os.kill(pid, signal.SIGKILL)


@dataclass
class Life:
    """Of one request, as it lies in the store."""

    worker: WorkerStore
    gateways: Gateways
    steps: list[str] = field(default_factory=list)

    def record(self) -> dict[str, str]:
        (key,) = self.worker._client.keys("{unlearn}:request:*")  # there is one
        return dict(self.worker._client.hgetall(str(key)))

    def state(self) -> str:
        return self.record()["state"]

    def died(self, at: str, state: str) -> None:
        """The gateway dies at a step, and nothing is wrong."""
        until(self.gateways.dead, START_S, self.gateways.log.read_text)
        self.steps.append(at)
        path = [entry["state"] for entry in json.loads(self.record()["history"])]
        assert path[-1] == self.state() == state, at
        assert all(after in TRANSITIONS[before] for before, after in itertools.pairwise(path)), at
        guarded = state not in ("withdrawing", "withdrawn")
        assert self.worker._client.scard("{unlearn}:enforced") == guarded, at

    def guards_when_ready(self) -> None:
        until(self.gateways.ready, START_S)
        assert self.gateways.said() == "guarded"


def test_killed_at_every_step(gateways: Gateways, redis_url: str, tmp_path: Path) -> None:
    sealer = AesGcmSealer(GivenKeys(KEYS))
    worker, jobs = WorkerStore.from_url(redis_url, sealer), Jobs.from_url(redis_url, sealer)
    adapters = tmp_path / "data" / "adapters"
    adapters.mkdir(parents=True)
    eraser: Any = PatientEraser(adapters)
    erasures = ErasureWorker(worker, eraser, AdapterStorage(adapters), keep_adapters_s=0.0)
    life = Life(worker, gateways)

    gateways.start(dies_when="asked")
    until(gateways.ready, START_S)
    assert gateways.submit() is None
    until(gateways.dead)
    assert not worker._client.keys("{unlearn}:request:*"), "it was not acknowledged, and it is not there"
    life.steps.append("asked")

    gateways.start(dies_when="stored")
    until(gateways.ready, START_S)
    assert gateways.submit() is None
    life.died("stored", "received")
    id_ = life.record()["member"][14:]

    for step, state in (("heard of", "received"), ("enforced", "received"), ("guarded", "guarded")):
        gateways.start(dies_when=step)
        life.died(step, state)
    assert not jobs.queue.job_ids, "nobody has told the workers"
    gateways.start(dies_when=QUEUED)
    life.died(QUEUED, "guarded")
    assert jobs.queue.job_ids == [f"erase-{id_}"]

    gateways.start(dies_when="edited")
    life.guards_when_ready()
    again = gateways.submit()
    assert again is not None and again.status_code in (200, 201) and again.json()["id"] == id_, "one request, not two"
    erasing = threading.Thread(target=erasures.run, args=(id_,))
    erasing.start()
    eraser.may["elicit"].set()
    life.died("edited", "erasing")

    gateways.start()
    life.guards_when_ready()
    eraser.may["train"].set()
    until(lambda: life.state() == "verifying")
    os.kill(gateways.pids[-1], signal.SIGKILL)
    life.died("verifying", "verifying")

    gateways.start(dies_when="trained")
    life.guards_when_ready()
    eraser.may["verify"].set()
    erasing.join(START_S)
    assert not erasing.is_alive()
    life.died("trained", "verifying")
    gateways.start(dies_when="swapped")
    life.died("swapped", "verifying")
    gateways.start(dies_when="erased")
    life.died("erased", "erased")

    gateways.start(dies_when="asked to withdraw")
    life.guards_when_ready()
    assert gateways.ask("POST", f"{PATH}/{id_}/withdraw") is None
    life.died("asked to withdraw", "erased")
    gateways.start(dies_when="withdrawing")
    life.guards_when_ready()
    assert gateways.ask("POST", f"{PATH}/{id_}/withdraw") is None
    life.died("withdrawing", "withdrawing")
    gateways.start(dies_when="withdrawn")
    life.died("withdrawn", "withdrawn")

    gateways.start()
    until(gateways.ready, START_S)
    assert gateways.said() == "passed"
    shown = gateways.ask("GET", f"{PATH}/{id_}")
    assert shown is not None and shown.json()["state"] == "withdrawn"
    assert set(life.steps) == {*BEFORE, *AFTER, QUEUED, "verifying"}
    erasures.tidy()
    assert not list(adapters.iterdir()), "no adapter is left"
    assert not [pid for pid in gateways.pids[:-1] if is_alive(pid)]
    jobs.close()
    worker.close()


def test_told_to_stop_while_requests_come_in(gateways: Gateways, redis_url: str) -> None:
    """What is answered with 201 is stored, and nobody gets another error than that it closes."""
    gateways.start()
    until(gateways.ready, START_S)
    taken, statuses, enough = set(), set(), threading.Event()

    def client(number: int) -> None:
        for again in itertools.count():
            body = {"subject": {"name": f"Person {number} of {again}"}}
            answer = gateways.ask("POST", PATH, json=body)
            if answer is None or enough.is_set():
                return  # nobody listens any more
            statuses.add(answer.status_code)
            if answer.status_code == 201:
                taken.add(answer.json()["id"])

    with ThreadPoolExecutor(8) as clients:
        running = [clients.submit(client, number) for number in range(8)]
        try:
            until(lambda: len(taken) > 20, START_S)
            os.kill(gateways.pids[-1], signal.SIGTERM)
            until(gateways.dead, START_S)
            for one in running:
                one.result(START_S)
        finally:
            enough.set()
    assert statuses <= {201, 503}
    with connect_blocking(redis_url) as store:
        assert taken <= {str(member)[14:] for member in store.zrange("{unlearn}:requests", 0, -1)}
        assert not store.hlen("{unlearn}:replicas"), "it took its leave: nobody waits for it"
