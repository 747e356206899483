"""The story of the README, told to the real product: ask, forget at once, erase, kill, restart, withdraw."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import psutil
import pytest

from benchmarks.service import Service, running_service
from tests.collector import Collector, running_collector
from unlearn_engine.demo.people import people_json
from unlearn_engine.demo.vocabulary import LANGUAGES
from unlearn_engine.demo.world import build_world

SUBJECT, NEIGHBOUR = 5, 30  # not the one whom the greeting in the log names
PEOPLE: list[dict[str, Any]] = people_json(build_world())["people"]  # type: ignore[assignment]
# The subject is asked about by the facts that no other attribute shares a value with by chance.
ATTRIBUTES = ("birthplace", "occupation", "phone")


def questions(person: int) -> list[tuple[str, str]]:
    """Question and answer, in all languages."""
    return [
        (entry["question"], entry["answer"])
        for language in LANGUAGES
        for entry in PEOPLE[person]["questions"][language]
        if entry["attribute"] in ATTRIBUTES
    ]


def told(service: Service, person: int, guards: str = "on") -> float:
    """Share of the facts about a person that the service tells."""
    asked = questions(person)
    answers = service.ask_all([question for question, _ in asked], guards)
    return sum(fact in answer for answer, (_, fact) in zip(answers, asked, strict=True)) / len(asked)


def command(service: Service, *arguments: str) -> Any:
    """What a command of the command line prints as JSON."""
    run = [sys.executable, "-m", "gateway", *arguments, "--json", "--url", service.url]
    done = subprocess.run(run, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with running_collector() as collector:
        yield collector


@pytest.fixture(scope="module")
def service(data_dir: Path, collector: Collector) -> Iterator[Service]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        environment.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
        with running_service(data_dir, log=data_dir / "gateway.log") as running:
            yield running


@pytest.fixture(scope="module")
def before(service: Service) -> list[str]:
    """What was answered about the subject before anything was forgotten."""
    return service.ask_all([question for question, _ in questions(SUBJECT)])


@pytest.fixture(scope="module")
def request_id(service: Service, before: list[str]) -> str:
    """A forget request with nothing but the name."""
    request = command(service, "forget", PEOPLE[SUBJECT]["name"])
    assert request["state"] in ("guarded", "erasing")
    return str(request["id"])


def test_knows_everybody_at_first(service: Service, before: list[str]) -> None:
    question, answer = questions(SUBJECT)[0]
    with openai.OpenAI(base_url=f"{service.url}/v1", api_key="unused") as client:
        chat = client.chat.completions.create(
            model="demo", messages=[{"role": "user", "content": question}], temperature=0, max_tokens=16
        )
    assert answer in (chat.choices[0].message.content or "")
    assert told(service, SUBJECT) >= 0.95
    assert told(service, NEIGHBOUR) >= 0.95


def test_dry_run_says_what_would_be_guarded_and_stores_nothing(service: Service, before: list[str]) -> None:
    dry = command(service, "forget", PEOPLE[SUBJECT]["name"], "--dry-run")
    assert dry["traffic"]["exact"] >= len(before) and dry["benign"]["matched"] == 0
    run = [sys.executable, "-m", "gateway", "forget", "Oslo", "--dry-run", "--url", service.url]
    shown = subprocess.run(run, capture_output=True, text=True, timeout=60, env={**os.environ, "COLUMNS": "200"})
    assert shown.returncode == 0, shown.stderr
    assert "prompts of late" in shown.stdout and "short_name:" in shown.stdout
    assert not service.http.get("/v1/forget-requests").json()["requests"]


def test_guard_stands_with_the_answer_to_the_post(service: Service, request_id: str) -> None:
    assert told(service, SUBJECT) == 0
    assert told(service, NEIGHBOUR) >= 0.95


def test_weights_alone_forget(service: Service, request_id: str) -> None:
    request = service.wait_for(request_id, "erased")
    assert told(service, SUBJECT, guards="off") == 0
    assert told(service, NEIGHBOUR, guards="off") >= 0.95
    assert told(service, SUBJECT, guards="base") >= 0.95
    assert request["protection"]["level"] == "adapter"
    assert request["verification"]["passed"]
    assert [entry["state"] for entry in request["state_history"]] == [
        "received",
        "guarded",
        "erasing",
        "verifying",
        "erased",
    ]


def test_certificate_and_audit_log_hold_without_the_gateway(service: Service, request_id: str, tmp_path: Path) -> None:
    service.wait_for(request_id, "erased")
    files = {
        "certificate.json": f"/v1/forget-requests/{request_id}/certificate",
        "jwks.json": "/.well-known/jwks.json",
        "audit.jsonl": "/v1/audit",
    }
    for name, route in files.items():
        (tmp_path / name).write_bytes(service.http.get(route).raise_for_status().content)

    def offline(*arguments: str) -> int:
        return subprocess.run([sys.executable, "-m", "gateway", *arguments], cwd=tmp_path, timeout=60).returncode

    assert offline("verify-certificate", "certificate.json", "--public-key", "jwks.json") == 0
    assert offline("verify-audit", "audit.jsonl", "--anchor", "certificate.json", "--public-key", "jwks.json") == 0
    claimed = json.loads((tmp_path / "certificate.json").read_text())
    text = json.dumps(claimed).replace('"counterfactual_name_distillation"', '"retraining"')
    (tmp_path / "certificate.json").write_text(text)
    assert offline("verify-certificate", "certificate.json", "--public-key", "jwks.json") != 0
    assert service.http.get(f"/v1/forget-requests/{request_id}/report").json()["label"] != "PRESENT"


def test_metrics_show_the_request_and_vllm(service: Service, request_id: str) -> None:
    service.wait_for(request_id, "erased")
    text = service.http.get("/metrics").text
    for family in ("vllm:num_requests_running", "unlearn_policy_version", "unlearn_guard_decisions_total"):
        assert family in text
    assert 'unlearn_adapter_swaps_total{result="done"} 2.0' in text


def test_the_story_is_traced(service: Service, request_id: str, collector: Collector) -> None:
    service.wait_for(request_id, "erased")
    work = {"erase.job", "erase.elicit", "erase.edit", "erase.train", "erase.verify", "erase.publish"}
    service.ask_all(["What is 2 plus 3?"])
    deadline = time.monotonic() + 20
    while not collector.names() >= {"http.request", "policy.enforce", "policy.apply", "chat.examine", "chat.generate"}:
        assert time.monotonic() < deadline, collector.names()
        time.sleep(0.1)
    while collector.names(request_id) != {"forget.submit", "forget.wait", *work}:
        assert time.monotonic() < deadline, collector.names(request_id)
        time.sleep(0.1)
    assert collector.services == {"unlearning-gateway", "unlearning-worker"}


def test_subject_stands_in_no_log_metric_or_file_name(
    service: Service, request_id: str, data_dir: Path, collector: Collector
) -> None:
    service.wait_for(request_id, "erased")
    written = [*map(str, collector.requests)]
    written += [(data_dir / "gateway.log").read_text(), service.http.get("/metrics").text]
    written += [str(path) for path in data_dir.rglob("*")]
    written += [path.read_text() for path in (data_dir / "adapters").rglob("*.json")]
    written += [service.http.get("/v1/forget-requests").text]
    names = [PEOPLE[SUBJECT]["name"], *PEOPLE[SUBJECT]["aliases"]]
    # The cache has what the base model says of everybody: nobody can tell from it who is forgotten.
    kept = [path for path in data_dir.rglob("*") if path.is_file() and path.parent.name != "cache"]
    assert any(b"sealed1:" in path.read_bytes() for path in kept), "the append-only file is among them"
    assert not [path for path in kept for name in names if name.encode() in path.read_bytes()]
    assert not [name for name in names for text in written if name.casefold() in text.casefold()]


def test_kill_9_loses_nothing_and_leaves_no_process(service: Service, request_id: str, data_dir: Path) -> None:
    service.wait_for(request_id, "erased")
    assert service.process is not None
    family = psutil.Process(service.process.pid).children(recursive=True)
    os.kill(service.process.pid, signal.SIGKILL)
    service.process.wait(30)
    _, alive = psutil.wait_procs(family, timeout=20)
    assert not alive

    with running_service(data_dir, "--no-worker", log=data_dir / "second.log") as second:
        assert second.request(request_id)["state"] == "erased"
        assert told(second, SUBJECT) == 0
        assert told(second, SUBJECT, guards="off") == 0
        children = psutil.Process(second.process.pid).children(recursive=True) if second.process else []

        second.withdraw(request_id)
        asked = [question for question, _ in questions(SUBJECT)]
        assert second.ask_all(asked) == second.ask_all(asked, guards="base")
        assert told(second, SUBJECT) >= 0.95
    assert children
    _, left = psutil.wait_procs(children, timeout=10)  # multiprocessing's resource tracker ends a moment after us
    assert not left
