"""Every step of a request's life: what is allowed, what is refused, what it takes."""

import itertools
from collections.abc import Awaitable, Callable

import pytest
import redis

from gateway.forget.errors import (
    IllegalTransition,
    NothingToDo,
    RequestNotFound,
    RevisionMismatch,
    StaleAttempt,
)
from gateway.forget.model import TRANSITIONS, Decision, ForgetRequestIn, State
from gateway.forget.scripts import ROOT
from gateway.forget.snapshot import NOWHERE, Mark
from gateway.forget.worker_store import MAX_ATTEMPTS, WorkerStore
from tests.forget.desk import SEALER, Desk, composite, until

NOBODY = "00000000-0000-4000-8000-000000000000"


async def put_into(desk: Desk, state: State) -> str:
    """A request in `state`, brought there by legal steps."""
    if state is State.RECEIVED:
        return await desk.submit()
    if state in (State.AWAITING_REVIEW, State.REJECTED):
        id_ = await desk.store.submit(ForgetRequestIn(subject={"name": "Ivo Marlin"}), trusted=False)
        if state is State.REJECTED:
            await desk.store.review(id_, "reject")
        return id_
    if state is State.ERASED:
        return await desk.erased()
    id_ = await desk.guarded()
    if state in (State.ERASING, State.VERIFYING, State.FAILED):
        attempt = desk.worker.begin(id_)
        if state is State.VERIFYING:
            desk.worker.verifying(attempt)
        if state is State.FAILED:
            desk.worker.fail(attempt, "too weak")
    if state is State.ON_HOLD:
        await desk.store.review(id_, "hold")
    if state in (State.WITHDRAWING, State.WITHDRAWN):
        await desk.store.withdraw(id_)
        if state is State.WITHDRAWN:
            await desk.acknowledge()
    return id_


async def withdraw(desk: Desk, id_: str) -> None:
    await desk.store.withdraw(id_)


async def retry(desk: Desk, id_: str) -> None:
    await desk.store.retry(id_)


async def begin(desk: Desk, id_: str) -> None:
    desk.worker.begin(id_)


def review(decision: Decision) -> Callable[[Desk, str], Awaitable[None]]:
    async def decide(desk: Desk, id_: str) -> None:
        await desk.store.review(id_, decision)

    return decide


OVER = (State.REJECTED, State.WITHDRAWN)
HELD = (State.AWAITING_REVIEW, State.RECEIVED, State.GUARDED, State.ERASING, State.VERIFYING, State.FAILED)
STEPS: dict[str, tuple[Callable[[Desk, str], Awaitable[None]], dict[State, State]]] = {
    # withdrawing once more changes nothing and is no error: clients send again
    "withdraw": (withdraw, {state: State.WITHDRAWING for state in State if state not in OVER}),
    "retry": (retry, {State.FAILED: State.GUARDED}),
    "begin": (begin, {State.GUARDED: State.ERASING}),
    "approve": (review("approve"), {State.AWAITING_REVIEW: State.RECEIVED}),
    "reject": (review("reject"), {State.AWAITING_REVIEW: State.REJECTED}),
    "hold": (review("hold"), dict.fromkeys(HELD, State.ON_HOLD)),
    "release": (review("release"), {State.ON_HOLD: State.GUARDED}),
}


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("step", STEPS)
async def test_a_step_from_every_state(desk: Desk, state: State, step: str) -> None:
    act, allowed = STEPS[step]
    id_ = await put_into(desk, state)
    assert await desk.state(id_) is state
    if state in allowed:
        await act(desk, id_)
        assert await desk.state(id_) is allowed[state]
    else:
        before = await desk.store.get(id_)
        with pytest.raises((IllegalTransition, NothingToDo)):
            await act(desk, id_)
        assert await desk.store.get(id_) == before


@pytest.mark.parametrize("state", State)
async def test_history_is_a_path_through_the_state_machine(desk: Desk, state: State) -> None:
    request = await desk.store.get(await put_into(desk, state))
    path = [entry.state for entry in request.state_history]
    assert path[0] in (State.RECEIVED, State.AWAITING_REVIEW) and path[-1] is request.state is state
    assert all(after in TRANSITIONS[before] for before, after in itertools.pairwise(path))
    assert [entry.at for entry in request.state_history] == sorted(entry.at for entry in request.state_history)


@pytest.mark.parametrize("state", State)
async def test_state_and_active_set_agree(desk: Desk, raw: redis.Redis, state: State) -> None:
    id_ = await put_into(desk, state)
    enforced = [request.id for request in (await desk.store.changes(NOWHERE)).enforced]
    assert (id_ in enforced) == (state not in (State.AWAITING_REVIEW, State.WITHDRAWING, *OVER))
    assert (await desk.store.counts())[state] == 1
    assert sum((await desk.store.counts()).values()) == 1


async def test_unknown_requests(desk: Desk) -> None:
    for act in (desk.store.get, desk.store.withdraw, desk.store.retry):
        with pytest.raises(RequestNotFound):
            await act(NOBODY)
    with pytest.raises(RequestNotFound):
        desk.worker.begin(NOBODY)


async def test_guarded_only_when_all_live_replicas_acknowledge(desk: Desk) -> None:
    await desk.acknowledge("r1")
    await desk.acknowledge("r2")
    id_ = await desk.submit()
    await desk.acknowledge("r1")
    request = await desk.store.get(id_)
    assert (request.state, request.protection.level) == (State.RECEIVED, "none")
    assert (request.protection.replicas.live, request.protection.replicas.applied) == (2, 1)
    acknowledgement = await desk.acknowledge("r2")
    assert acknowledgement.moved == ((id_, State.GUARDED),)
    request = await desk.store.get(id_)
    assert (request.state, request.protection.level) == (State.GUARDED, "guard")
    assert request.protection.effective_time is not None


async def test_a_dead_replica_is_not_waited_for(desk: Desk) -> None:
    changes = await desk.store.changes(NOWHERE)
    await desk.store.acknowledge("dead", changes.mark, "", lease_s=0.001)
    id_ = await desk.submit()
    await desk.acknowledge("r1")
    assert await desk.state(id_) is State.GUARDED


async def test_a_replica_that_leaves_is_not_waited_for(desk: Desk) -> None:
    await desk.acknowledge("r1")
    await desk.acknowledge("r2")
    id_ = await desk.submit()
    await desk.store.leave("r2")
    await desk.acknowledge("r1")
    assert await desk.state(id_) is State.GUARDED


async def test_a_replica_of_another_log_guards_nothing(desk: Desk) -> None:
    """It reports a high version, of a store that went back in time since."""
    id_ = await desk.submit()
    changes = await desk.store.changes(NOWHERE)
    for mark in (Mark(changes.mark.version, "another chain"), Mark(9, "x")):
        answer = await desk.store.acknowledge("r1", mark, "")
        assert not answer.same_log
        assert await desk.state(id_) is State.RECEIVED


async def test_other_kinds_stay_guarded_and_say_why(desk: Desk) -> None:
    id_ = await desk.guarded(kind="topic")
    request = await desk.store.get(id_)
    assert "guard only" in request.state_reason
    assert request.erasure.method == "guard_only"
    with pytest.raises(NothingToDo):
        desk.worker.begin(id_)
    assert desk.waiting() == []


async def test_a_person_who_is_only_guarded_is_asked_about_once(desk: Desk) -> None:
    id_ = await desk.guarded(erase="guard_only")
    assert desk.waiting() == [(id_, State.GUARDED)]
    attempt = desk.worker.begin(id_)
    assert attempt.state is State.GUARDED and desk.waiting() == []
    with pytest.raises(IllegalTransition):
        desk.worker.publish_composite(attempt, composite(id_, verified=[id_]))
    with pytest.raises(IllegalTransition):
        desk.worker.verifying(attempt)
    before = (await desk.store.changes(NOWHERE)).mark
    desk.worker.record_knowledge(attempt, ["Lisbon"], ["Ivy"], ["birthplace"])
    (learnt,) = (await desk.store.changes(before)).enforced
    assert learnt.phrases == ("Lisbon",) and learnt.attributes == ("birthplace",) and "Ivy" in learnt.names
    request = await desk.store.get(id_)
    assert (request.state, request.erasure.method, request.erasure.stage) == (State.GUARDED, "guard_only", None)
    assert desk.waiting() == []
    with pytest.raises(NothingToDo):
        desk.worker.begin(id_)


async def test_asking_about_a_guarded_person_is_given_up_in_the_end(desk: Desk) -> None:
    id_ = await desk.guarded(erase="guard_only")
    for _ in range(MAX_ATTEMPTS):
        attempt = desk.worker.begin(id_)
        with pytest.raises(SystemExit), desk.worker.holding(attempt):
            raise SystemExit
    with pytest.raises(NothingToDo):
        desk.worker.begin(id_)
    assert desk.waiting() == []
    assert await desk.state(id_) is State.GUARDED
    await desk.store.withdraw(id_)
    await desk.acknowledge()
    assert await desk.state(id_) is State.WITHDRAWN


async def test_withdraw_drops_the_guard_at_once_and_ends_on_acknowledgement(desk: Desk) -> None:
    id_ = await desk.guarded()
    mark = (await desk.store.changes(NOWHERE)).mark
    assert await desk.store.withdraw(id_) is False
    changes = await desk.store.changes(mark)
    assert changes.dropped == {id_}
    assert await desk.state(id_) is State.WITHDRAWING
    answer = await desk.acknowledge()
    assert answer.moved == ((id_, State.WITHDRAWN),)


async def test_withdraw_forgets_the_plaintext(desk: Desk, raw: redis.Redis) -> None:
    id_ = await put_into(desk, State.WITHDRAWN)
    assert raw.hmget(f"{ROOT}:request:{id_}", "subject", "knowledge") == [None, None]
    assert raw.hget(f"{ROOT}:request:{id_}", "state") == "withdrawn"


async def test_withdraw_while_erasing_wins(desk: Desk) -> None:
    id_ = await desk.guarded()
    attempt = desk.worker.begin(id_)
    await desk.store.withdraw(id_)
    with pytest.raises(StaleAttempt):
        desk.worker.publish_composite(attempt, composite(id_, verified=[id_]))
    for report in (
        desk.worker.verifying,
        lambda a: desk.worker.fail(a, "no"),
        lambda a: desk.worker.progress(a, "t", 1),
    ):
        with pytest.raises(StaleAttempt):
            report(attempt)
    with pytest.raises(StaleAttempt):
        desk.worker.record_knowledge(attempt, ["a fact"], [])
    await desk.acknowledge()
    assert await desk.state(id_) is State.WITHDRAWN


async def test_an_attempt_is_exclusive_until_its_lease_ends(desk: Desk, redis_url: str) -> None:
    id_ = await desk.guarded()
    hasty = WorkerStore(desk.worker._client, SEALER, lease_s=0.05)
    first = hasty.begin(id_)
    with pytest.raises(NothingToDo):
        desk.worker.begin(id_)
    await until(desk.waiting)
    second = desk.worker.begin(id_)
    assert (first.number, second.number) == (1, 2)
    with pytest.raises(StaleAttempt):
        desk.worker.publish_composite(first, composite(id_, verified=[id_]))
    desk.worker.publish_composite(second, composite(id_, verified=[id_]))


async def test_a_verification_that_died_is_taken_over(desk: Desk) -> None:
    id_ = await desk.guarded()
    hasty = WorkerStore(desk.worker._client, SEALER, lease_s=0.01)
    hasty.verifying(hasty.begin(id_))
    await until(desk.waiting)
    assert desk.worker.begin(id_).state is State.ERASING


async def test_attempts_are_bounded(desk: Desk) -> None:
    id_ = await desk.guarded()
    hasty = WorkerStore(desk.worker._client, SEALER, lease_s=0.001)
    for _ in range(MAX_ATTEMPTS):
        await until(desk.waiting)
        hasty.begin(id_)
    await until(desk.waiting)
    with pytest.raises(NothingToDo):
        hasty.begin(id_)
    request = await desk.store.get(id_)
    assert request.state is State.FAILED and "too often" in request.state_reason
    await desk.store.retry(id_)
    assert hasty.begin(id_).number == 1


async def test_holding_renews_and_a_crash_gives_back(desk: Desk) -> None:
    id_ = await desk.guarded()
    hasty = WorkerStore(desk.worker._client, SEALER, lease_s=0.2)
    attempt = hasty.begin(id_)
    lease = f"{ROOT}:request:{id_}", "lease"
    with pytest.raises(ZeroDivisionError), hasty.holding(attempt):
        taken = int(desk.worker._client.hget(*lease))
        await until(lambda: int(desk.worker._client.hget(*lease)) != taken)
        raise ZeroDivisionError
    with pytest.raises(StaleAttempt):
        hasty.progress(attempt, "training", 0.5)
    assert desk.waiting() == [], "the next attempt waits"
    assert await desk.state(id_) is State.ERASING


async def test_failure_keeps_the_guard_and_says_why(desk: Desk) -> None:
    id_ = await desk.guarded()
    attempt = desk.worker.begin(id_)
    desk.worker.fail(attempt, "the weights still answer", {"forget_recall": 0.4})
    request = await desk.store.get(id_)
    assert (request.state_reason, request.verification) == ("the weights still answer", {"forget_recall": 0.4})
    assert request.protection.level == "guard"
    assert desk.waiting() == []


async def test_knowledge_reaches_the_guard(desk: Desk) -> None:
    id_ = await desk.guarded(exclusions=["Ivo Marlin Street"])
    mark = (await desk.store.changes(NOWHERE)).mark
    desk.worker.record_knowledge(desk.worker.begin(id_), ["born in Kest"], ["Mar"])
    (request,) = (await desk.store.changes(mark)).enforced
    assert (request.names, request.phrases) == (("Ivo Marlin", "Mar"), ("born in Kest",))
    assert request.exclusions == ("Ivo Marlin Street",)


async def test_revisions(desk: Desk) -> None:
    id_ = await desk.guarded()
    etag = (await desk.store.get(id_)).etag.strip('"').partition("-")[0]
    with pytest.raises(RevisionMismatch):
        await desk.store.withdraw(id_, revisions="77")
    await desk.store.withdraw(id_, revisions=etag)
    with pytest.raises(RevisionMismatch):
        await desk.store.retry(id_, revisions=etag)
