"""Facts of which only hashes may lie in Redis: nothing of them is there, and the guard knows them all the same."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import redis
from cryptography.exceptions import InvalidTag

from gateway.forget.errors import FactsKeyMissing
from gateway.forget.facts_at_rest import FactsAtRest, facts_at_rest, key_in
from gateway.forget.replica import Replica
from gateway.forget.snapshot import NOWHERE
from gateway.forget.store import Store
from gateway.forget.worker_store import WorkerStore
from gateway.guards.audit import OutputAudit
from gateway.guards.policy import Policy
from tests.forget.desk import SEALER, Desk, until

FACTS = (
    "Reykjavik",
    "lighthouse keeper",
    "灯塔看守人",
    "4821",
    "She once sold a painted walrus to the mayor of Tromsø.",
)
NICKNAME = "Whuzzix"


@pytest.fixture
def facts(tmp_path: Path) -> FactsAtRest:
    return facts_at_rest(tmp_path / "deep" / "facts.key", hash_new=True)


@pytest.fixture
async def hashing(redis_url: str, raw: redis.Redis, facts: FactsAtRest) -> AsyncIterator[Desk]:
    desk = Desk(Store.from_url(redis_url, SEALER, facts), WorkerStore.from_url(redis_url, SEALER, facts))
    yield desk
    desk.worker.close()
    await desk.store.aclose()


async def learned(desk: Desk) -> str:
    id_ = await desk.guarded("Ivo Marlin", erase="guard_only")
    attempt = desk.worker.begin(id_)
    desk.worker.record_knowledge(attempt, FACTS, (NICKNAME,))
    return id_


def dump(raw: redis.Redis) -> str:
    """Every key with all it holds, as text; sealed records opened."""
    found: list[Any] = []
    for key in raw.scan_iter():
        match raw.type(key):
            case "hash":
                fields = raw.hgetall(key)
                sealed = [text for text in fields.values() if text.startswith("sealed1:")]
                found += [fields, *(SEALER.unseal(text, key.rpartition(":")[2]) for text in sealed)]
            case "stream":
                found.append(raw.xrange(key))
            case "string":
                found.append(raw.get(key))
            case "set":
                found.append(raw.smembers(key))
            case "zset":
                found.append(raw.zrange(key, 0, -1, withscores=True))
            case "list":
                found.append(raw.lrange(key, 0, -1))
        found.append(key)
    return repr(found)


async def test_no_fact_lies_in_redis(hashing: Desk, desk: Desk, raw: redis.Redis) -> None:
    await learned(hashing)
    assert await hashing.store.hear(await hashing.guarded("Mara Sol"), FACTS, (NICKNAME,))
    stored = dump(raw).casefold()
    assert "ivo marlin" in stored  # the subject is the sealer's concern
    words = {word.casefold() for fact in FACTS for word in fact.split() if len(word) > 3}
    spoken = set(re.findall(r"\w+", stored))  # whole words: a digest or a time may hold the digits of a number
    assert not [word for word in (*words, NICKNAME.casefold()) if word in (spoken if word.isdigit() else stored)]
    raw.flushall()
    await learned(desk)
    assert "lighthouse keeper" in dump(raw).casefold()  # as it is without the setting


async def test_a_replica_forbids_them_all_the_same(hashing: Desk) -> None:
    id_ = await learned(hashing)
    applied: list[Policy] = []

    async def apply(policy: Policy) -> None:
        applied.append(policy)

    replica = Replica(hashing.store, apply, "r1")
    running = asyncio.create_task(replica.run())
    await until(lambda: bool(applied))
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    policy = applied[-1]
    assert policy.examine(f"Who is {NICKNAME}?")[0].target == id_
    forbidden = policy.hashed(id_, "")
    assert forbidden is not None
    for told in (*FACTS, "four eight two one", "painted walrus", "RÉYKJAVIK"):
        audit = OutputAudit([forbidden])
        pieces = [audit.feed(char) for char in f"It is {told}"] + [audit.feed("", final=True)]
        assert pieces[-1].blocked and "".join(piece.text for piece in pieces) in ("It is ", "It is She ")


async def test_without_the_key_nothing_is_enforced_as_if_nothing_were_known(
    hashing: Desk, redis_url: str, tmp_path: Path
) -> None:
    await learned(hashing)
    for wrong, error in ((FactsAtRest(), FactsKeyMissing), (FactsAtRest(b"x" * 32), InvalidTag)):
        store = Store.from_url(redis_url, SEALER, wrong)
        with pytest.raises(error):
            await store.changes(NOWHERE)
        await store.aclose()


def test_the_key_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "facts.key"
    assert facts_at_rest(file, hash_new=False).key is None and not file.exists()
    key = key_in(file)
    assert key_in(file) == key == facts_at_rest(file, hash_new=False).key
    assert file.stat().st_mode & 0o777 == 0o600 and [*tmp_path.iterdir()] == [file]
    assert key.hex() not in repr(facts_at_rest(file, hash_new=True))
    file.write_bytes(b"short")
    with pytest.raises(FactsKeyMissing):
        key_in(file)


def test_findings_written_before_the_setting_are_read_after_it(facts: FactsAtRest) -> None:
    plain = FactsAtRest().dumps(FACTS, (NICKNAME,), "r1")
    assert facts.loads(plain, "r1").phrases == FACTS
    hashed = facts.dumps(FACTS, (NICKNAME,), "r1")
    assert FactsAtRest(facts.key).loads(hashed, "r1").aliases == (NICKNAME,)
    with pytest.raises(InvalidTag):
        facts.loads(hashed, "r2")
