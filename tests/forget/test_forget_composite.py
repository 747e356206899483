"""The composite adapter: what may be published over what, and how a withdrawal gets out of it."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import redis

from gateway.forget.errors import CompositeConflict, NothingToDo
from gateway.forget.model import State
from gateway.forget.scripts import ROOT
from gateway.forget.snapshot import NOWHERE
from tests.forget.desk import Desk, composite


async def test_erased_needs_verification_and_the_adapter_on_every_replica(desk: Desk) -> None:
    await desk.acknowledge("r2")
    id_ = await desk.submit()
    await desk.acknowledge("r1")
    await desk.acknowledge("r2")
    attempt = desk.worker.begin(id_)
    desk.worker.publish_composite(attempt, composite(id_, stage="edit"))
    await desk.acknowledge("r1")
    await desk.acknowledge("r2")
    assert await desk.state(id_) is State.ERASING, "an edit that nobody verified erases nothing"
    desk.worker.verifying(attempt)
    await desk.acknowledge("r1")
    assert await desk.state(id_) is State.VERIFYING
    desk.worker.publish_composite(attempt, composite(id_, verified=[id_]), verifications={id_: {"forget_recall": 0.0}})
    await desk.acknowledge("r1")
    assert await desk.state(id_) is State.VERIFYING
    await desk.acknowledge("r2", adapter="the-old-one")
    assert await desk.state(id_) is State.VERIFYING
    answer = await desk.acknowledge("r2")
    assert answer.moved == ((id_, State.ERASED),)
    request = await desk.store.get(id_)
    assert request.protection.level == "adapter"
    measured_on = request.erasure.composite_digest
    assert request.verification == {"forget_recall": 0.0, "composite_digest": measured_on}
    assert (request.erasure.composite_stage, request.erasure.attempt) == ("trained", 1)
    assert desk.waiting() == []


async def test_whom_nobody_is_told_of_through_others_is_carried_on_until_measured_again(desk: Desk) -> None:
    async def erased_with(untold: Sequence[str]) -> frozenset[str]:
        made = replace(composite(*ids, verified=ids), untold=frozenset(untold))
        desk.worker.publish_composite(desk.worker.begin(ids[-1]), made)
        await desk.acknowledge()
        now = (await desk.store.changes(NOWHERE)).composite
        assert now is not None
        return now.untold

    ids = [await desk.guarded("Ivo Marlin")]
    first = ids[0]
    assert await erased_with([first]) == {first}
    ids.append(await desk.guarded("Ada Quist"))
    second = ids[1]
    assert await erased_with([second]) == {second}, "the first was verified again, and was told of"
    ids.append(await desk.guarded("Otto Semm"))
    attempt = desk.worker.begin(ids[2])
    desk.worker.publish_composite(attempt, composite(*ids, stage="edit", name="edit"))
    now = (await desk.store.changes(NOWHERE)).composite
    assert now is not None and now.untold == {second} and now.verified == {first, second}
    regressed = frozenset({second})
    desk.worker.publish_composite(attempt, composite(*ids, verified=[first], name="last"), regressed=regressed)
    now = (await desk.store.changes(NOWHERE)).composite
    assert now is not None and now.untold == frozenset()


async def test_withdraw_the_only_erased_request_needs_no_rebuild(desk: Desk) -> None:
    id_ = await desk.erased()
    assert await desk.store.withdraw(id_) is False
    assert (await desk.store.changes(NOWHERE)).composite is None
    await desk.acknowledge(adapter="still-the-old-one")
    assert await desk.state(id_) is State.WITHDRAWING
    await desk.acknowledge()
    assert await desk.state(id_) is State.WITHDRAWN


async def test_withdraw_goes_back_to_an_earlier_composite_of_exactly_the_rest(desk: Desk) -> None:
    first = await desk.erased("Ivo Marlin")
    earlier = (await desk.store.changes(NOWHERE)).composite
    second = await desk.erased("Ada Quist")
    assert await desk.store.withdraw(second) is False
    assert (await desk.store.changes(NOWHERE)).composite == earlier
    await desk.acknowledge()
    assert (await desk.state(first), await desk.state(second)) == (State.ERASED, State.WITHDRAWN)


async def test_withdraw_without_an_earlier_composite_rebuilds(desk: Desk) -> None:
    first = await desk.erased("Ivo Marlin")
    second = await desk.erased("Ada Quist")
    assert await desk.store.withdraw(first) is True
    await desk.acknowledge()
    assert await desk.state(first) is State.WITHDRAWING, "its share of the adapter is still live"
    assert desk.waiting() == [(first, State.WITHDRAWING)]
    attempt = desk.worker.begin(first)
    assert attempt.state is State.WITHDRAWING
    with pytest.raises(CompositeConflict):
        desk.worker.publish_composite(attempt, composite(first, second))
    desk.worker.publish_composite(attempt, composite(second, verified=[second]))
    await desk.acknowledge()
    assert (await desk.state(first), await desk.state(second)) == (State.WITHDRAWN, State.ERASED)
    assert desk.waiting() == []


async def test_an_earlier_composite_that_was_not_verified_does_not_do(desk: Desk) -> None:
    first = await desk.guarded("Ivo Marlin")
    attempt = desk.worker.begin(first)
    desk.worker.publish_composite(attempt, composite(first, stage="edit"))
    second = await desk.guarded("Ada Quist")
    other = desk.worker.begin(second)
    desk.worker.publish_composite(other, composite(first, second, verified=[first, second]))
    await desk.acknowledge()
    assert await desk.state(first) is State.ERASED
    assert await desk.store.withdraw(second) is True


async def test_publishing_over_a_withdrawn_neighbour_is_refused(desk: Desk) -> None:
    neighbour = await desk.erased("Ivo Marlin")
    id_ = await desk.guarded("Ada Quist")
    attempt = desk.worker.begin(id_)
    await desk.store.withdraw(neighbour)
    with pytest.raises(CompositeConflict):
        desk.worker.publish_composite(attempt, composite(neighbour, id_, verified=[id_]))


async def test_nothing_is_built_on_an_adapter_with_a_withdrawn_request(desk: Desk) -> None:
    """Leaving its id out is not enough: what was loaded before still has it in its weights."""
    first, second = await desk.erased("Ivo Marlin"), await desk.erased("Ada Quist")
    third = await desk.guarded("Ben Orlow")
    attempt = desk.worker.begin(third)
    await desk.store.withdraw(first)
    with pytest.raises(CompositeConflict):
        desk.worker.publish_composite(attempt, composite(second, third, verified=[third]))
    fourth = await desk.guarded("Cara Venn")
    with pytest.raises(NothingToDo):
        desk.worker.begin(fourth)
    desk.worker.publish_composite(desk.worker.begin(first), composite(second, verified=[second]))
    with pytest.raises(CompositeConflict):
        desk.worker.publish_composite(attempt, composite(second, third, verified=[third]))
    desk.worker.publish_composite(desk.worker.begin(fourth), composite(second, fourth, verified=[fourth]))
    await desk.acknowledge()
    assert (await desk.state(first), await desk.state(fourth)) == (State.WITHDRAWN, State.ERASED)


async def test_publishing_may_not_lose_what_another_worker_published(desk: Desk) -> None:
    first, second = await desk.guarded("Ivo Marlin"), await desk.guarded("Ada Quist")
    one, other = desk.worker.begin(first), desk.worker.begin(second)
    desk.worker.publish_composite(one, composite(first, verified=[first]))
    with pytest.raises(CompositeConflict):
        desk.worker.publish_composite(other, composite(second, verified=[second]))
    desk.worker.publish_composite(other, composite(first, second, verified=[second]))
    await desk.acknowledge()
    assert (await desk.state(first), await desk.state(second)) == (State.ERASED, State.ERASED)


async def test_a_verification_carries_over_until_a_recheck_fails(desk: Desk) -> None:
    first = await desk.erased("Ivo Marlin")
    second = await desk.guarded("Ada Quist")
    attempt = desk.worker.begin(second)
    desk.worker.publish_composite(attempt, composite(first, second, stage="edit"))
    assert await desk.state(first) is State.ERASED
    desk.worker.publish_composite(attempt, composite(first, second, verified=[second]), regressed=frozenset({first}))
    await desk.acknowledge()
    assert (await desk.state(first), await desk.state(second)) == (State.GUARDED, State.ERASED)
    assert desk.waiting() == [(first, State.GUARDED)]


async def test_earlier_composites_do_not_pile_up(desk: Desk, raw: redis.Redis) -> None:
    """Nor do their adapters, which stay on disk for as long as they are among these."""
    raw.hset(f"{ROOT}:composites", "of-a-version-before", "[]")
    ids = [await desk.erased(f"Person {letter}") for letter in "abcdefghijklmnopqrst"]
    assert raw.hlen(f"{ROOT}:composites") == raw.llen(f"{ROOT}:composites_order") == 16
    for id_ in reversed(ids[-15:]):
        assert await desk.store.withdraw(id_) is False, "the way back is kept"
        await desk.acknowledge()
        assert await desk.state(id_) is State.WITHDRAWN
    assert raw.hlen(f"{ROOT}:composites") == raw.llen(f"{ROOT}:composites_order") == 1
    await desk.acknowledge()
    composite = (await desk.store.changes(NOWHERE)).composite
    assert composite and desk.worker.adapters_in_use()[1] - {""} == {composite.digest}
    assert await desk.store.withdraw(ids[4]) is True, "what came before that was dropped"


async def test_what_has_a_withdrawn_request_in_it_is_not_kept(desk: Desk, raw: redis.Redis) -> None:
    first, second = await desk.erased("Ivo Marlin"), await desk.erased("Ada Quist")
    assert await desk.store.withdraw(first) is True
    desk.worker.publish_composite(desk.worker.begin(first), composite(second, verified=[second]))
    assert raw.hlen(f"{ROOT}:composites") == 1


async def test_measures_are_read_again_only_when_they_may_be_others(desk: Desk) -> None:
    id_ = await desk.guarded()
    nothing, shown = await desk.store.verifications(10, (-1, -1))
    assert shown == []
    attempt, figures = desk.worker.begin(id_), {"forget_recall": 0.25}
    adapter = composite(id_, verified=[id_])
    desk.worker.publish_composite(attempt, adapter, verifications={id_: figures})
    await desk.acknowledge()
    stamp, shown = await desk.store.verifications(10, nothing)
    assert shown == [{**figures, "composite_digest": adapter.digest}] and stamp != nothing
    assert await desk.store.verifications(10, stamp) == (stamp, [])
    await desk.store.withdraw(id_)
    assert (await desk.store.verifications(10, stamp))[0] != stamp
