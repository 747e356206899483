"""The randomised fault run, in short (docs/faults.md has the long one), and that it sees what it looks for."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.chaos.__main__ import run
from benchmarks.chaos.clients import Asked
from benchmarks.chaos.verdict import judge
from gateway.verify_audit import NOTHING_BEFORE
from gateway.verify_certificate import canonical

PROMISES = ("lost", "unguarded", "illegal_states", "broken_audit", "orphans")
ID = "00000000-0000-0000-0000-000000000000"


async def test_every_promise_is_kept(tmp_path: Path) -> None:
    result = await run(kills=15, requests=12, seed=3, replicas=3, folder=tmp_path)
    assert {name: result[name] for name in PROMISES} == dict.fromkeys(PROMISES, 0), json.dumps(result["findings"])
    assert result["kills"] == 15 and result["requests"] == 12
    assert len(result["killed"]) == 3 and result["guard_checks_during_kills"] > 0


class Told:
    """Clients whose gateways tell what they are made to."""

    def __init__(self, request: dict[str, Any] | None, said: str, ids: set[str]) -> None:
        self.request, self.what = request, said
        self.asked = [Asked("Ivo Marlin", "one", guard_only=True, ids=ids)]
        self.unguarded: list[str] = []

    async def get(self, _: str) -> dict[str, Any] | None:
        return self.request

    async def said(self, _: str, __: str) -> str:
        return self.what


def request(*states: str) -> dict[str, Any]:
    return {"state": states[-1], "state_history": [{"state": state} for state in states]}


def entry(to: str, before: str = "", sequence: int = 1) -> str:
    fields = {"act": "transition", "from": before, "to": to, "previous": NOTHING_BEFORE, "sequence": sequence}
    others = {"actor": "x", "object": "", "policy_version": 1, "reason": "", "request": ID, "time": 1}
    return canonical({**fields, **others}).decode()


@pytest.mark.parametrize(
    ("what", "clients", "audit"),
    [
        ("lost", Told(None, "guarded", {ID}), []),
        ("lost", Told(request("received"), "guarded", {ID, "another"}), [entry("received")]),
        ("unguarded", Told(request("received"), "passed", {ID}), [entry("received")]),
        ("illegal_states", Told(request("received", "erased"), "guarded", {ID}), [entry("received")]),
        ("broken_audit", Told(request("received"), "guarded", {ID}), []),
        (
            "broken_audit",
            Told(request("received", "guarded"), "guarded", {ID}),
            [entry("received"), entry("guarded", "received", 2)],
        ),
        ("", Told(request("received"), "guarded", {ID}), [entry("received")]),
    ],
)
async def test_it_would_see(what: str, clients: Any, audit: list[str]) -> None:
    found = vars(await judge(clients, ["http://one"], [], audit))
    assert {name for name in PROMISES if found[name]} >= ({what} if what else set())
    assert what or not any(found.values())
