"""The real product where no fact may be stored: the worker asks the model, Redis holds hashes, nothing is told."""

import json
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from benchmarks.service import Service, running_service
from gateway.forget.errors import SealError
from gateway.forget.sealer import AesGcmSealer
from gateway.security.sealing_keys import key_source
from gateway.settings import Settings
from unlearn_engine.demo.vocabulary import ATTRIBUTES, LANGUAGES
from unlearn_engine.demo.world import build_world

WORLD = build_world()
PERSON = WORLD.people[5]
FACTS = sorted({WORLD.answer(PERSON, one, language) for one in ATTRIBUTES for language in LANGUAGES})


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def guarded(data_dir: Path) -> Iterator[Service]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNLEARN_FACTS_AT_REST", "hashed")
        with running_service(data_dir) as service:
            id_ = service.forget(PERSON.name, erase="guard_only")["id"]
            service.wait_for(id_, "guarded")
            wait_for_findings(service)
            yield service


def wait_for_findings(service: Service) -> None:
    """Until the worker has recorded them and the gateway has taken them in."""
    deadline = time.monotonic() + 120
    while forced(service, f"It is {PERSON.phone}.", stream=False).strip() != "It is":
        assert time.monotonic() < deadline
        time.sleep(0.2)


def forced(service: Service, text: str, *, stream: bool) -> str:
    """The answer of a model that can say nothing else, to a question that names the person."""
    body: dict[str, Any] = {
        "model": "demo",
        "messages": [{"role": "user", "content": f"Who is {PERSON.name}?"}],
        "structured_outputs": {"choice": [text]},
        "max_tokens": 60,
        "stream": stream,
    }
    if not stream:
        return str(service.http.post("/v1/chat/completions", json=body).json()["choices"][0]["message"]["content"])
    events = service.http.post("/v1/chat/completions", json=body).text.splitlines()
    parts = [json.loads(line.removeprefix("data: ")) for line in events if line.startswith("data: {")]
    return "".join(choice["delta"].get("content") or "" for part in parts for choice in part["choices"])


def test_no_fact_is_in_the_files_of_redis(guarded: Service, data_dir: Path) -> None:
    """Not even for one who has the sealing keys."""
    stored = b"".join(file.read_bytes() for file in (data_dir / "redis").rglob("*") if file.is_file())
    sealer = AesGcmSealer(key_source(Settings(data_dir=data_dir)))
    (request,) = guarded.http.get("/v1/forget-requests").json()["requests"]
    opened = []
    for sealed in re.findall(rb"sealed1:\w+:[A-Za-z0-9+/=]+", stored):
        with suppress(SealError):  # those that belong to no request
            opened.append(sealer.unseal(sealed.decode(), request["id"]))
    assert [text for text in opened if '"hashes"' in text]
    # Short ones turn up in digests and ids by chance.
    facts = [fact for fact in FACTS if len(fact.encode()) > 4]
    assert not [fact for fact in facts if fact.encode() in stored or fact in "".join(opened)]


@pytest.mark.parametrize("stream", [False, True])
def test_a_guarded_answer_does_not_tell_a_fact(guarded: Service, stream: bool) -> None:
    for fact in FACTS:
        told = forced(guarded, f"It is {fact}.", stream=stream)
        assert "It is".startswith(told.strip()) and fact not in told
    assert forced(guarded, "It is unknown.", stream=stream) == "It is unknown."
