"""The real product asks for keys: started as a user does, without --no-auth."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from benchmarks.service import Service, running_service
from unlearn_engine.demo.templates import phrasebooks
from unlearn_engine.demo.world import build_world

QUESTION = [{"role": "user", "content": "What is 2 plus 3?"}]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    data_dir = tmp_path_factory.mktemp("data")
    with running_service(data_dir, "--auth", "--no-worker", log=data_dir / "gateway.log") as running:
        running.data_dir = data_dir  # type: ignore[attr-defined]
        yield running


def keys(service: Service, *arguments: str) -> str:
    """`unlearn-gateway keys` beside the running gateway."""
    data_dir: Path = service.data_dir  # type: ignore[attr-defined]
    command = [sys.executable, "-m", "gateway", "keys", *arguments, "--data-dir", str(data_dir)]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.strip()


def client(service: Service, key: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{service.url}/v1", api_key=key, timeout=60, max_retries=0)


def test_a_key_from_its_making_to_its_end(service: Service) -> None:
    key = keys(service, "create", "--name", "shop", "--scope", "chat")
    shop = client(service, key)
    deadline = time.monotonic() + 10
    while True:
        try:
            shop.models.list()
            break
        except openai.AuthenticationError:
            assert time.monotonic() < deadline, "the running gateway did not hear of the key"
    stream = shop.chat.completions.create(model="demo", messages=QUESTION, max_tokens=8, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices).strip()
    with pytest.raises(openai.PermissionDeniedError) as refused:
        shop.get("/forget-requests", cast_to=httpx.Response)
    assert "forget:read" in refused.value.response.text
    keys(service, "revoke", key.split("_")[1])
    while True:
        try:
            shop.models.list()
        except openai.AuthenticationError as error:
            assert error.code == "invalid_api_key"
            break
        assert time.monotonic() < deadline + 10, "the running gateway did not hear of the revocation"


def test_nobody_gets_in_without(service: Service) -> None:
    paths = ("/v1/models", "/v1/forget-requests", "/v1/policy", "/v1/keys", "/metrics", "/metrics/", "/openapi.json")
    assert {service.http.get(path).status_code for path in paths} == {401}
    with pytest.raises(openai.AuthenticationError):
        client(service, "unused").chat.completions.create(model="demo", messages=QUESTION, max_tokens=1)
    assert {service.http.get(path).status_code for path in ("/health", "/ready")} == {200}


def test_what_no_route_answers_is_told_in_the_style_of_the_route(service: Service) -> None:
    key = keys(service, "create", "--name", "admin", "--scope", "chat", "--scope", "forget:admin")
    headers = {"Authorization": f"Bearer {key}"}
    deadline = time.monotonic() + 10
    while (unknown := service.http.get("/v1/nowhere", headers=headers)).status_code == 401:
        assert time.monotonic() < deadline
    assert (unknown.status_code, unknown.headers["content-type"]) == (404, "application/problem+json")
    assert unknown.json()["code"] == "not_found"
    wrong = service.http.delete("/v1/chat/completions", headers=headers)
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")
    assert wrong.json()["error"]["code"] == "method_not_allowed"
    fields = service.http.post("/v1/messages", json={"model": "demo", "max_tokens": 0}, headers=headers)
    assert (fields.status_code, fields.json()["type"]) == (400, "error")
    assert "max_tokens" in fields.json()["error"]["message"]
    text = service.http.post("/v1/chat/completions", json={"model": "demo", "messages": "Hello"}, headers=headers)
    assert (text.status_code, text.json()["error"]["param"]) == (400, "body.messages")


def test_metrics_have_a_scope_of_their_own(service: Service) -> None:
    key = keys(service, "create", "--name", "prometheus", "--scope", "metrics")
    headers = {"Authorization": f"Bearer {key}"}
    deadline = time.monotonic() + 10
    while (answer := service.http.get("/metrics", headers=headers, follow_redirects=True)).status_code == 401:
        assert time.monotonic() < deadline
    assert answer.status_code == 200 and "unlearn_policy_version" in answer.text
    assert service.http.get("/v1/models", headers=headers).status_code == 403


def test_a_nickname_is_guarded_before_a_worker_comes(service: Service) -> None:
    world = build_world()
    person = world.people[0]
    question, home = phrasebooks()["en"].questions["birthplace"][0], world.answer(person, "birthplace", "en")
    admin = client(
        service,
        keys(
            service,
            "create",
            "--name",
            "desk",
            "--scope",
            "chat",
            "--scope",
            "forget:submit",
            "--scope",
            "forget:review",
        ),
    )
    asked = [{"role": "user", "content": question.format(name=person.nickname)}]

    def said() -> str:
        answer = admin.chat.completions.create(model="demo", messages=asked, max_tokens=16, temperature=0)
        return answer.choices[0].message.content or ""

    deadline = time.monotonic() + 10
    while True:
        try:
            assert home in said()
            break
        except openai.AuthenticationError:
            assert time.monotonic() < deadline, "the running gateway did not hear of the key"
    request = {"kind": "person", "subject": {"name": person.name}, "erase": "guard_only"}
    admin.post("/forget-requests", body=request, cast_to=httpx.Response)
    while home in said():
        assert time.monotonic() < deadline + 60, "the nickname is not guarded"


def test_requests_are_found_by_a_name_on_the_command_line(service: Service) -> None:
    scopes = [word for scope in ("submit", "review", "reveal") for word in ("--scope", f"forget:{scope}")]
    key = keys(service, "create", "--name", "officer", *scopes)

    def told(*arguments: str) -> dict[str, Any]:
        command = [sys.executable, "-m", "gateway", *arguments, "--url", service.url, "--api-key", key, "--json"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        return json.loads(done.stdout) if done.returncode == 0 else {}

    deadline = time.monotonic() + 30
    while not (submitted := told("forget", "Ívo Marlin", "--alias", "Whuzzix", "--guard-only")):
        assert time.monotonic() < deadline, "the running gateway did not hear of the key"
    for name in ("ivo marlin", "WHUZZIX"):
        assert [one["id"] for one in told("find", name)["requests"]] == [submitted["id"]]
    assert told("find", "Otto Kral") == {"requests": []}
    assert told("forget", r"sk-live-[a-z0-9]{24}", "--pattern")["kind"] == "secret"
    assert told("forget", "[a-z]+", "--pattern") == {}
