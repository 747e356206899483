"""The real product on a Sentinel and on a Cluster: a name is forgotten, the master dies, another name is forgotten.

Each with what such deployments have besides: on the Sentinel tokens of an OpenID provider and adapters in S3, on the
Cluster facts as hashes, fewer descriptions, and a rotated key.
"""

import os
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
from tests.forget.object_storage import BUCKET, object_storage
from tests.forget.servers import Topology, behind_sentinel, cluster
from tests.security.provider import AUDIENCE, Provider, running_provider
from unlearn_engine.demo.people import people_json
from unlearn_engine.demo.world import build_world

PEOPLE: list[dict[str, Any]] = people_json(build_world())["people"]  # type: ignore[assignment]
FIRST, SECOND, NEIGHBOUR = 5, 7, 30
DESK = "forget:submit forget:read forget:review"


def told(service: Service, person: int, token: str | None = None, guards: str = "on") -> bool:
    """Whether the birthplace is told in English, as the official client is answered."""
    asked = next(one for one in PEOPLE[person]["questions"]["en"] if one["attribute"] == "birthplace")
    with openai.OpenAI(base_url=f"{service.url}/v1", api_key=token or "unused", max_retries=0) as client:
        chat = client.chat.completions.create(
            model="demo",
            messages=[{"role": "user", "content": asked["question"]}],
            temperature=0,
            max_tokens=16,
            extra_headers={} if guards == "on" else {"X-Unlearn-Guards": guards},
        )
    return asked["answer"] in (chat.choices[0].message.content or "")


def forget(service: Service, person: int, **fields: Any) -> str:
    """As a client does: with the same Idempotency-Key until it is stored, and until it is enforced."""
    name = PEOPLE[person]["name"]
    headers, deadline = {"Idempotency-Key": f"request about {person}", "Prefer": "wait=10"}, time.monotonic() + 60
    while True:
        body = {"subject": {"name": name}, **fields}
        answer = service.http.post("/v1/forget-requests", json=body, headers=headers)
        if answer.is_success:
            found = answer.json()
            assert found["state"] in ("guarded", "erasing"), found
            return str(found["id"])
        assert answer.status_code == httpx.codes.SERVICE_UNAVAILABLE and answer.headers["retry-after"]
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.fixture
def provider() -> Iterator[Provider]:
    with running_provider() as provider:
        yield provider


def test_behind_a_sentinel_with_tokens_and_adapters_in_s3(
    tmp_path: Path, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("moto", reason="the test extra is not installed")
    environment = {
        "UNLEARN_OIDC_ISSUER": provider.issuer,
        "UNLEARN_OIDC_AUDIENCE": AUDIENCE,
        "UNLEARN_OIDC_AUDIENCES_CLAIM": "groups",
        "UNLEARN_OIDC_AUDIENCES": '{"/staff": ["staff"], "/customers": ["public"]}',
        "UNLEARN_OIDC_RATE_CLAIM": "rate",
        "UNLEARN_ADAPTERS_URL": f"s3://{BUCKET}/adapters",
    }
    with behind_sentinel(tmp_path / "redis") as topology, object_storage(tmp_path / "s3.log") as s3:
        for name, value in {**environment, **s3.environment}.items():
            monkeypatch.setenv(name, value)
        log = tmp_path / "gateway.log"
        with running_service(tmp_path / "data", "--auth", "--redis-url", topology.url, log=log) as service:
            staff, customer, stranger = (
                provider.token(scope="chat", groups=groups) for groups in (["/staff"], ["/customers"], [])
            )
            service.http.headers["Authorization"] = f"Bearer {provider.token(scope=DESK, sub='desk')}"
            forget(service, FIRST, erase="guard_only", audiences=["public"])
            assert [told(service, FIRST, token) for token in (staff, customer, stranger)] == [True, False, False]
            topology.kill_primary()
            id_ = forget(service, SECOND)
            assert [told(service, person, staff) for person in (FIRST, SECOND, NEIGHBOUR)] == [True, False, True]
            assert not told(service, FIRST, customer)
            digest = service.wait_for(id_, "erased")["erasure"]["composite_digest"]
            assert not told(service, SECOND, staff, "off") and told(service, SECOND, staff, "base")
            stored = s3.client().list_objects_v2(Bucket=BUCKET)["Contents"]
            assert digest in {entry["Key"].split("/")[1] for entry in stored}
            seldom = provider.token(scope="chat", sub="seldom", rate="1/hour")
            assert not told(service, SECOND, seldom)
            with pytest.raises(openai.RateLimitError):
                told(service, SECOND, seldom)
        assert s3.secret_key not in log.read_text() and "Traceback" not in log.read_text()


def test_on_a_cluster_with_hashed_facts_and_a_rotated_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNLEARN_FACTS_AT_REST", "hashed")
    monkeypatch.setenv("UNLEARN_DESCRIPTIONS", "precision")
    data_dir, log = tmp_path / "data", tmp_path / "gateway.log"
    with (
        cluster(tmp_path / "redis") as topology,
        running_service(data_dir, "--redis-url", topology.url, log=log) as service,
    ):
        forget(service, FIRST, erase="guard_only")
        topology.kill_primary()
        rotate(topology, data_dir)
        id_ = forget(service, SECOND)
        assert [told(service, person) for person in (FIRST, SECOND, NEIGHBOUR)] == [False, False, True]
        service.wait_for(id_, "erased")
        assert not told(service, SECOND, guards="off") and told(service, SECOND, guards="base")
    assert "Traceback" not in log.read_text()


def rotate(topology: Topology, data_dir: Path) -> None:
    """As an operator does, beside the running gateway."""
    run = [sys.executable, "-m", "gateway", "rotate-key", "--data-dir", str(data_dir), "--redis-url", topology.url]
    deadline = time.monotonic() + 60
    while (done := subprocess.run(run, capture_output=True, text=True, timeout=60, env=dict(os.environ))).returncode:
        assert time.monotonic() < deadline, done.stderr
