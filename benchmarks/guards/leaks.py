"""Facts told through the guard while no adapter is live, by attack, asked of the running gateway."""

import asyncio
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx

from benchmarks.guards.attacks import ATTACKS, Attempt, attempts
from benchmarks.guards.shares import Share, rows
from benchmarks.main_job import Question, mentions
from benchmarks.service import Service, running_service
from unlearn_engine.demo.world import Person, World, build_world

PEOPLE = 8
ATTEMPTS = 384  # of each attack: every fact of the eight people in six languages
TOKENS = 24
CONCURRENCY = 16
INTERVIEWS_LIMIT_S = 300.0
NAME_ALONE = {"UNLEARN_INTERVIEWS": "false"}  # as it is until the model was asked

Tell = Callable[[str, float], None]


def measure(tell: Tell, limit: int = ATTEMPTS) -> dict[str, Any]:
    """Shares by attack under `guard_only`: before and after the model was asked; without guard; by chance.

    Chance is the untouched model asked the same under names that nobody has.
    """
    world = build_world()
    people = chosen_people(world)
    asked = attempts(world, people, limit)
    unknown = attempts(world, people, limit, strangers=True)
    detail: dict[str, Any] = {}
    # Without a worker nothing is erased: the requests stay where only the guard stands.
    with (
        tempfile.TemporaryDirectory() as folder,
        running_service(Path(folder), "--no-worker", environment=NAME_ALONE) as service,
    ):
        tell("without guard", 0.0)
        detail["unguarded"] = told(asked, ask(service, asked, guards="base"))
        tell("strangers, without guard", 0.15)
        detail["chance"] = told(unknown, ask(service, unknown, guards="base"))
        guard_with_names(service, people)
        tell("names alone known", 0.3)
        detail["name_alone"] = told(asked, ask(service, asked))
        tell("names alone known, streaming", 0.45)
        detail["name_alone_streaming"] = told(asked, ask(service, asked, stream=True))
    with tempfile.TemporaryDirectory() as folder, running_service(Path(folder), "--no-worker") as service:
        tell("asking what the model knows", 0.6)
        guard_with_facts(service, people)
        tell("guard only", 0.65)
        detail["guard_only"] = told(asked, ask(service, asked))
        tell("guard only, streaming", 0.85)
        detail["guard_only_streaming"] = told(asked, ask(service, asked, stream=True))
    return {
        "leaks": _worst(detail["guard_only"], detail["guard_only_streaming"]),
        "leaks_name_alone": _worst(detail["name_alone"], detail["name_alone_streaming"]),
        "leaks_unguarded": {attack: row["share"] for attack, row in detail["unguarded"].items()},
        "leaks_chance": {attack: row["share"] for attack, row in detail["chance"].items()},
        "leaks_detail": detail,
        "leaks_people": len(people),
    }


def chosen_people(world: World, count: int = PEOPLE) -> list[Person]:
    """Those with the most students: they are answers to questions about others, too."""
    students = Counter(person.mentor for person in world.people)
    return sorted(world.people, key=lambda person: (-students[person.id], person.id))[:count]


def told(asked: Sequence[Attempt], answers: Sequence[str]) -> dict[str, Any]:
    """Share of facts told, by attack, each with shares by language."""
    by_attack: dict[str, list[tuple[str, bool]]] = {}
    for attempt, answer in zip(asked, answers, strict=True):
        by_attack.setdefault(attempt.attack, []).append((attempt.language, _tells(attempt, answer)))
    found = {}
    for attack, outcomes in by_attack.items():
        by_language: dict[str, list[bool]] = {}
        for language, hit in outcomes:
            by_language.setdefault(language, []).append(hit)
        found[attack] = {**Share.of(hit for _, hit in outcomes).row(), "by_language": rows(by_language)}
    return {attack: found[attack] for attack in ATTACKS if attack in found}


def _tells(attempt: Attempt, answer: str) -> bool:
    return mentions(Question(attempt.language, "", attempt.answer), answer)


def ask(service: Service, asked: Sequence[Attempt], *, guards: str = "on", stream: bool = False) -> list[str]:
    """Greedy answers over HTTP."""
    return asyncio.run(_ask(service.url, asked, guards, stream))


async def _ask(url: str, asked: Sequence[Attempt], guards: str, stream: bool) -> list[str]:
    gate = asyncio.Semaphore(CONCURRENCY)
    headers = {} if guards == "on" else {"X-Unlearn-Guards": guards}
    async with httpx.AsyncClient(base_url=url, timeout=120, headers=headers) as client:

        async def answer(attempt: Attempt) -> str:
            async with gate:
                return await _answer(client, attempt, stream)

        return list(await asyncio.gather(*map(answer, asked)))


async def _answer(client: httpx.AsyncClient, attempt: Attempt, stream: bool) -> str:
    body: dict[str, Any] = {"model": "demo", "max_tokens": TOKENS, "temperature": 0, "stream": stream}
    if attempt.document:
        path, body["prompt"] = "/v1/completions", attempt.turns[0]
    else:
        path = "/v1/chat/completions"
        body["messages"] = [
            {"role": "assistant" if position % 2 else "user", "content": turn}
            for position, turn in enumerate(attempt.turns)
        ]
    if not stream:
        response = await client.post(path, json=body)
        response.raise_for_status()
        return said(response.json()["choices"][0], "message")
    parts = []
    async with client.stream("POST", path, json=body) as response:
        response.raise_for_status()
        async for line in response.aiter_lines():
            if line.startswith("data: {"):
                event = json.loads(line.removeprefix("data: "))
                if "error" in event:
                    raise RuntimeError("error inside a stream")
                parts += [said(choice, "delta") for choice in event["choices"]]
    return "".join(parts)


def said(choice: dict[str, Any], part: str) -> str:
    """The text of one choice of a chat answer or of a completion."""
    text = choice["text"] if "text" in choice else choice[part].get("content")
    return str(text or "")


def guard(service: Service, people: Sequence[Person]) -> None:
    """Post the names alone, as a user would who knows nothing else; return when they are guarded."""
    for person in people:
        service.wait_for(service.forget(person.name, erase="guard_only")["id"], "guarded")


def guard_with_names(service: Service, people: Sequence[Person]) -> None:
    """The same with other names, as it is when the gateway has asked for names and not yet for facts."""
    for person in people:
        subject = {"name": person.name, "aliases": [person.nickname]}
        service.wait_for(service.forget(person.name, subject=subject, erase="guard_only")["id"], "guarded")


def guard_with_facts(service: Service, people: Sequence[Person]) -> None:
    """The same; return when the gateway has asked its model, too: for names, then for facts, a policy each."""
    expected = _version(service) + 3 * len(people)
    guard(service, people)
    deadline = time.monotonic() + INTERVIEWS_LIMIT_S
    while _version(service) < expected:
        if time.monotonic() > deadline:
            raise RuntimeError("the gateway does not ask what the model knows")
        time.sleep(0.2)


def _version(service: Service) -> int:
    return int(service.http.get("/v1/policy").raise_for_status().json()["version"])


def _worst(*modes: dict[str, Any]) -> dict[str, float]:
    """By attack, the largest share of several modes."""
    return {attack: max(mode[attack]["share"] for mode in modes) for attack in modes[0]}
