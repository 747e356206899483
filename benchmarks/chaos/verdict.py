"""When all is quiet: was anything lost, unguarded, in a wrong state, left over, or is the audit chain broken?"""

import asyncio
import itertools
import json
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from benchmarks.chaos.clients import Asked, Clients
from gateway.forget.model import TRANSITIONS, State
from gateway.verify_audit import check

AT_REST = frozenset({State.ERASED, State.GUARDED, State.WITHDRAWN})
LOOK_EVERY_S = 0.5


@dataclass
class Verdict:
    """What was found; each finding is a line."""

    lost: list[str] = field(default_factory=list)
    unguarded: list[str] = field(default_factory=list)
    illegal_states: list[str] = field(default_factory=list)
    broken_audit: list[str] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)


async def settle(clients: Clients, deadline: float) -> list[str]:
    """Lets everything come to rest: releases what is held, retries what failed; those that do not come to rest."""
    restless = [asked for asked in clients.asked if asked.ids]
    while restless and time.monotonic() < deadline:
        moving = []
        for asked in restless:
            request = await clients.get(asked.id)
            if request is not None and not _at_rest(asked, request):
                moving.append(asked)
                if request["state"] == State.ON_HOLD:
                    await clients.act(asked, "release")
                elif request["state"] == State.FAILED:
                    await clients.act(asked, "retry")
        restless = moving
        await asyncio.sleep(LOOK_EVERY_S)
    return [asked.id for asked in restless]


def _at_rest(asked: Asked, request: dict[str, Any]) -> bool:
    if asked.withdrawn:
        return bool(request["state"] == State.WITHDRAWN)
    return bool(request["state"] == (State.GUARDED if asked.guard_only else State.ERASED))


async def judge(clients: Clients, urls: Iterable[str], restless: Iterable[str], audit: Iterable[str]) -> Verdict:
    """Every promise, request by request, replica by replica."""
    found = Verdict(unguarded=list(clients.unguarded))
    found.illegal_states += [f"{id_} does not come to rest" for id_ in restless]
    lines = list(audit)
    if (problem := check(lines).problem) is not None:
        found.broken_audit.append(problem)
    walked = _walks(lines)
    for asked in clients.asked:
        if len(asked.ids) != 1:
            found.lost.append(f"{asked.idempotency_key} has {len(asked.ids)} ids")
        for id_ in asked.ids:
            request = await clients.get(id_)
            if request is None:
                found.lost.append(f"{id_} is gone")
                continue
            path = [State(entry["state"]) for entry in request["state_history"]]
            if any(after not in TRANSITIONS[before] for before, after in itertools.pairwise(path)):
                found.illegal_states.append(f"{id_} went {' '.join(path)}")
            if path[-1] != request["state"]:
                found.illegal_states.append(f"{id_} is {request['state']}, its history ends with {path[-1]}")
            if walked.get(id_) != path:
                found.broken_audit.append(f"{id_} has another history in the audit log")
        for url in urls:
            said = await clients.said(url, asked.name)
            if said != ("passed" if asked.withdrawn else "guarded"):
                found.unguarded.append(f"{asked.id} at the end: {said}")
    return found


def _walks(audit: Iterable[str]) -> dict[str, list[State]]:
    walks: dict[str, list[State]] = {}
    for entry in map(json.loads, audit):
        if entry["act"] == "transition":
            walks.setdefault(entry["request"], []).append(State(entry["to"]))
    return walks
