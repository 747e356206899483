"""Adapters come to every machine by their digest, are what they were when they were verified, and hold up no guard."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
import redis
import torch

from gateway.adapter_storage import AdapterStorage
from gateway.forget.errors import AdapterUnavailable
from gateway.forget.model import State
from gateway.forget.scripts import ROOT, script
from tests.forget.desk import Desk, composite, until
from tests.forget.test_forget_replica import Engine, is_in, running
from unlearn_engine.adapter import Adapter, export
from unlearn_engine.adapter_digest import FILES, contents_of, digest_of
from unlearn_engine.lowrank import Factors

NOWHERE = "/another-machine"


@pytest.fixture
def made(tmp_path: Path) -> Adapter:
    """On the worker's machine."""
    change = {"model.layers.0.mlp.down_proj": Factors(torch.ones(2, 8), torch.ones(8, 2))}
    return export(tmp_path / "worker", "base", change, {}, ["r1"], ())


@pytest.fixture(params=["memory", "folder"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "folder":
        yield str(tmp_path / "shared")
        return
    yield "memory://adapters"
    fsspec.filesystem("memory").store.clear()


def test_another_machine_gets_it_by_its_digest(made: Adapter, url: str, tmp_path: Path) -> None:
    AdapterStorage(tmp_path / "worker", url).publish(made.digest, made.path)
    here = AdapterStorage(tmp_path / "here", url)
    fetched = here.fetch(made.digest, NOWHERE)
    assert fetched == tmp_path / "here" / made.digest
    assert contents_of(fetched) == contents_of(made.path) and digest_of(contents_of(fetched)) == made.digest
    assert here.fetch(made.digest, NOWHERE) == fetched


@pytest.mark.parametrize("file", FILES)
def test_what_was_changed_in_the_storage_is_not_used(made: Adapter, url: str, tmp_path: Path, file: str) -> None:
    AdapterStorage(tmp_path / "worker", url).publish(made.digest, made.path)
    storage, root = fsspec.core.url_to_fs(url)
    content = storage.cat_file(f"{root}/{made.digest}/{file}")
    storage.pipe_file(f"{root}/{made.digest}/{file}", content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(AdapterUnavailable, match="not those"):
        AdapterStorage(tmp_path / "here", url).fetch(made.digest, NOWHERE)
    assert not (tmp_path / "here").exists()


def test_a_damaged_copy_is_replaced(made: Adapter, url: str, tmp_path: Path) -> None:
    AdapterStorage(tmp_path / "worker", url).publish(made.digest, made.path)
    torn = AdapterStorage(tmp_path / "here", url).fetch(made.digest, NOWHERE) / FILES[0]
    torn.write_bytes(torn.read_bytes()[:-1])
    fetched = AdapterStorage(tmp_path / "here", url).fetch(made.digest, NOWHERE)
    assert digest_of(contents_of(fetched)) == made.digest


def test_on_a_shared_folder_it_is_used_in_its_place_if_it_is_whole(made: Adapter, tmp_path: Path) -> None:
    assert AdapterStorage(tmp_path / "here").fetch(made.digest, str(made.path)) == made.path
    weights = made.path / FILES[0]
    weights.write_bytes(weights.read_bytes()[:-1])
    for published_at in (str(made.path), NOWHERE):
        with pytest.raises(AdapterUnavailable, match="UNLEARN_ADAPTERS_URL"):
            AdapterStorage(tmp_path / "here").fetch(made.digest, published_at)


def test_storage_that_is_not_there_is_told_without_its_keys(made: Adapter, tmp_path: Path) -> None:
    for url in ("nothing://secret@host/adapters", str(made.path / FILES[0])):
        storage = AdapterStorage(tmp_path / "here", url)
        for step in (lambda: storage.fetch(made.digest, NOWHERE), lambda: storage.publish(made.digest, made.path)):  # noqa: B023
            with pytest.raises(AdapterUnavailable) as caught:
                step()
            assert "secret" not in str(caught.value) and caught.value.__suppress_context__


async def test_guards_do_not_wait_for_an_adapter_on_its_way(desk: Desk) -> None:
    arrived, engine = threading.Event(), Engine()
    asked: list[str] = []

    def fetch(digest: str, published_at: str) -> Path:
        asked.append(digest)
        arrived.wait(30)
        return Path("/here", digest)

    async with running(desk.store, engine, fetch=fetch) as replica:
        first = await desk.submit("Ivo Marlin")
        await until(is_in(desk, first, State.GUARDED))
        desk.worker.publish_composite(desk.worker.begin(first), composite(first, verified=[first], name="remote"))
        await until(lambda: asked)
        second = await desk.submit("Ada Quist")
        await until(is_in(desk, second, State.GUARDED))
        assert engine.targets == {first, second} and engine.adapter is None and replica.ready
        assert await desk.state(first) is State.VERIFYING, "nobody serves the adapter"
        arrived.set()
        await until(is_in(desk, first, State.ERASED))
        adapter = engine.policies[-1].adapter
        assert adapter is not None and adapter.path == "/here/remote"


async def test_a_replica_that_joins_late_is_not_ready_before_it_has_the_adapter(desk: Desk) -> None:
    id_ = await desk.erased()
    failing, engine = True, Engine()

    def fetch(_: str, published_at: str) -> Path:
        if failing:
            raise AdapterUnavailable("not yet")
        return Path(published_at)

    async with running(desk.store, engine, fetch=fetch) as replica:
        await until(lambda: engine.targets == {id_})
        await asyncio.sleep(0.3)
        assert not replica.ready and engine.adapter is None
        failing = False
        await until(lambda: replica.ready)
        assert engine.adapter == composite(id_).digest


async def test_what_the_stream_does_not_tell_the_poll_finds(desk: Desk, raw: redis.Redis) -> None:
    engine = Engine()
    async with running(desk.store, engine) as replica:
        id_ = await desk.submit()
        await until(is_in(desk, id_, State.GUARDED))
        with raw.pipeline(transaction=True) as pipeline:  # whoever waits for the stream is not woken
            pipeline.eval(script("withdraw"), 1, ROOT, id_, "", "tester")
            pipeline.xtrim(f"{ROOT}:log", maxlen=0)
            done, _ = pipeline.execute()
        assert done[0] == "ok"
        await until(lambda: engine.targets == set() and replica.version == 2)
