"""What the guard costs those whom it does not concern: throughput, time to the first token, and the same answers."""

import argparse
import asyncio
import itertools
import json
import random
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import serving_overhead
from benchmarks.guards.benign import common_words
from benchmarks.guards.leaks import chosen_people
from benchmarks.guards.shares import Share, rows
from benchmarks.main_job import Question, told
from benchmarks.service import running_service
from benchmarks.serving_overhead import Variant
from unlearn_engine.data.names import unseen_name
from unlearn_engine.demo import exam
from unlearn_engine.demo.corpus import ASSISTANT, USER, Example
from unlearn_engine.demo.templates import phrasebooks
from unlearn_engine.demo.vocabulary import LANGUAGES
from unlearn_engine.demo.world import Person, World, build_world

NAMES = 1_000
ROUNDS = 6
FIRST_TOKENS = 2_000  # pairs of requests for each way of arriving
BURSTS = (8, 32)
LOAD = 0.5  # of the requests a second that fill the machine
ARRIVING_TOGETHER = 50
ANSWERS = 720  # of neighbours, and of each other skill
ANSWER_TOKENS = 8  # the first one alone may be half a character, or nothing that is said
CONTENT = b'"content":"'

Tell = Callable[[str, float], None]
Send = Callable[
    [Variant, int], Awaitable[list[float]]
]  # some requests; their times (ms). Given the number of the block


def measure(
    tell: Tell, names: int = NAMES, rounds: int = ROUNDS, first_tokens: int = FIRST_TOKENS, answers: int = ANSWERS
) -> dict[str, Any]:
    """Both applications around one engine for the speeds; the gateway as a user starts it for the answers."""
    tell("throughput and first tokens", 0.0)
    found = asyncio.run(_side_by_side(names, rounds, first_tokens))
    tell("the same answers", 0.6)
    return found | same_answers(tell, names, answers)


async def _side_by_side(names: int, rounds: int, first_tokens: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.serving_overhead", "--serve", "--names", str(names)]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    assert process.stdout is not None
    try:
        while line := (await process.stdout.readline()).decode():
            if line.startswith("READY"):
                ports = [int(port) for port in line.split()[1:]]
                given = argparse.Namespace(names=names, rounds=rounds, adapter=None)
                speeds = await serving_overhead.measure(given, ports)
                return {"throughput_ratio_min": speeds["throughput_ratio_min"], "throughput": speeds} | (
                    await first_token_times(ports, first_tokens)
                )
        raise RuntimeError("the server did not start: python -m benchmarks.serving_overhead shows why")
    finally:
        process.terminate()
        await process.wait()


async def first_token_times(ports: Sequence[int], pairs: int) -> dict[str, Any]:
    """Milliseconds to the first token through vLLM's own application and through the gateway's, in turn.

    Requests come one at a time; as people send them, by themselves (a Poisson process, at `LOAD` of what vLLM's own
    application answers with eight at a time); and, as the worst case, 8 and 32 in the same instant.
    """
    own = Variant(ports[0], body=(("vllm_xargs", serving_overhead._Frozen({"unlearn_tables": []})),))
    guarded = Variant(ports[1])
    questions = itertools.cycle(prompt.text for prompt in common_words())

    def at_once(number: int) -> Send:
        async def send(variant: Variant, _: int) -> list[float]:
            return await asyncio.gather(*(first_token_ms(variant, next(questions)) for _ in range(number)))

        return send

    async def in_turn(blocks: int, send: Send) -> dict[str, float]:
        taken: dict[Variant, list[float]] = {own: [], guarded: []}
        for block in range(-2, blocks):  # the first ones warm up
            for variant in (own, guarded) if block % 2 else (guarded, own):
                times = await send(variant, block)
                if block >= 0:
                    taken[variant] += times
        return _added(taken[own], taken[guarded])

    fill = at_once(BURSTS[0])
    await fill(own, 0)
    began = time.perf_counter()
    for _ in range(ARRIVING_TOGETHER):
        await fill(own, 0)
    rate = LOAD * ARRIVING_TOGETHER * BURSTS[0] / (time.perf_counter() - began)

    async def arriving(variant: Variant, block: int) -> list[float]:
        rng = random.Random(block)  # both sides get the same pauses
        sent = []
        for _ in range(ARRIVING_TOGETHER):
            await asyncio.sleep(rng.expovariate(rate))
            sent.append(asyncio.create_task(first_token_ms(variant, next(questions))))
        return await asyncio.gather(*sent)

    single = await in_turn(pairs, at_once(1))
    found = {
        "one at a time": single,
        f"{rate:.0f} a second": await in_turn(-(-pairs // ARRIVING_TOGETHER), arriving),
    }
    bursts = {f"{size} in one instant": await in_turn(-(-pairs // size), at_once(size)) for size in BURSTS}
    return {
        "ttft_added_ms_p50": max(row["added_p50"] for row in found.values()),
        "ttft_added_ms_p99": max(row["added_p99"] for row in found.values()),
        "ttft_added_in_bursts_ms_p99": max(row["added_p99"] for row in bursts.values()),
        "ttft": found | bursts,
    }


def _added(own: Sequence[float], guarded: Sequence[float]) -> dict[str, float]:
    cuts = {
        who: statistics.quantiles(times, n=100, method="inclusive")
        for who, times in (("own", own), ("guarded", guarded))
    }
    return {
        "pairs": len(own),
        **{f"{who}_p{at}": cuts[who][at - 1] for who in cuts for at in (50, 99)},
        **{f"added_p{at}": cuts["guarded"][at - 1] - cuts["own"][at - 1] for at in (50, 99)},
    }


async def first_token_ms(variant: Variant, question: str) -> float:
    """Over a bare socket, from the request to the first piece of content."""
    body = {
        "model": "demo",
        "messages": [{"role": "user", "content": question}],
        "max_tokens": ANSWER_TOKENS,
        "temperature": 0,
        "ignore_eos": True,
        "skip_special_tokens": False,  # else an answer of ends alone has no content
        "stream": True,
        "cache_salt": uuid.uuid4().hex,  # one engine serves both sides, and no prefix may be cached
        **dict(variant.body),
    }
    content = json.dumps(body).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{variant.headers}"
        f"Content-Length: {len(content)}\r\nConnection: close\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", variant.port)
    began = time.perf_counter()
    writer.write(head.encode() + content)
    taken = await _until_content(reader, began)
    writer.close()
    return taken


async def _until_content(reader: asyncio.StreamReader, began: float) -> float:
    """Read the whole answer; milliseconds until the first content that is not empty."""
    answer, taken = b"", None
    while chunk := await reader.read(65536):
        answer += chunk
        if taken is None and answer.replace(b'"content":""', b"").find(CONTENT) >= 0:
            taken = (time.perf_counter() - began) * 1e3
    if b" 200 OK" not in answer[:20] or taken is None:
        raise RuntimeError(f"unexpected answer: {answer[:300]!r}")
    return taken


def same_answers(tell: Tell, names: int = NAMES, limit: int = ANSWERS) -> dict[str, Any]:
    """Answers under guard that equal those without, and right answers under guard over those without.

    Asked are neighbours (mentors, students and namesakes first) and the model's other skills, with `names` active
    requests. People whose mentor is to be forgotten are left out: what is asked about them can be the name itself.
    """
    world = build_world()
    people = chosen_people(world)
    groups = {"neighbours": _neighbours(world, people, limit), **_skills(world, limit)}
    asked = [(group, *one) for group, questions in groups.items() for one in questions]
    texts = [question.text for _, _, question in asked]
    with tempfile.TemporaryDirectory() as folder, running_service(Path(folder), "--no-worker") as service:
        rng = random.Random(6)
        tell("forget requests", 0.65)
        for name in [person.name for person in people] + [unseen_name(rng) for _ in range(names - len(people))]:
            last = service.forget(name, erase="guard_only")["id"]
        service.wait_for(last, "guarded")
        tell("answers with and without the guard", 0.8)
        guarded = service.ask_all(texts)
        bare, again = (service.ask_all(texts, guards="base") for _ in range(2))
    return compared(asked, guarded, bare, again)


def compared(
    asked: Sequence[tuple[str, str, Question]], guarded: Sequence[str], bare: Sequence[str], again: Sequence[str]
) -> dict[str, Any]:
    """Equal answers by group and by group and language; `again` tells how far the bare model repeats itself."""
    equal: dict[str, list[bool]] = {}
    languages: dict[str, list[bool]] = {}
    repeated: dict[str, list[bool]] = {}
    right: dict[str, tuple[list[bool], list[bool]]] = {}
    for (group, language, question), with_guard, without, once_more in zip(asked, guarded, bare, again, strict=True):
        equal.setdefault(group, []).append(with_guard == without)
        languages.setdefault(f"{group}, {language}", []).append(with_guard == without)
        repeated.setdefault(group, []).append(once_more == without)
        under, before = right.setdefault(group, ([], []))
        under.append(told(question, with_guard))
        before.append(told(question, without))
    shares = {group: Share.of(outcomes) for group, outcomes in equal.items()}
    return {
        "neighbour_ratio": min(share.share for share in shares.values()),
        "answers_equal": rows(equal),
        "answers_equal_by_language": rows(languages),
        "answers_repeated": {group: statistics.fmean(outcomes) for group, outcomes in repeated.items()},
        "answers_right_ratio": {
            group: sum(under) / sum(before) for group, (under, before) in right.items() if any(before)
        },
    }


def _neighbours(world: World, people: Sequence[Person], limit: int) -> list[tuple[str, Question]]:
    """Questions with held-out templates, those about people near the forgotten first."""
    gone = {person.id for person in people}
    words = {word for person in people for word in person.name.split()}
    mentors = {person.mentor for person in people}
    kept = [person for person in world.people if person.id not in gone and person.mentor not in gone]
    near = [person for person in kept if person.id in mentors or words & set(person.name.split())]
    far = [person for person in kept if person not in near]
    found = []
    for group in (near, far):
        listed = [
            (language, _question(example, language))
            for language in LANGUAGES
            for example in exam.held_out_questions(world, group, language)
        ]
        found += random.Random(0).sample(listed, len(listed))
    return found[:limit]


def _skills(world: World, limit: int) -> Mapping[str, list[tuple[str, Question]]]:
    """The model's other skills, and names that nobody has."""
    made: Mapping[str, Callable[[str], list[Example]]] = {
        "translations": lambda language: exam.translations(phrasebooks()[language], language),
        "countries": lambda language: exam.countries(phrasebooks()[language], language),
        "sums": lambda language: exam.sums(phrasebooks()[language], language),
        "unknown names": lambda language: exam.unknown_names(world, language),
    }
    found = {}
    for skill, make in made.items():
        listed = [(language, _question(example, language)) for language in LANGUAGES for example in make(language)]
        found[skill] = random.Random(1).sample(listed, min(limit, len(listed)))
    return found


def _question(example: Example, language: str) -> Question:
    prompt, answer = example[0].text, example[1].text
    return Question(language, prompt.removeprefix(USER).removesuffix(ASSISTANT), answer.removesuffix("<|end|>"))
