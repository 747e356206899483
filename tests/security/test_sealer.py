"""Encryption at rest: what opens what, rotation, and what happens when a record does not open."""

import asyncio
import json
import logging
import stat
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from gateway.cli import app as command_line
from gateway.forget.embedded import EmbeddedRedis
from gateway.forget.errors import SealError
from gateway.forget.model import ForgetRequestIn, State
from gateway.forget.reseal import Resealing
from gateway.forget.scripts import ROOT
from gateway.forget.sealer import AesGcmSealer
from gateway.forget.snapshot import NOWHERE
from gateway.forget.store import Store
from gateway.forget.worker_store import WorkerStore
from gateway.log_filter import WITHHELD, SpokenOf, SubjectFilter, watch_logs
from gateway.security.sealing_keys import GivenKeys, KeyCommand, KeyFile, SealingKeys, key_source
from gateway.settings import Settings
from gateway.worker_process import _worker_environment
from tests.forget.desk import SEALER, Desk, until
from tests.forget.test_forget_replica import Engine, is_in, running


@given(st.text(), st.text())
def test_what_is_sealed_opens_in_its_place_only(plaintext: str, context: str) -> None:
    sealed = SEALER.seal(plaintext, context)
    assert SEALER.unseal(sealed, context) == plaintext
    assert SEALER.seal(plaintext, context) != sealed, "equal texts do not look equal"
    with pytest.raises(SealError):
        SEALER.unseal(sealed, context + "x")


@given(st.integers(0, 200), st.characters(codec="ascii"))
def test_a_changed_record_does_not_open(at: int, other: str) -> None:
    sealed = SEALER.seal("Ivo Marlin " * 5, "id")
    at %= len(sealed)
    changed = sealed[:at] + other + sealed[at + 1 :]
    if changed != sealed:
        with pytest.raises(SealError) as caught:
            SEALER.unseal(changed, "id")
        assert "Marlin" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "Ivo Marlin", '{"names": ["Ivo Marlin"]}', "sealed1::", "sealed1:ab:%%", "sealed2:a:b"]
)
def test_what_was_never_sealed_is_no_record(text: str) -> None:
    with pytest.raises(SealError) as caught:
        SEALER.unseal(text, "id")
    assert "Marlin" not in str(caught.value)


def test_a_key_file_is_made_once_and_for_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "data" / "sealing-keys.json"
    with ThreadPoolExecutor(8) as threads:
        read = list(threads.map(lambda _: KeyFile(path).read(), range(8)))
    assert len({keys.current for keys in read}) == 1 and read[0] == KeyFile(path).read()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and [*path.parent.iterdir()] == [path]
    assert not set(read[0].keys.values()) & {read[0].index}
    assert json.loads(path.read_text())["index"] not in repr(read[0])
    path.chmod(0o640)
    with pytest.raises(SealError, match="chmod"):
        KeyFile(path).read()


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "[]",
        "null",
        "secret",
        '{"current": "a", "keys": {}, "index": ""}',
        '{"current": "a", "keys": {"a": "c2hvcnQ="}, "index": "c2hvcnQ="}',
        '{"current": "a", "keys": ["a"], "index": "c2hvcnQ="}',
    ],
)
def test_what_are_no_keys(wrong: str) -> None:
    with pytest.raises(SealError, match="have the form") as caught:
        GivenKeys(wrong).read()
    assert "secret" not in str(caught.value) and "c2hvcnQ" not in str(caught.value)


def test_keys_from_a_command(tmp_path: Path) -> None:
    kept = tmp_path / "keys.json"
    kept.write_text(SealingKeys.generate().dump())
    command = KeyCommand(f"{sys.executable} -c \"print(open('{kept}').read())\"")
    assert command.read() == GivenKeys(kept.read_text()).read()
    for wrong in ("false", "/nowhere/kms", "'"):
        with pytest.raises(SealError, match="command"):
            KeyCommand(wrong).read()


def test_the_worker_gets_the_same_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    keys = SealingKeys.generate().dump()
    monkeypatch.setenv("UNLEARN_SEALING_KEY_FILE", "/from/the/environment")
    monkeypatch.setenv("UNLEARN_BOOTSTRAP_KEY", "ug_secret")
    environment = _worker_environment(Settings(sealing_key_file=None, sealing_keys=keys))
    monkeypatch.undo()
    for name in [name for name in environment if name.startswith("UNLEARN_")]:
        monkeypatch.setenv(name, environment[name])
    assert "ug_secret" not in environment.values()
    assert key_source(Settings()).read() == GivenKeys(keys).read()


async def test_another_processes_keys_are_told_at_the_start(redis_url: str, store: Store) -> None:
    await store.check()
    stranger = Store.from_url(redis_url, AesGcmSealer(GivenKeys(SealingKeys.generate().dump())))
    with pytest.raises(SealError, match="same sealing keys"):
        await stranger.check()
    with pytest.raises(SealError):
        await stranger.submit(ForgetRequestIn(subject={"name": "Ada Quist"}))
    worker = WorkerStore.from_url(redis_url, stranger._sealer)
    with pytest.raises(SealError):
        worker.check()
    worker.close()
    await stranger.aclose()


async def test_a_record_that_does_not_open_ends_readiness(
    desk: Desk, redis_url: str, raw: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    """Never silently without it: not ready, not acknowledged, an alarm; what was enforced stays."""
    first = await desk.submit("Ivo Marlin")
    stranger = Store.from_url(redis_url, AesGcmSealer(GivenKeys(SealingKeys.generate().dump())))
    engine = Engine()
    async with running(desk.store, engine) as replica:
        await until(lambda: replica.ready)
        await until(is_in(desk, first, State.GUARDED))
        stranger._waitaof = False  # as if it had looked for the proof of the keys before there was one
        second = await stranger.submit(ForgetRequestIn(subject={"name": "Ada Quist"}))
        await until(lambda: not replica.ready)
        assert engine.targets == {first}
        assert await desk.state(second) is State.RECEIVED
        assert "ALARM" in caplog.text and second in caplog.text
        assert "Marlin" not in caplog.text and "Quist" not in caplog.text
        raw.hset(
            f"{ROOT}:request:{second}",
            "subject",
            SEALER.seal(json.dumps({"names": ["Ada Quist"], "exclusions": []}), second),
        )
        await until(lambda: replica.ready)
        assert engine.targets == {first, second}
    late = Engine()
    async with running(stranger, late, "r2") as replica:
        await until(lambda: caplog.text.count("ALARM") > 1)
        await asyncio.sleep(0)
        assert not replica.ready and not late.policies
    await stranger.aclose()


async def test_rotation(tmp_path: Path, redis_url: str, raw: redis.Redis) -> None:
    """A process that runs seals under the new key at once, opens old and new; then the old key is not needed."""
    source = KeyFile(tmp_path / "keys.json")
    running_store, worker = (
        Store.from_url(redis_url, AesGcmSealer(source)),
        WorkerStore.from_url(redis_url, AesGcmSealer(source)),
    )
    desk = Desk(running_store, worker)
    await running_store.check()
    ids = [await desk.guarded(f"Person {at:02}") for at in range(3)]
    worker.record_knowledge(worker.begin(ids[0]), ["born in Kest"], [])
    request = ForgetRequestIn(subject={"name": "Ada Quist"})
    once = await running_store.submit(request, idempotency_key="case 42")
    before = source.read()
    source.rotate()
    ids.append(await desk.submit("Person 03"))
    resealing = Resealing.from_url(redis_url, AesGcmSealer(source))
    assert await resealing.run() == 5, "all but the last one"
    assert await resealing.run() == 0
    await resealing.aclose()
    assert str(raw.xrange(f"{ROOT}:audit")).count('"act":"sealed_again"') == 2
    assert before.current not in str([raw.hgetall(f"{ROOT}:request:{id_}") for id_ in ids])

    kept = source.read()
    newest = SealingKeys(kept.current, {kept.current: kept.keys[kept.current]}, kept.index)
    fresh = Store.from_url(redis_url, AesGcmSealer(GivenKeys(newest.dump())))
    await fresh.check()
    enforced = (await fresh.changes(NOWHERE)).enforced
    assert {request.id for request in enforced} == {*ids, once}
    assert len((await running_store.changes(NOWHERE)).enforced) == 5
    assert await fresh.submit(request, idempotency_key="case 42") == once, "indexes are found again"
    for store in (running_store, fresh):
        await store.aclose()
    worker.close()


def test_rotate_key_on_the_command_line(tmp_path: Path) -> None:
    async def submit(url: str) -> None:
        store = Store.from_url(url, AesGcmSealer(KeyFile(tmp_path / "sealing-keys.json")))
        await store.submit(ForgetRequestIn(subject={"name": "Ivo Marlin"}))
        await store.aclose()

    with EmbeddedRedis(tmp_path) as server:
        asyncio.run(submit(server.url))
    done = CliRunner().invoke(command_line, ["rotate-key", "--data-dir", str(tmp_path)])
    assert done.exit_code == 0 and "sealed again: 1 texts" in done.output
    assert len(KeyFile(tmp_path / "sealing-keys.json").read().keys) == 2


async def test_the_log_does_not_name_a_subject(desk: Desk) -> None:
    await desk.submit("Ivo Marlin")
    engine = Engine()
    async with running(desk.store, engine) as replica:
        await until(lambda: replica.ready)
    policy = engine.policies[-1]
    kept: list[str] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            kept.append(self.format(record))

    logger, handler = logging.getLogger("any library of its own"), Kept()
    logger.propagate = False
    logger.addHandler(handler)
    before = {there: list(there.filters) for there in logging.root.handlers}
    watch_logs(lambda: policy)
    for there, filters in before.items():
        assert len(there.filters) == len(filters) + 1
        there.filters[:] = filters
    logger.error("no answer for %s", "Ivo Marlin")
    logger.error("no answer for %r", {"prompt": "who is IVO  MÁRLIN?"})
    try:
        raise ValueError("Ivo Marlin")
    except ValueError:
        logger.exception("it failed")
    logger.error("%d", "no number")
    assert kept == [WITHHELD] * 4
    logger.error("no answer for %s", "Ada Quist")
    assert kept[-1] == "no answer for Ada Quist"
    logger.removeHandler(handler)
    empty = SubjectFilter(lambda line: False)
    assert empty.filter(logging.LogRecord("any", logging.INFO, "", 0, "hello", (), None))


def test_processes_without_a_policy_withhold_what_they_work_with(caplog: pytest.LogCaptureFixture) -> None:
    spoken = SpokenOf()
    caplog.handler.addFilter(withholding := SubjectFilter(spoken.named))
    try:
        spoken.hear("one", ["Ivo Marlin", "Bo", "灯塔看守人"])
        log = logging.getLogger("engine")
        for line in (
            "prompt: who is IVO  márlin?",
            "to ivo.marlin@example.org",
            "bo.",
            "他是灯塔看守人。",
            "xIvoMarlinx",
        ):
            log.warning("said %s", line)
        log.warning("a book about robots")
        try:
            raise ValueError("Ivo Marlin")
        except ValueError:
            log.exception("it failed")
        spoken.forget("one")
        log.warning("Ivo Marlin")
    finally:
        caplog.handler.removeFilter(withholding)
    assert [record.getMessage() for record in caplog.records] == [
        *[WITHHELD] * 5,
        "a book about robots",
        WITHHELD,
        "Ivo Marlin",
    ]
    assert "ValueError" not in caplog.text
