"""When an erasure will be done: from how long the latest took, and how many come first."""

from datetime import datetime, timedelta

import redis

from gateway.forget.scripts import ROOT
from tests.forget.desk import Desk, composite


async def expected(desk: Desk, id_: str) -> datetime | None:
    return (await desk.store.get(id_)).expected_completion_time


async def entered(desk: Desk, id_: str) -> datetime:
    return (await desk.store.get(id_)).state_history[-1].at


async def test_unknown_before_the_first_erasure(desk: Desk) -> None:
    assert await expected(desk, await desk.guarded()) is None


async def test_measured_durations_and_the_queue(desk: Desk, raw: redis.Redis) -> None:
    await desk.erased("Ada Quist")
    assert raw.llen(f"{ROOT}:durations") == 1
    raw.delete(f"{ROOT}:durations")
    raw.rpush(f"{ROOT}:durations", 40_000, 60_000, 500_000)
    each = timedelta(seconds=60)
    first, second = await desk.guarded("Ivo Marlin"), await desk.guarded("Bo Kern")
    guard_only = await desk.guarded("Una Vale", erase="guard_only")
    third = await desk.guarded("Ole Brandt")
    assert await expected(desk, guard_only) is None
    for id_, turns in ((first, 1), (second, 2), (third, 3)):
        assert await expected(desk, id_) == await entered(desk, id_) + turns * each
    attempt = desk.worker.begin(first)
    begun = await entered(desk, first)
    assert abs((await expected(desk, first) or begun) - (begun + each)) < timedelta(seconds=1)
    desk.worker.publish_composite(attempt, composite(first, *already(desk), verified=[first, *already(desk)]))
    await desk.acknowledge()
    assert await expected(desk, first) is None, "it is done"
    assert raw.llen(f"{ROOT}:durations") == 4
    raw.lpop(f"{ROOT}:durations")
    waited = await expected(desk, second)
    assert waited is not None and begun + each <= waited < begun + 2 * each, "one less before it"


async def test_what_is_late_is_unknown(desk: Desk, raw: redis.Redis) -> None:
    await desk.erased("Ada Quist")
    raw.lset(f"{ROOT}:durations", 0, 1)
    id_ = await desk.guarded()
    desk.worker.begin(id_)
    assert await expected(desk, id_) is None


def already(desk: Desk) -> frozenset[str]:
    present = desk.worker.snapshot().composite
    return present.requests if present else frozenset()
