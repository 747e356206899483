"""What the served model knows of a subject, asked at once: part of the guard until the worker has asked."""

import asyncio
import random
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
import redis

from gateway.forget.scripts import ROOT
from gateway.forget.snapshot import NOWHERE, EnforcedRequest
from gateway.interviews import Interviews
from tests.forget.desk import Desk, until
from unlearn_engine.data.domain import Domain, domain_for
from unlearn_engine.data.knowledge import elicit
from unlearn_engine.demo import BASE_PATH
from unlearn_engine.demo.world import build_world
from unlearn_engine.model import ServedModel

MISSING = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def model() -> ServedModel:
    return ServedModel(BASE_PATH)


@pytest.fixture(scope="module")
def domain() -> Domain:
    return domain_for(BASE_PATH)


async def enforced(desk: Desk, id_: str) -> EnforcedRequest:
    return next(one for one in (await desk.store.changes(NOWHERE)).enforced if one.id == id_)


async def names_of(desk: Desk, id_: str) -> tuple[str, ...]:
    return (await enforced(desk, id_)).names


@asynccontextmanager
async def asking(
    desk: Desk, domain: Domain, model: ServedModel, urgent: Sequence[str] = ()
) -> AsyncIterator[tuple["asyncio.Queue[str]", list[str]]]:
    """The part under test beside the store, with the demonstration model in the engine's place; and all it asked.

    From the first question on prompts are about the `urgent`.
    """
    known = {one.id: one.spoken_names for one in (await desk.store.changes(NOWHERE)).enforced}
    asked: list[str] = []

    async def ask(questions: Sequence[str]) -> list[str]:
        asked.extend(questions)
        interviews.hurry(urgent)
        return await asyncio.to_thread(model.answers, [model.question(question) for question in questions])

    guarded: asyncio.Queue[str] = asyncio.Queue()
    interviews = Interviews(desk.store, domain, lambda id_: known.get(id_, ()), ask)
    running = asyncio.create_task(interviews.run(guarded))
    yield guarded, asked
    running.cancel()


async def test_the_model_tells_at_once_what_it_would_tell_the_worker(
    desk: Desk, domain: Domain, model: ServedModel, raw: redis.Redis
) -> None:
    person = build_world().people[0]
    id_ = await desk.guarded(person.name)
    stranger = await desk.guarded(name := domain.unseen_name(random.Random(3)))
    elsewhere = await desk.guarded(build_world().people[1].name)
    assert await desk.store.claim(elsewhere, "another gateway")
    async with asking(desk, domain, model) as (guarded, asked):
        for one in (MISSING, elsewhere, stranger, id_):
            guarded.put_nowait(one)
        await until(lambda: all(raw.hexists(f"{ROOT}:request:{one}", "heard_all") for one in (id_, stranger)), 120)
    found, known = await enforced(desk, id_), elicit(model, domain, [person.name])
    assert found.names == (person.name, person.nickname)
    assert found.phrases == known.phrases and found.attributes == known.attributes
    assert await names_of(desk, stranger) == (name,)
    assert not [text for text in asked if build_world().people[1].name in text]
    of_names = [is_of_names(domain, text) for text in asked]
    assert any(of_names) and of_names == sorted(of_names, reverse=True), "other names come before all facts"


async def test_whoever_is_asked_about_comes_first(
    desk: Desk, domain: Domain, model: ServedModel, raw: redis.Redis
) -> None:
    first, second, urgent = [person.name for person in build_world().people[:3]]
    ids = [await desk.guarded(name) for name in (first, second, urgent)]
    async with asking(desk, domain, model, [MISSING, ids[2]]) as (guarded, asked):
        for id_ in ids:
            guarded.put_nowait(id_)
        await until(lambda: raw.hexists(f"{ROOT}:request:{ids[2]}", "heard_all"), 120)
    about = [next((name for name in (first, second, urgent) if name in text), "") for text in asked]
    last = len(about) - about[::-1].index(urgent)
    assert about[0] == first and second not in about[:last], "begun before it was urgent; waits until that is done"
    assert any(urgent in text and not is_of_names(domain, text) for text in asked), "facts, too"


def is_of_names(domain: Domain, text: str) -> bool:
    (attribute,) = domain.nickname_attributes
    templates = [template for asked in domain.questions.values() for template in asked[attribute]]
    return any(re.fullmatch(re.escape(one).replace(re.escape("{name}"), ".+"), text) for one in templates)


async def test_what_the_worker_finds_takes_its_place(desk: Desk) -> None:
    id_ = await desk.guarded()
    assert await desk.store.hear(id_, (), ["Whuzzix"], everything=False)
    assert await names_of(desk, id_) == ("Ivo Marlin", "Whuzzix")
    assert await desk.store.hear(id_, ["owl", "Kest"], ["Whuzzix"], ["pet", "birthplace"])
    assert (await enforced(desk, id_)).phrases == ("owl", "Kest") and len(await names_of(desk, id_)) == 2
    desk.worker.record_knowledge(desk.worker.begin(id_), ["cat"], ["Zuzu"])
    assert await names_of(desk, id_) == ("Ivo Marlin", "Zuzu") and (await enforced(desk, id_)).phrases == ("cat",)
    assert not await desk.store.hear(id_, ["owl"], ["Whuzzix"])
    assert not await desk.store.claim(id_, "one")


async def test_one_gateway_asks(desk: Desk, raw: redis.Redis) -> None:
    id_ = await desk.guarded()
    assert await desk.store.claim(id_, "one") and await desk.store.claim(id_, "one")
    assert not await desk.store.claim(id_, "two")
    assert 0 < raw.pttl(f"{ROOT}:asker:{id_}") <= 60_000
    raw.delete(f"{ROOT}:asker:{id_}")  # it ended meanwhile
    assert await desk.store.claim(id_, "two")
    before = (await desk.store.changes(NOWHERE)).mark
    assert await desk.store.hear(id_, (), ())
    assert (await desk.store.changes(NOWHERE)).mark == before, "nothing is known: no new policy"
    assert not await desk.store.claim(id_, "two")


async def test_nothing_is_kept_of_who_is_not_guarded(desk: Desk, raw: redis.Redis) -> None:
    id_ = await desk.guarded()
    assert await desk.store.hear(id_, ["owl"], ["Whuzzix"])
    await desk.store.withdraw(id_)
    assert not await desk.store.claim(id_, "one")
    await desk.acknowledge()
    assert not await desk.store.hear(id_, ["owl"], ["Whuzzix"])
    assert not raw.hexists(f"{ROOT}:request:{id_}", "heard")
    topic = await desk.guarded("Sesame", kind="topic")
    assert not await desk.store.claim(topic, "one") and not await desk.store.hear(topic, ["owl"], [])
