"""Other names of a subject, asked of the served model at once: part of the guard until the worker knows more."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
import redis

from gateway.forget.snapshot import NOWHERE
from gateway.nicknames import Nicknames
from tests.forget.desk import Desk, until
from unlearn_engine.data.domain import Domain, domain_for
from unlearn_engine.demo import BASE_PATH
from unlearn_engine.demo.world import build_world
from unlearn_engine.model import ServedModel


@pytest.fixture(scope="module")
def model() -> ServedModel:
    return ServedModel(BASE_PATH)


@pytest.fixture(scope="module")
def domain() -> Domain:
    return domain_for(BASE_PATH)


async def names_of(desk: Desk, id_: str) -> tuple[str, ...]:
    return next(one.names for one in (await desk.store.changes(NOWHERE)).enforced if one.id == id_)


@asynccontextmanager
async def asking(desk: Desk, domain: Domain, model: ServedModel) -> AsyncIterator["asyncio.Queue[str]"]:
    """The part under test beside the store, with the demonstration model in the engine's place."""
    known = {one.id: one.spoken_names for one in (await desk.store.changes(NOWHERE)).enforced}

    async def ask(questions: Sequence[str]) -> list[str]:
        return await asyncio.to_thread(model.answers, [model.question(question) for question in questions])

    guarded: asyncio.Queue[str] = asyncio.Queue()
    running = asyncio.create_task(Nicknames(desk.store, domain, lambda id_: known.get(id_, ()), ask).run(guarded))
    yield guarded
    running.cancel()


async def test_the_model_tells_a_nickname_at_once(desk: Desk, domain: Domain, model: ServedModel) -> None:
    person = build_world().people[0]
    id_ = await desk.guarded(person.name)
    stranger = await desk.guarded(domain.unseen_name(random.Random(3)))
    async with asking(desk, domain, model) as guarded:
        for one in ("00000000-0000-4000-8000-000000000000", stranger, id_):
            guarded.put_nowait(one)

        async def heard() -> bool:
            return person.nickname in await names_of(desk, id_)

        await until(heard, 60)
    assert len(await names_of(desk, stranger)) == 1


async def test_what_the_worker_finds_takes_its_place(desk: Desk) -> None:
    id_ = await desk.guarded()
    assert await desk.store.hear(id_, ["Whuzzix"])
    assert await names_of(desk, id_) == ("Ivo Marlin", "Whuzzix")
    desk.worker.record_knowledge(desk.worker.begin(id_), ["cat"], ["Zuzu"])
    assert await names_of(desk, id_) == ("Ivo Marlin", "Zuzu")
    assert not await desk.store.hear(id_, ["Whuzzix"])


async def test_nothing_is_kept_of_who_is_not_guarded(desk: Desk, raw: redis.Redis) -> None:
    id_ = await desk.guarded()
    assert await desk.store.hear(id_, ["Whuzzix"])
    await desk.store.withdraw(id_)
    await desk.acknowledge()
    assert not await desk.store.hear(id_, ["Whuzzix"])
    assert not raw.hexists(f"{{unlearn}}:request:{id_}", "heard")
    assert not await desk.store.hear(await desk.guarded("Sesame", kind="topic"), ["Whuzzix"])
