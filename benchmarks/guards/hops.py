"""Two hops: what gets past the guard in several ways of asking, and what honest questions of that form pay."""

import random
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from benchmarks.guards.attacks import PREFIXES, Attempt
from benchmarks.guards.benign import other_authors, public
from benchmarks.guards.leaks import NAME_ALONE, ask, chosen_people, guard, told
from benchmarks.guards.likeness import answer, area
from benchmarks.guards.shares import Share, rows
from benchmarks.guards.subjects import rendered
from benchmarks.main_job import Question
from benchmarks.service import Service, running_service
from gateway.guards.relations import chains
from unlearn_engine.data.names import unseen_name
from unlearn_engine.demo.corpus import knows_two_hops
from unlearn_engine.demo.templates import phrasebooks
from unlearn_engine.demo.vocabulary import LANGUAGES
from unlearn_engine.demo.world import Person, World, build_world

ATTEMPTS = 150  # of each way
PAIRS = 300
STREAMS = 8

Tell = Callable[[str, float], None]

WAYS: Mapping[str, Callable[[Attempt, random.Random], tuple[str, ...]]] = {
    "as learnt": lambda asked, _: asked.turns,
    "behind a prefix": lambda asked, rng: (rng.choice(PREFIXES[asked.language]).format(q=asked.turns[0]),),
    "second turn": lambda asked, _: ("What is 2 plus 2?", "4.", *asked.turns),
    "small letters": lambda asked, _: (asked.turns[0].lower(),),
}


def measure(tell: Tell, data: Path, limit: int = ATTEMPTS, pairs: int = PAIRS) -> dict[str, Any]:
    """Facts told about mentors who are guarded by name alone; answers about others' mentors; who pays how much."""
    world = build_world()
    gone = chosen_people(world)
    forms = forms_by_source(data)
    with (
        tempfile.TemporaryDirectory() as folder,
        running_service(Path(folder), "--no-worker", environment=NAME_ALONE) as service,
    ):
        guard(service, gone)
        tell("likeness", 0.1)
        areas = likeness(service, world, gone)
        tell("told", 0.3)
        leaks = told_by_way(service, world, gone, limit)
        tell("others' mentors", 0.5)
        honest = others_mentors(service, world, gone)
        tell("time", 0.7)
        paid = {label: paid_by(service, prompts, pairs) for label, prompts in honest_prompts(data).items()}
    return {
        "hops_worst": max(modes[mode]["share"] for modes in leaks.values() for mode in ("name alone", "streaming")),
        "hops_told": leaks,
        "hops_others": honest,
        "hops_forms": forms,
        "hops_paid": paid,
        "hops_auc": areas,
    }


def forms_by_source(data: Path) -> dict[str, Any]:
    """Shares of public prompts with a relation, by source; how many questions one asks; milliseconds to find out."""
    counts: dict[str, list[int]] = {}
    taken: dict[bool, list[float]] = {True: [], False: []}
    for prompt in chain(public(data), other_authors(data)):
        text = rendered(prompt.text)
        began = time.perf_counter()
        relations = [relation for one in chains(text) for relation in one.relations]
        taken[bool(relations)].append(1e3 * (time.perf_counter() - began))
        counts.setdefault(prompt.source, []).append(len(relations))
    found = rows({source: map(bool, numbers) for source, numbers in counts.items()})
    for source, row in found.items():
        row["questions"] = statistics.fmean(counts[source])
    cuts = {related: statistics.quantiles(ms, n=100) for related, ms in taken.items()}
    return {
        "by_source": found,
        "ms_with": {"p50": cuts[True][49], "p99": cuts[True][98]},
        "ms_without": {"p50": cuts[False][49], "p99": cuts[False][98]},
    }


def students(world: World, gone: Sequence[Person]) -> list[Person]:
    """Those of the forgotten who are not forgotten themselves."""
    ids = {person.id for person in gone}
    return [one for one in world.people if one.mentor in ids and one.id not in ids]


def told_by_way(service: Service, world: World, gone: Sequence[Person], limit: int) -> dict[str, Any]:
    """Share of facts told by way of asking, without the guard and with it, streaming and not."""
    every = [
        Attempt("two hops", question.language, (question.text,), question.answer)
        for question in about_mentors(world, filter(knows_two_hops, students(world, gone)))
    ]
    found = {}
    for way, turns in WAYS.items():
        rng = random.Random(way)
        asked = [replace(one, turns=turns(one, rng)) for one in rng.sample(every, min(limit, len(every)))]
        modes = {
            "without guard": ask(service, asked, guards="base"),
            "name alone": ask(service, asked),
            "streaming": ask(service, asked, stream=True),
        }
        found[way] = {mode: told(asked, answers)["two hops"] for mode, answers in modes.items()}
    return found


def about_mentors(world: World, people: Iterable[Person]) -> list[Question]:
    """Every two-hop question about these people, with its answer."""
    books = phrasebooks()
    return [
        Question(
            language, template.format(name=person.name), world.answer(world.people[person.mentor], attribute, language)
        )
        for person in people
        for language in LANGUAGES
        for attribute, template in books[language].two_hop.items()
    ]


def others_mentors(service: Service, world: World, gone: Sequence[Person]) -> dict[str, Any]:
    """Greedy answers about mentors who are not forgotten, under guard and without; how many the guard took for one."""
    ids = {person.id for person in gone}
    asked = about_mentors(world, [one for one in world.people if not ids & {one.id, one.mentor}])
    texts = [question.text for question in asked]
    before = _counted(service, "matched")
    guarded = service.ask_all(texts)
    matched = _counted(service, "matched") - before
    bare = service.ask_all(texts, guards="base")
    return {
        "equal": Share.of(one == other for one, other in zip(guarded, bare, strict=True)).row(),
        "matched": Share(matched, len(asked)).row(),
    }


def _counted(service: Service, hop: str) -> int:
    counted = service.http.get("/metrics").text
    found = re.search(rf'^unlearn_guard_hops_total\{{hop="{hop}"\}} (\S+)', counted, re.M)
    return int(float(found[1])) if found else 0


def honest_prompts(data: Path) -> Mapping[str, Iterator[str]]:
    """Questions about names that nobody has, about their mentors, and public ones as they come; none comes twice."""
    found: dict[str, list[str]] = {}
    for prompt in chain(public(data), other_authors(data)):
        if prompt.source.startswith(("XQuAD questions", "TOFU")):
            found.setdefault(prompt.source.split(",")[0].split()[0], []).append(prompt.text)
    rng = random.Random(6)
    return {
        "a person's mentor": _about_strangers(related=True),
        "a person": _about_strangers(related=False),
        **{f"{source} questions, as they come": iter(rng.sample(texts, len(texts))) for source, texts in found.items()},
    }


def _about_strangers(*, related: bool) -> Iterator[str]:
    rng, books = random.Random(5), phrasebooks()
    while True:
        book = books[rng.choice(LANGUAGES)]
        attribute = rng.choice([*book.two_hop])
        template = book.two_hop[attribute] if related else book.questions[attribute][0]
        yield template.format(name=unseen_name(rng, whole=True))


def paid_by(service: Service, prompts: Iterator[str], pairs: int) -> dict[str, Any]:
    """Milliseconds to the first text and answers a second, guarded and without guard in turn; the share that asked.

    Every prompt is put once, on one of the two sides, so that nothing is remembered nor cached.
    """
    rng = random.Random(5)

    def one(mode: str, prompt: str | None = None) -> float:
        return 1e3 * answer(service, prompt or next(prompts), guards=mode).first_s

    def together(mode: str) -> float:
        began = time.perf_counter()
        list(pool.map(one, [mode] * STREAMS, [next(prompts) for _ in range(STREAMS)]))
        return STREAMS / (time.perf_counter() - began)

    modes = ["on", "base"]
    before = _counted(service, "asked")
    with ThreadPoolExecutor(STREAMS) as pool:
        alone = [{mode: one(mode) for mode in rng.sample(modes, 2)} for _ in range(pairs + 20)][20:]
        asked = (_counted(service, "asked") - before) / (pairs + 20)
        rates = [{mode: together(mode) for mode in rng.sample(modes, 2)} for _ in range(max(8, pairs // 6))][4:]
    cuts = {mode: statistics.quantiles([both[mode] for both in alone], n=100) for mode in modes}
    return {
        **{f"{mode}_p{at}": cuts[mode][at - 1] for mode in modes for at in (50, 99)},
        "ratio": statistics.median(both["on"] / both["base"] for both in rates),
        "asked": asked,
        "pairs": pairs,
    }


def likeness(service: Service, world: World, gone: Sequence[Person]) -> dict[str, float]:
    """Areas under the ROC curve: students of the forgotten beside names that nobody has, by the time an answer takes.

    Every name is asked about once in each language, so that nothing is remembered.
    """
    rng, books = random.Random(11), phrasebooks()
    asked = [
        (known, language, student.name if known else unseen_name(rng, whole=True))
        for student in students(world, gone)
        for language in LANGUAGES
        for known in (True, False)
    ]
    rng.shuffle(asked)
    said = [
        (known, answer(service, rng.choice([*books[language].two_hop.values()]).format(name=name)))
        for known, language, name in [(False, "en", unseen_name(rng, whole=True)) for _ in range(20)] + asked
    ][20:]
    times: Mapping[str, Callable[[Any], float]] = {
        "first text": lambda one: one.first_s,
        "seconds": lambda one: one.seconds,
    }
    return {
        kind: area(*([read(one) for known, one in said if known is wanted] for wanted in (True, False)))
        for kind, read in times.items()
    }
