"""The main job measured through the running service: `python -m benchmarks.main_job --json FILE` (about ten minutes).

It starts the gateway on the demo model, forgets one person as a user would, and asks before, during and after.
"""

import argparse
import asyncio
import json
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
from rich.console import Console
from rich.table import Table

from benchmarks.service import Service, running_service
from benchmarks.spellings import spellings
from gateway.guards.normalise import fold
from unlearn_engine.demo import BASE_PATH
from unlearn_engine.demo.templates import phrasebooks
from unlearn_engine.demo.vocabulary import ATTRIBUTES, LANGUAGES
from unlearn_engine.demo.world import Person, World, build_world
from unlearn_engine.layers import load_or_compute_layer_map

SUBJECT = 3
KEPT = range(20, 44)
SWAPS = 20
STREAMS = 8
GUARD_POSTS = 100
TARGETS = {
    "forget_recall_max": ("<=", 0.02),
    "retain_ratio_min": (">=", 0.98),
    "ks_d": ("<=", 0.30),
    "guard_ms_p99": ("<=", 50.0),
    "edit_s": ("<=", 15.0),
    "erased_s": ("<=", 60.0),
    "swap_failures": ("<=", 0),
    "spelling_leaks": ("<=", 0),
    "throughput_ratio_min": (">=", 0.95),
    "adapter_ratio": (">=", 0.75),
    "restored_equal": (">=", 1.0),
}


@dataclass(frozen=True)
class Question:
    """A question in one language with the true answer."""

    language: str
    text: str
    answer: str


def questions(world: World, people: Sequence[Person], *, held_out: bool) -> list[Question]:
    """Every attribute of `people` in every language, with one trained template or with every held-out one."""
    found = []
    for person in people:
        for language in LANGUAGES:
            book = phrasebooks()[language]
            for attribute in ATTRIBUTES:
                templates = book.held_out_questions[attribute] if held_out else book.questions[attribute][:1]
                answer = world.answer(person, attribute, language)
                found += [Question(language, template.format(name=person.name), answer) for template in templates]
    return found


def told(question: Question, answer: str) -> bool:
    """Whether the answer is exactly the fact, whatever its case and final stop."""
    return fold(answer).text == fold(question.answer).text


def recall(asked: Sequence[Question], answers: Sequence[str]) -> dict[str, float]:
    """Share of facts told, by language."""
    by_language: dict[str, list[bool]] = {}
    for question, answer in zip(asked, answers, strict=True):
        by_language.setdefault(question.language, []).append(told(question, answer))
    return {language: statistics.fmean(hits) for language, hits in by_language.items()}


def measure_guard(service: Service, world: World) -> dict[str, float]:
    """POST to guard enforced, over names that nobody has: the answer itself says that the guard is on."""
    rng = random.Random(5)
    taken, ids = [], []
    for _ in range(GUARD_POSTS):
        name = world.unseen_name(rng)
        start = time.perf_counter()
        request = service.forget(name, erase="guard_only")
        while request["state"] != "guarded":
            request = service.request(request["id"])
        taken.append((time.perf_counter() - start) * 1000)
        ids.append(request["id"])
    for request_id in ids:
        service.withdraw(request_id)
    return {
        "guard_ms_p50": statistics.median(taken),
        "guard_ms_p99": statistics.quantiles(taken, n=100, method="inclusive")[98],
    }


def measure_spellings(service: Service, world: World, person: Person) -> dict[str, float]:
    """Facts told through the guard alone, over spellings and encodings of the name in six languages."""
    request = service.forget(person.name, erase="guard_only")
    service.wait_for(request["id"], "guarded")
    asked = [
        Question(language, text, world.answer(person, "occupation", language))
        for language, _, text in spellings(person.name, LANGUAGES)
    ]
    texts = [question.text for question in asked]
    through, bare = service.ask_all(texts), service.ask_all(texts, guards="base")
    service.withdraw(request["id"])
    return {
        "spellings": len(asked),
        "spelling_leaks": sum(map(mentions, asked, through)),
        "spelling_leaks_unguarded": sum(map(mentions, asked, bare)),
    }


def mentions(question: Question, answer: str) -> bool:
    """Whether the fact stands anywhere in the answer."""
    return fold(question.answer).text in fold(answer).text


def measure_erasure(service: Service, person: Person) -> tuple[str, dict[str, float]]:
    """POST to rank-one edit live, and to trained adapter verified and live."""
    start = time.perf_counter()
    request = service.forget(person.name)
    edit_s = None
    while True:
        request = service.request(request["id"])
        if edit_s is None and request["protection"]["level"] == "adapter":
            edit_s = time.perf_counter() - start
        if request["state"] == "erased":
            break
        if request["state"] == "failed":
            raise RuntimeError(json.dumps(request, indent=1))
        time.sleep(0.05)
    assert edit_s is not None
    return request["id"], {"edit_s": edit_s, "erased_s": time.perf_counter() - start}


async def _stream(client: httpx.AsyncClient, question: str) -> None:
    body = {
        "model": "demo",
        "messages": [{"role": "user", "content": question}],
        "max_tokens": 48,
        "temperature": 0,
        "ignore_eos": True,
        "stream": True,
    }
    finished = False
    async with client.stream("POST", "/v1/chat/completions", json=body) as response:
        response.raise_for_status()
        async for line in response.aiter_lines():
            if '"error"' in line:
                raise RuntimeError("error inside a stream")
            finished = finished or line == "data: [DONE]"
    if not finished:
        raise RuntimeError("a stream ended early")


async def _talk_until(service: Service, texts: Sequence[str], stop: asyncio.Event) -> dict[str, int]:
    """Streams run side by side without pause; counts those served and those that failed."""
    counts = {"swap_served": 0, "swap_failures": 0}
    async with httpx.AsyncClient(base_url=service.url, timeout=120) as client:

        async def talk(position: int) -> None:
            while not stop.is_set():
                try:
                    await _stream(client, texts[position % len(texts)])
                    counts["swap_served"] += 1
                except (httpx.HTTPError, RuntimeError):
                    counts["swap_failures"] += 1
                position += STREAMS

        await asyncio.gather(*map(talk, range(STREAMS)))
    return counts


def measure_swaps(service: Service, world: World, texts: Sequence[str]) -> dict[str, float]:
    """Another person's edit goes live and is withdrawn, again and again, while streams run: two swaps each time."""

    def swap() -> float:
        before = swaps_done(service)
        people = iter(world.people[SUBJECT + 1 :])
        while swaps_done(service) - before < SWAPS:
            request = service.forget(next(people).name)
            while service.request(request["id"])["protection"]["level"] != "adapter":
                time.sleep(0.05)
            service.withdraw(request["id"])
        return swaps_done(service) - before

    async def both() -> dict[str, float]:
        stop = asyncio.Event()
        talking = asyncio.create_task(_talk_until(service, texts, stop))
        try:
            swaps = await asyncio.to_thread(swap)
        finally:
            stop.set()
        return {"swaps": swaps, **await talking}

    return asyncio.run(both())


def swaps_done(service: Service) -> float:
    """Adapter swaps so far, from the gateway's own metrics."""
    name = 'unlearn_adapter_swaps_total{result="done"}'
    lines = service.http.get("/metrics").text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


def measure_throughput(adapter: Path, result: Path) -> dict[str, float]:
    """Two applications on one engine of its own: see `benchmarks.serving_overhead`."""
    layer_map = load_or_compute_layer_map(BASE_PATH, result.parent / "cache")
    modules = [part for module in layer_map.lora_target_modules for part in ("--lora-module", module)]
    command = [sys.executable, "-m", "benchmarks.serving_overhead", "--adapter", str(adapter), *modules]
    subprocess.run([*command, "--json", str(result)], check=True, stdout=subprocess.DEVNULL)
    found = json.loads(result.read_text())
    ratios = {f"throughput_ratio_{row['concurrency']}": row["ratio"] for row in found["guard"]}
    return ratios | {key: found[key] for key in ("throughput_ratio_min", "adapter_ratio")}


def run(data_dir: Path, tell: Callable[[str], None]) -> dict[str, float]:
    """The whole measurement; `tell` gets a line for each step."""
    world = build_world()
    person = world.people[SUBJECT]
    kept = [other for other in world.people if other.id in KEPT and other.mentor != SUBJECT]
    about_subject = questions(world, [person], held_out=True) + questions(world, [person], held_out=False)
    about_others = questions(world, kept, held_out=False)
    subject_texts = [question.text for question in about_subject]
    other_texts = [question.text for question in about_others]
    report: dict[str, float] = {}

    with running_service(data_dir) as service:
        tell("asking before")
        before_subject, before_others = service.ask_all(subject_texts), service.ask_all(other_texts)
        report["forget_recall_before"] = min(recall(about_subject, before_subject).values())
        tell(f"{GUARD_POSTS} POSTs: time to guard")
        report |= measure_guard(service, world)
        tell("spellings through the guard")
        report |= measure_spellings(service, world, person)
        tell("erasure")
        request_id, times = measure_erasure(service, person)
        report |= times
        tell("asking the weights alone")
        after_subject = service.ask_all(subject_texts, guards="off")
        after_others = service.ask_all(other_texts, guards="off")
        report["forget_recall_max"] = max(recall(about_subject, after_subject).values())
        old, new = recall(about_others, before_others), recall(about_others, after_others)
        report["retain_ratio_min"] = min(new[language] / old[language] for language in LANGUAGES)
        verification = service.request(request_id)["verification"]
        report["ks_d"] = verification["ks_statistic"]
        tell(f"{SWAPS} swaps under {STREAMS} streams")
        report |= measure_swaps(service, world, other_texts)
        adapter = data_dir / "adapters" / service.http.get("/v1/policy").json()["adapter"]["digest"]
        tell("withdrawing")
        service.withdraw(request_id)
        restored = service.ask_all(subject_texts + other_texts)
        pairs = zip(restored, before_subject + before_others, strict=True)
        report["restored_equal"] = statistics.fmean(now == then for now, then in pairs)

    tell("throughput, side by side with vLLM's own application")
    return report | measure_throughput(adapter, data_dir / "overhead.json")


def show(report: dict[str, float]) -> bool:
    """Prints the table; says whether every target is met."""
    table = Table("what", "measured", "must reach", "")
    met = True
    for key, (relation, target) in TARGETS.items():
        good = report[key] <= target if relation == "<=" else report[key] >= target
        met &= good
        table.add_row(key, f"{report[key]:.4g}", f"{relation} {target:g}", "yes" if good else "[red]NO[/]")
    Console().print(table)
    return met


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    options = parser.parse_args()
    started = time.monotonic()
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory() as folder:
        report = run(Path(folder), lambda step: console.print(f"{time.monotonic() - started:6.1f} s  {step}"))
    report |= {"seconds": time.monotonic() - started}
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        machine = {"machine": platform.processor() or platform.machine(), "python": platform.python_version()}
        options.json.write_text(json.dumps(report | machine, indent=2) + "\n")
    met = show(report)
    raise SystemExit(0 if met else 1)


if __name__ == "__main__":
    main()
