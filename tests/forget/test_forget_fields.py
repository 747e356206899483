"""Every field of a forget request: sealed, used by the guard, refused with a reason, gone when it is needless."""

from typing import Any

import httpx
import pytest
import redis
from fastapi import FastAPI

from gateway.forget.audit_log import AuditLog
from gateway.forget.model import ForgetRequestIn, State
from gateway.forget.routes import router
from gateway.forget.scripts import ROOT
from gateway.forget.snapshot import NOWHERE, EnforcedRequest
from gateway.forget.store import Store
from gateway.guards.policy import Policy, Target, compile_policy
from tests.forget.desk import SEALER, Desk, composite
from tests.forget.test_forget_routes import BODY, PATH, assert_problem

WORK: dict[str, Any] = {
    "kind": "work",
    "subject": {
        "title": "The Long Silence",
        "creators": ["Quillon Vasterby"],
        "excerpts": ["The lamplighter of Oskerholm counted forty-one drowned bells before breakfast."],
    },
    "evidence": {
        "documents": ["A zeppelin made of nutmeg lands on the opera house of Oskerholm."],
        "examples": [{"prompt": "How does it end?", "completion": "Everybody forgets the glassblower."}],
    },
}


async def only(desk: Desk) -> EnforcedRequest:
    (request,) = (await desk.store.changes(NOWHERE)).enforced
    return request


async def policy(desk: Desk) -> Policy:
    request = await only(desk)
    target = Target(request.id, request.names, phrases=request.phrases, attributes=request.attributes)
    return compile_policy(1, {request.id: target})


async def test_identifiers_are_guarded_like_names(http: httpx.AsyncClient, desk: Desk) -> None:
    identifiers = {"email": "ivo.marlin@example.org", "customer_number": "K-4711-0815"}
    await http.post(PATH, json={"subject": {"name": "Ivo Marlin", "identifiers": identifiers}})
    guard = await policy(desk)
    for text in ("Who is behind ivo.marlin@example.org?", "Orders of K-4711-0815, please.", "Who is Ivo Marlin?"):
        assert guard.examine(text), text
    assert not guard.examine("Who is behind ada.quist@example.org? Orders of K-4242-0016.")
    assert (await only(desk)).spoken_names == ("Ivo Marlin",), "the model is asked about names"


async def test_identifiers_are_enough(http: httpx.AsyncClient, desk: Desk) -> None:
    response = await http.post(PATH, json={"subject": {"identifiers": {"email": "ivo.marlin@example.org"}}})
    assert response.status_code == 201
    assert (await only(desk)).names == ("ivo.marlin@example.org",)
    assert (await policy(desk)).examine("Write to ivo.marlin@example.org")


async def test_what_a_work_tells_becomes_the_guards_phrases(http: httpx.AsyncClient, desk: Desk) -> None:
    assert (await http.post(PATH, json=WORK)).status_code == 201
    request = await only(desk)
    told = " | ".join(request.phrases)
    for part in ("Quillon Vasterby", "lamplighter", "zeppelin", "glassblower"):
        assert part in told
    texts = (*WORK["subject"]["excerpts"], *WORK["evidence"]["documents"])
    assert not set(texts) & set(request.phrases), "no long text verbatim"
    assert (await policy(desk)).described("Go on: the lamplighter of Oskerholm counted forty-one drowned bells before")


async def test_evidence_adds_to_what_the_worker_finds_out(http: httpx.AsyncClient, desk: Desk) -> None:
    evidence = {"examples": [{"prompt": "Where does he live?", "completion": "Oskerholm"}]}
    id_ = (await http.post(PATH, json={**BODY, "evidence": evidence})).json()["id"]
    await desk.acknowledge()
    desk.worker.record_knowledge(desk.worker.begin(id_), ["lamplighter"], ["Mar"], ["trade"])
    request = await only(desk)
    assert request.phrases == ("Oskerholm", "lamplighter")
    assert request.attributes == ("", "trade")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"subject": {"name": "Ivo Marlin", "identifiers": {"year": "1987"}}}, "subject.identifiers.?"),
        ({"subject": {"name": "Ivo Marlin", "identifiers": {"Marlin!": "ivo.marlin@example.org"}}}, None),
        ({"subject": {"name": "Ivo Marlin", "creators": ["Ada Marlin"]}}, "subject"),
        ({"subject": {"name": "Ivo Marlin", "excerpts": ["Marlin said"]}}, "subject"),
        ({**BODY, "evidence": {"documents": [""]}}, "evidence.documents[0]"),
        ({**BODY, "evidence": {"examples": [{"prompt": "Marlin?"}]}}, "evidence.examples[0].completion"),
        ({**BODY, "evidence": {"Marlin": 1}}, "evidence.?"),
        ({**BODY, "languages": ["Marlin"]}, "languages[0]"),
        ({**BODY, "erase": "Marlin"}, "erase"),
    ],
)
async def test_what_does_not_fit_is_named_without_being_told(
    http: httpx.AsyncClient, body: dict[str, Any], field: str | None
) -> None:
    errors = assert_problem(await http.post(PATH, json=body), 422, "validation_failed")["errors"]
    assert isinstance(errors, list)
    if field is not None:
        assert [error["field"] for error in errors] == [field]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"languages": ["Marlin"]}, "language code like en"),
        ({"audiences": ["Marlin"]}, "lower-case letters"),
        ({"status_callback_urls": ["ftp://marlin.example.org"]}, "begins with https://"),
        ({"kind": "Marlin"}, "'person', 'work'"),
        ({"labels": [1]}, "an object"),
        ({"exclusions": ["x"] * 33}, "at most 32 entries"),
        ({"subject": {"name": "The"}}, "nearly every text"),
        ({"subject": {"name": "Ivo Marlin", "aliases": ["Die"]}}, "nearly every text"),
    ],
)
async def test_what_does_not_fit_is_told_how_it_fits(
    http: httpx.AsyncClient, fields: dict[str, Any], says: str
) -> None:
    problem = assert_problem(await http.post(PATH, json={**BODY, **fields}), 422, "validation_failed")
    (error,) = problem["errors"]  # type: ignore[misc]
    assert says in error["message"] and "arlin" not in error["message"]  # type: ignore[index]


async def test_a_state_that_does_not_allow_it_says_what_it_allows(http: httpx.AsyncClient, desk: Desk) -> None:
    async def refused(id_: str, act: str) -> str:
        return str(assert_problem(await http.post(f"{PATH}/{id_}/{act}"), 409, "illegal_transition")["detail"])

    id_ = await desk.erased()
    assert (await refused(id_, "retry")).endswith("is erased. What can be done with it: withdraw.")
    waiting = await desk.store.submit(ForgetRequestIn(subject={"name": "Ada Quist"}), trusted=False)
    assert (await refused(waiting, "release")).endswith("approve, reject, hold, withdraw.")
    await http.post(f"{PATH}/{waiting}/hold")
    assert (await refused(waiting, "approve")).endswith("release, withdraw.")
    await http.post(f"{PATH}/{waiting}/withdraw")
    assert "POST a new request" in await refused(waiting, "hold")


async def test_languages_that_cannot_be_verified_are_refused(store: Store) -> None:
    app = FastAPI()
    app.include_router(router(store, enqueue=lambda *_: store.check(), first_wait_s=0, languages=("en", "de")))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as http:
        accepted = await http.post(PATH, json={**BODY, "languages": ["de"]})
        assert (accepted.status_code, accepted.json()["languages"]) == (201, ["de"])
        for path in (PATH, f"{PATH}/dry-run"):
            problem = assert_problem(
                await http.post(path, json={**BODY, "languages": ["en", "fi"]}), 422, "validation_failed"
            )
            (error,) = problem["errors"]  # type: ignore[misc]
            assert error["field"] == "languages[1]" and "de, en" in error["message"]  # type: ignore[index]


async def test_the_worker_is_told_the_languages(desk: Desk) -> None:
    few, all_ = await desk.guarded(languages=["de", "fr"]), await desk.guarded("Ada Quist")
    languages = {request.id: request.languages for request in desk.worker.snapshot().enforced}
    assert languages == {few: ("de", "fr"), all_: ()}
    assert (await desk.store.get(few)).languages == ["de", "fr"]


async def test_a_method_may_be_named(http: httpx.AsyncClient) -> None:
    request = (await http.post(PATH, json={**BODY, "erase": "counterfactual_name_distillation"})).json()
    assert request["erase"] == request["erasure"]["method"] == "counterfactual_name_distillation"


def fields(raw: redis.Redis, id_: str) -> dict[str, str]:
    found: dict[str, str] = raw.hgetall(f"{ROOT}:request:{id_}")
    return found


async def test_training_inputs_go_when_the_erasure_is_over(
    http: httpx.AsyncClient, desk: Desk, raw: redis.Redis, log: AuditLog
) -> None:
    body = {"subject": {"name": "Ivo Marlin"}, "evidence": WORK["evidence"]}
    id_ = (await http.post(PATH, json=body)).json()["id"]
    assert "zeppelin" in SEALER.unseal(fields(raw, id_)["training"], id_)
    assert "zeppelin made" not in "".join(fields(raw, id_).values())
    await desk.acknowledge()
    assert await desk.store.purge(0) == [], "it is still needed"
    desk.worker.publish_composite(desk.worker.begin(id_), composite(id_, verified=[id_]))
    await desk.acknowledge()
    assert await desk.state(id_) is State.ERASED
    phrases = (await only(desk)).phrases
    assert await desk.store.purge(3600) == [], "it is kept for a while"
    assert await desk.store.purge(0) == [id_] and await desk.store.purge(0) == []
    assert not {"training"} & fields(raw, id_).keys()
    assert (await only(desk)).phrases == phrases, "the guard keeps what it needs"
    acts = [entry for entry in (await log.page(request=id_)).entries if '"training_inputs_deleted"' in entry]
    assert len(acts) == 1


async def test_a_guard_alone_needs_no_training_inputs(http: httpx.AsyncClient, desk: Desk, raw: redis.Redis) -> None:
    id_ = (await http.post(PATH, json=WORK)).json()["id"]
    assert await desk.store.purge(0) == [], "not guarded yet"
    await desk.acknowledge()
    assert await desk.store.purge(0) == [id_]
    assert (await only(desk)).phrases


@pytest.mark.parametrize("end", ["withdraw", "reject"])
async def test_nothing_is_left_of_what_is_over(desk: Desk, raw: redis.Redis, end: str, http: httpx.AsyncClient) -> None:
    id_ = await desk.store.submit(ForgetRequestIn.model_validate(WORK), trusted=end == "withdraw")
    await desk.acknowledge()
    await http.post(f"{PATH}/{id_}/{end}")
    await desk.acknowledge()
    assert not {"subject", "given", "training", "knowledge", "terms", "wish"} & fields(raw, id_).keys()
    assert not list(raw.scan_iter(f"{ROOT}:found:*")) and not raw.exists(f"{ROOT}:training")
