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
from gateway.forget.snapshot import Composite
from tests.forget.desk import Desk, composite, until
from tests.forget.object_storage import BUCKET, ObjectStorage, object_storage
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


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStorage]:
    for needed in ("moto", "s3fs"):
        pytest.importorskip(needed, reason="the test extra is not installed")
    with object_storage(tmp_path_factory.mktemp("s3") / "log") as running:
        yield running


@pytest.fixture
def bucket(s3: ObjectStorage, monkeypatch: pytest.MonkeyPatch) -> str:
    """As the environment has it: nothing of it is in the settings."""
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    return f"s3://{BUCKET}/adapters"


@pytest.fixture(params=["memory", "folder", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    match request.param:
        case "folder":
            (tmp_path / "shared").mkdir()
            yield str(tmp_path / "shared")
        case "s3":
            yield request.getfixturevalue("bucket")
        case _:
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
    storage.pipe_file(f"{root}/{made.digest}/{file}", content)
    AdapterStorage(tmp_path / "here", url).fetch(made.digest, NOWHERE)


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


def test_a_bucket_that_is_not_there_is_not_made(made: Adapter, bucket: str, s3: ObjectStorage, tmp_path: Path) -> None:
    for url in ("s3://modles", "s3://modles/adapters"):
        storage = AdapterStorage(tmp_path / "here", url)
        for step in (lambda: storage.fetch(made.digest, NOWHERE), lambda: storage.publish(made.digest, made.path)):  # noqa: B023
            with pytest.raises(AdapterUnavailable, match="UNLEARN_ADAPTERS_URL must exist"):
                step()
    assert [found["Name"] for found in s3.client().list_buckets()["Buckets"]] == [BUCKET]


def test_a_share_that_is_not_mounted_is_not_made(made: Adapter, tmp_path: Path) -> None:
    with pytest.raises(AdapterUnavailable, match="UNLEARN_ADAPTERS_URL must exist"):
        AdapterStorage(tmp_path / "here", str(tmp_path / "share")).publish(made.digest, made.path)
    assert not (tmp_path / "share").exists()


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "another-secret"}, "credentials are refused"),
        ({"AWS_ACCESS_KEY_ID": "AKIAANOTHER"}, "credentials are refused"),
        ({"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}, "set AWS_ACCESS_KEY_ID"),
    ],
)
def test_credentials_are_checked_by_the_storage(
    made: Adapter,
    bucket: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    changed: dict[str, str | None],
    says: str,
) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name, value in changed.items():
        monkeypatch.delenv(name) if value is None else monkeypatch.setenv(name, value)
    storage = AdapterStorage(tmp_path / "here", bucket)
    for step in (lambda: storage.fetch(made.digest, NOWHERE), lambda: storage.publish(made.digest, made.path)):
        with pytest.raises(AdapterUnavailable, match=says) as caught:
            step()
        assert not [value for value in changed.values() if value and value in str(caught.value)]


async def test_replicas_with_disks_of_their_own_get_it_from_s3(
    desk: Desk, made: Adapter, bucket: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Both before it is erased, neither what was altered there."""
    AdapterStorage(tmp_path / "worker", bucket).publish(made.digest, made.path)
    storage, root = fsspec.core.url_to_fs(bucket)
    file = f"{root}/{made.digest}/{FILES[0]}"
    content = storage.cat_file(file)
    storage.pipe_file(file, content[:-1] + bytes([content[-1] ^ 1]))
    engines = Engine(), Engine()
    disks = [AdapterStorage(tmp_path / name, bucket) for name in ("one", "two")]
    async with (
        running(desk.store, engines[0], "one", fetch=disks[0].fetch) as one,
        running(desk.store, engines[1], "two", fetch=disks[1].fetch) as two,
    ):
        id_ = await desk.submit("Ivo Marlin")
        await until(is_in(desk, id_, State.GUARDED))
        desk.worker.publish_composite(
            desk.worker.begin(id_),
            Composite(made.digest, NOWHERE, made.rank, "trained", frozenset({id_}), frozenset({id_})),
        )
        await until(lambda: caplog.text.count("not those that were published") >= 2)
        assert await desk.state(id_) is State.VERIFYING and not [engine.adapter for engine in engines if engine.adapter]
        assert one.ready and two.ready and engines[0].targets == {id_}, "the guards are on"
        storage.pipe_file(file, content)
        await until(is_in(desk, id_, State.ERASED))
        assert {engine.adapter for engine in engines} == {made.digest}
    assert all((tmp_path / name / made.digest / FILES[0]).read_bytes() == content for name in ("one", "two"))


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
