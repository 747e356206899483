"""Nobody is guarded because a stranger asked: review, and what is put on hold."""

import httpx
import pytest
import redis

from gateway.forget.audit_log import AuditLog
from gateway.forget.errors import IllegalTransition, StaleAttempt
from gateway.forget.model import ForgetRequestIn, State
from gateway.forget.scripts import ROOT
from gateway.forget.snapshot import NOWHERE
from tests.forget.desk import Desk
from tests.forget.test_forget_routes import BODY, PATH, assert_problem


async def awaiting(desk: Desk, name: str = "Ivo Marlin") -> str:
    id_ = await desk.store.submit(ForgetRequestIn(subject={"name": name}), trusted=False)
    await desk.acknowledge()
    assert await desk.state(id_) is State.AWAITING_REVIEW
    return id_


async def enforced(desk: Desk) -> set[str]:
    return {request.id for request in (await desk.store.changes(NOWHERE)).enforced}


async def history(desk: Desk, id_: str) -> list[State]:
    return [entry.state for entry in (await desk.store.get(id_)).state_history]


async def test_what_awaits_review_is_enforced_nowhere(desk: Desk) -> None:
    version = (await desk.store.policy()).version
    id_ = await awaiting(desk)
    assert await enforced(desk) == set() and desk.waiting() == []
    assert (await desk.store.policy()).version == version, "no replica hears of it"
    assert (await desk.store.get(id_)).protection.level == "none"


async def test_approved(desk: Desk) -> None:
    id_ = await awaiting(desk)
    assert await desk.store.review(id_, "approve") is State.RECEIVED
    assert await enforced(desk) == {id_}
    await desk.acknowledge()
    request = await desk.store.get(id_)
    assert (request.state, request.protection.level) == (State.GUARDED, "guard")
    assert [waiting for waiting, _ in desk.waiting()] == [id_]
    assert await history(desk, id_) == [State.AWAITING_REVIEW, State.RECEIVED, State.GUARDED]


async def test_rejected(desk: Desk, raw: redis.Redis) -> None:
    id_ = await awaiting(desk)
    assert await desk.store.review(id_, "reject") is State.REJECTED
    assert not {"subject", "wish"} & raw.hgetall(f"{ROOT}:request:{id_}").keys(), "nothing of the subject stays"
    for act in (desk.store.review(id_, "approve"), desk.store.review(id_, "hold"), desk.store.withdraw(id_)):
        with pytest.raises(IllegalTransition):
            await act
    again = await desk.store.submit(ForgetRequestIn(subject={"name": "Ivo Marlin"}))
    assert (await desk.store.get(again)).duplicate_of is None


async def test_withdrawn_before_its_review(desk: Desk) -> None:
    id_ = await awaiting(desk)
    await desk.store.withdraw(id_)
    await desk.acknowledge()
    assert await desk.state(id_) is State.WITHDRAWN


async def test_only_what_awaits_review_is_approved_or_rejected(desk: Desk) -> None:
    guarded, held = await desk.guarded(), await awaiting(desk, "Ada Quist")
    await desk.store.review(held, "hold")
    for id_ in (guarded, held):
        for decision in ("approve", "reject"):
            with pytest.raises(IllegalTransition):
                await desk.store.review(id_, decision)
    with pytest.raises(IllegalTransition):
        await desk.store.review(guarded, "release")
    assert await desk.store.review(held, "release") is State.AWAITING_REVIEW
    assert await enforced(desk) == {guarded}


async def test_a_hold_stops_the_work_and_not_the_guard(desk: Desk) -> None:
    id_ = await desk.guarded()
    attempt = desk.worker.begin(id_)
    await desk.store.review(id_, "hold")
    with pytest.raises(StaleAttempt):
        desk.worker.verifying(attempt)
    await desk.acknowledge()
    request = await desk.store.get(id_)
    assert (request.state, request.protection.level) == (State.ON_HOLD, "guard")
    assert await enforced(desk) == {id_} and desk.waiting() == []
    with pytest.raises(IllegalTransition):
        await desk.store.review(id_, "hold")
    assert await desk.store.review(id_, "release") is State.GUARDED
    assert [waiting for waiting, _ in desk.waiting()] == [id_]
    assert desk.worker.begin(id_).number == 1


async def test_every_open_state_can_be_held_and_goes_on(desk: Desk) -> None:
    received = await desk.submit("Ivo Marlin")
    await desk.store.review(received, "hold")
    await desk.acknowledge()
    assert (await desk.store.get(received)).protection.level == "none", "nobody said yet that it is enforced everywhere"
    await desk.store.review(received, "release")
    await desk.acknowledge()
    assert await desk.state(received) is State.GUARDED

    failed = await desk.guarded("Ada Quist")
    desk.worker.fail(desk.worker.begin(failed), "too weak")
    await desk.store.review(failed, "hold")
    assert await desk.store.review(failed, "release") is State.FAILED
    await desk.store.review(failed, "hold")
    await desk.store.withdraw(failed)
    await desk.acknowledge()
    assert await desk.state(failed) is State.WITHDRAWN
    with pytest.raises(IllegalTransition):
        await desk.store.review(await desk.erased("Olga Tamm"), "hold")


async def test_over_http(
    http: httpx.AsyncClient, desk: Desk, jobs_asked_for: list[tuple[str, str]], redis_url: str
) -> None:
    id_ = await awaiting(desk)
    assert_problem(await http.post(f"{PATH}/{id_}/release"), 409, "illegal_transition")
    assert_problem(await http.post(f"{PATH}/{id_}/approve", headers={"If-Match": '"7"'}), 412, "revision_mismatch")
    approved = await http.post(f"{PATH}/{id_}/approve", headers={"If-Match": '"1"'})
    assert approved.json()["state"] == "received" and approved.headers["etag"].startswith('"2-')
    await desk.acknowledge()
    for act, state in (("hold", "on_hold"), ("release", "guarded")):
        assert (await http.post(f"{PATH}/{id_}/{act}")).json()["state"] == state
    assert jobs_asked_for == [("erase", id_)]
    assert_problem(await http.post(f"{PATH}/00000000-0000-4000-8000-000000000000/hold"), 404, "not_found")
    rejected = (await http.post(PATH, json=BODY)).json()["id"]
    assert_problem(await http.post(f"{PATH}/{rejected}/reject"), 409, "illegal_transition")
    log = AuditLog.from_url(redis_url)
    entries = "".join((await log.page(request=id_)).entries)
    await log.aclose()
    for step in ("awaiting_review", "received", "guarded", "on_hold"):
        assert f'"to":"{step}"' in entries
