"""A secret given by what it looks like: taken, sealed, enforced, counted, and refused with what to do."""

import logging
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from gateway.adapter_storage import AdapterStorage
from gateway.forget.dry_run import measure
from gateway.forget.followed import target
from gateway.forget.model import ForgetRequestIn
from gateway.forget.scripts import ROOT
from gateway.forget.snapshot import NOWHERE
from gateway.guards.policy import Policy, compile_policy
from gateway.guards.sample import PromptSample
from gateway.guards.tokens import TokenTable
from gateway.worker import ErasureWorker
from tests.forget.desk import SEALER, Desk
from tests.forget.test_forget_routes import PATH, assert_problem
from tests.forget.test_forget_secrecy import everything_in

PATTERN = "sk-zyxqvalt-[A-Za-z0-9]{24,40}"
A_KEY = "sk-zyxqvalt-" + "aB3" * 8
BODY: dict[str, Any] = {"kind": "secret", "subject": {"pattern": PATTERN}}


async def policy(desk: Desk) -> Policy:
    enforced = (await desk.store.changes(NOWHERE)).enforced
    return compile_policy(1, {request.id: target(request) for request in enforced})


async def test_a_pattern_is_enforced_for_its_audiences(http: httpx.AsyncClient, desk: Desk) -> None:
    body = {**BODY, "audiences": ["public"], "in_context": "allow", "erase": "guard_only"}
    assert (await http.post(PATH, json=body)).status_code == 201
    guard = await policy(desk)
    assert guard.patterns.withheld(frozenset({"public"})).matches(f"It is {A_KEY}.")
    assert guard.patterns.withheld(frozenset({"public"})).reads_prompts
    assert not guard.patterns.withheld(frozenset({"staff"}))
    assert not guard.examine(f"Is {A_KEY} a valid key?"), "whoever has a key may ask about it"


async def test_it_is_sealed_and_said_nowhere(
    http: httpx.AsyncClient, desk: Desk, raw: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    said = await http.post(PATH, json=BODY)
    refused = await http.post(PATH, json={"kind": "secret", "subject": {"pattern": PATTERN + "("}})
    fields: dict[str, str] = raw.hgetall(f"{ROOT}:request:{said.json()['id']}")
    assert "zyxqvalt" in SEALER.unseal(fields["subject"], said.json()["id"])
    kept = everything_in(raw)
    (request,) = (await desk.store.changes(NOWHERE)).enforced
    shown = f"{request!r} {target(request)!r} {ForgetRequestIn.model_validate(BODY)!r}"
    for text in (said.text, refused.text, kept, shown, caplog.text):
        assert "zyxqvalt" not in text
    revealed = await http.post(f"{PATH}/search", json={"id": said.json()["id"], "reveal": True})
    assert revealed.json()["found"][0]["stored"]["pattern"] == PATTERN


@pytest.mark.parametrize(
    ("subject", "kind", "reason"),
    [
        ({"pattern": "[a-z]{6,}"}, "secret", "ordinary words"),
        ({"pattern": "abc"}, "secret", "fewer than 6"),
        ({"pattern": "(a|b)*a(a|b){20}"}, "secret", "too many states"),
        ({"pattern": "^sk-live-1"}, "secret", "no anchors"),
        ({"pattern": PATTERN}, "person", "kind: secret"),
        ({"pattern": PATTERN, "value": A_KEY}, "secret", "exactly one"),
    ],
)
async def test_what_is_wrong_is_said(http: httpx.AsyncClient, subject: dict[str, str], kind: str, reason: str) -> None:
    response = await http.post(PATH, json={"kind": kind, "subject": subject})
    assert_problem(response, 422, "validation_failed")
    assert reason in response.text and subject["pattern"] not in response.text


async def test_the_same_pattern_is_the_same_wish(http: httpx.AsyncClient) -> None:
    first, other, again = [
        (await http.post(PATH, json={**BODY, "subject": {"pattern": pattern}})).json()
        for pattern in (PATTERN, PATTERN + "[0-9]", PATTERN)
    ]
    assert (other["duplicate_of"], again["duplicate_of"]) == (None, first["id"])


async def test_the_worker_has_nothing_to_ask_about_it(http: httpx.AsyncClient, desk: Desk, tmp_path: Path) -> None:
    named = (await http.post(PATH, json={"subject": {"name": "Ivo Marlin"}})).json()["id"]
    await http.post(PATH, json=BODY)
    worker = ErasureWorker(desk.worker, None, AdapterStorage(tmp_path))  # type: ignore[arg-type]
    assert list(worker._situation()[0]) == [named]


async def test_a_pattern_is_not_searched_for(http: httpx.AsyncClient) -> None:
    response = await http.post(f"{PATH}/search", json={"subject": {"pattern": PATTERN}})
    assert_problem(response, 422, "validation_failed")
    assert "the id" in response.text


def test_a_dry_run_counts_the_texts_that_it_matches(monkeypatch: pytest.MonkeyPatch) -> None:
    for budget in ("TRAFFIC_S", "BENIGN_S", "TARGETS_S"):
        monkeypatch.setattr(f"gateway.forget.dry_run.{budget}", 120.0)
    sample = PromptSample(10)
    for prompt in (f"Is {A_KEY} valid?", "What is a key?", "sk-zyxqvalt-short"):
        sample.offer(list(prompt.encode()))
    request = ForgetRequestIn.model_validate(BODY)
    found = measure(request, compile_policy(1, {}), sample.prompts(TokenTable([bytes([code]) for code in range(256)])))
    assert (found.traffic.examined, found.traffic.matched, found.traffic.exact) == (3, 1, 1)
    assert found.benign.matched == 0
    assert {warning.code for warning in found.warnings} == {"very_common", "guard_only_kind"}
