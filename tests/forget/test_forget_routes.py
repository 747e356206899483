"""The forget-request API as a client sees it."""

import asyncio
import json
from datetime import datetime
from typing import Any

import httpx
import pytest
import redis
from fastapi import FastAPI

from gateway.forget.model import ForgetRequestIn, State
from gateway.forget.problems import MEDIA_TYPE
from gateway.forget.routes import router
from gateway.forget.scripts import ROOT
from gateway.forget.store import Store
from gateway.guards.actions import STRICTEST_FIRST
from tests.forget.desk import SEALER, Desk, until

PATH = "/v1/forget-requests"
BODY = {"subject": {"name": "Ivo Marlin"}}


async def has_any(store: Store, state: State) -> bool:
    return (await store.counts())[state] > 0


def assert_problem(response: httpx.Response, status: int, code: str) -> dict[str, object]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == MEDIA_TYPE
    problem: dict[str, object] = response.json()
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["title"] and problem["detail"] and str(problem["type"]).endswith(code)
    assert "Marlin" not in response.text
    return problem


async def test_a_name_is_enough(http: httpx.AsyncClient, desk: Desk) -> None:
    response = await http.post(PATH, json=BODY)
    assert response.status_code == 201
    request = response.json()
    assert response.headers["location"] == f"{PATH}/{request['id']}" == request["links"]["self"]
    assert response.headers["etag"] == request["etag"]
    assert (request["kind"], request["response"], request["state"]) == ("person", "ignorance", "received")
    assert request["policy_version"] == request["protection"]["policy_version"] == 1
    assert request["protection"]["level"] == "none", "no replica is there: nothing is enforced, nothing is claimed"
    assert "Marlin" not in response.text
    got = await http.get(response.headers["location"])
    assert got.json() == request and got.headers["etag"] == request["etag"]


async def test_the_answer_waits_for_the_guard(app: FastAPI, store: Store, desk: Desk) -> None:
    patient = FastAPI()
    patient.include_router(router(store, enqueue=lambda kind, id_: asyncio.sleep(0)))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(patient), base_url="http://gateway") as http:
        for headers in ({}, {"Prefer": "wait=20"}):
            posting = asyncio.create_task(http.post(PATH, json=BODY, headers=headers))
            await until(lambda: has_any(store, State.RECEIVED))
            await desk.acknowledge()
            response = await posting
            assert response.json()["state"] == "guarded"
            assert response.json()["protection"]["replicas"] == {"live": 1, "applied": 1}
            assert ("preference-applied" in response.headers) == bool(headers)


async def test_every_field(http: httpx.AsyncClient) -> None:
    body = {
        "kind": "work",
        "subject": {"title": "The Long Silence", "aliases": ["Silence"], "description": "a novel"},
        "exclusions": ["Silence of the Sea"],
        "response": "refuse",
        "in_context": "allow",
        "audiences": ["public", "partners"],
        "erase": "guard_only",
        "regulation": "dmca",
        "legal_basis": "17 U.S.C. 512",
        "jurisdiction": "US",
        "labels": {"ticket": "42"},
    }
    request = (await http.post(PATH, json=body)).json()
    shown = (
        "kind",
        "response",
        "in_context",
        "audiences",
        "erase",
        "regulation",
        "legal_basis",
        "jurisdiction",
        "labels",
    )
    assert {field: request[field] for field in shown} == {field: body[field] for field in shown}
    assert not {"subject", "exclusions"} & request.keys()


async def test_audiences_leave_the_weights_alone_and_say_why(http: httpx.AsyncClient) -> None:
    body = {**BODY, "audiences": ["public"]}
    (error,) = assert_problem(await http.post(PATH, json=body), 422, "validation_failed")["errors"]
    assert "guard_only" in error["message"] and "weights" in error["message"]
    assert (await http.post(PATH, json={**body, "erase": "guard_only"})).json()["audiences"] == ["public"]
    assert (await http.post(PATH, json={**body, "kind": "topic"})).status_code == 201, "a topic is only guarded anyway"


async def test_the_description_of_the_api_has_every_action_and_an_example(app: FastAPI) -> None:
    schemas = app.openapi()["components"]["schemas"]
    for name in ("ForgetRequestIn", "ForgetRequest"):
        fields = schemas[name]["properties"]
        for action in STRICTEST_FIRST:
            assert f"`{action}`" in fields["response"]["description"]
        assert "guard_only" in fields["audiences"]["description"] and fields["in_context"]["description"]
    for example in schemas["ForgetRequestIn"]["examples"]:
        assert ForgetRequestIn.model_validate(example)


async def test_records_of_before_these_fields_have_their_defaults(http: httpx.AsyncClient, store: Store) -> None:
    id_ = (await http.post(PATH, json=BODY)).json()["id"]
    (record,) = [key async for key in store._client.scan_iter(f"*{id_}*") if await store._client.type(key) == "hash"]
    assert await store._client.hdel(record, "in_context", "audiences") == 2
    request = (await http.get(f"{PATH}/{id_}")).json()
    assert (request["in_context"], request["audiences"]) == ("block", [])


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "subject"),
        ([], "body"),
        ("Ivo Marlin", "body"),
        ({"subject": "Ivo Marlin"}, "subject"),
        ({"subject": {}}, "subject"),
        ({"subject": {"name": "Ivo Marlin", "title": "Ivo Marlin"}}, "subject"),
        ({"subject": {"name": ""}}, "subject.name"),
        ({"subject": {"name": "!?."}}, "subject.name"),
        ({"subject": {"name": "M"}}, "subject.name"),
        ({"subject": {"name": "Ivo Marlin " * 20}}, "subject.name"),
        ({"subject": {"name": 7}}, "subject.name"),
        ({"subject": {"name": ["Ivo Marlin"]}}, "subject.name"),
        ({"subject": {"name": "Ivo Marlin", "aliases": ["Ivo Marlin"] * 33}}, "subject.aliases"),
        ({"subject": {"name": "Ivo Marlin", "aliases": ["Marlin", "-"]}}, "subject.aliases[1]"),
        ({"subject": {"name": "Ivo Marlin", "Ivo Marlin": 1}}, "subject.?"),
        ({"subject": {"name": "Ivo Marlin", "Marlin": 1}}, "subject.?"),
        ({**BODY, "colour": "Marlin"}, "colour"),
        ({**BODY, "Ivo Marlin": 1}, "?"),
        ({**BODY, "kind": "Marlin"}, "kind"),
        ({**BODY, "response": None}, "response"),
        ({**BODY, "in_context": "Marlin"}, "in_context"),
        ({**BODY, "audiences": ["Public!"], "erase": "guard_only"}, "audiences[0]"),
        ({**BODY, "audiences": ["public"]}, "audiences"),
        ({**BODY, "labels": {"a": 1}}, "labels.a"),
        ({**BODY, "exclusions": "Marlin"}, "exclusions"),
    ],
)
async def test_invalid_bodies_name_the_field_but_not_the_value(
    http: httpx.AsyncClient, body: object, field: str
) -> None:
    problem = assert_problem(await http.post(PATH, json=body), 422, "validation_failed")
    errors = problem["errors"]
    assert isinstance(errors, list)
    assert [error["field"] for error in errors] == [field]
    assert all(error["message"] for error in errors)


@pytest.mark.parametrize("content", [b"", b"{", b'{"subject": {"name": "Ivo Marlin"}', b"\xff\xfe", b"[" * 60_000])
async def test_malformed_json(http: httpx.AsyncClient, content: bytes) -> None:
    response = await http.post(PATH, content=content, headers={"Content-Type": "application/json"})
    if content:
        assert_problem(response, 400, "malformed_json")
    else:
        assert_problem(response, 422, "validation_failed")


async def test_a_lone_surrogate_is_not_text(http: httpx.AsyncClient) -> None:
    content = b'{"subject": {"name": "Ivo Marlin \\ud800"}}'
    response = await http.post(PATH, content=content, headers={"Content-Type": "application/json"})
    assert_problem(response, 422, "validation_failed")


async def test_other_content_types(http: httpx.AsyncClient) -> None:
    for content_type in ("text/plain", "application/x-www-form-urlencoded", ""):
        response = await http.post(PATH, content=json.dumps(BODY), headers={"Content-Type": content_type})
        assert_problem(response, 415, "unsupported_media_type")


async def test_a_body_that_is_too_large(http: httpx.AsyncClient) -> None:
    body = {**BODY, "labels": {"a": "x" * 300_000}}
    assert_problem(await http.post(PATH, json=body), 413, "body_too_large")


async def test_idempotency(http: httpx.AsyncClient, store: Store) -> None:
    headers = {"Idempotency-Key": "case 42"}
    first = await http.post(PATH, json=BODY, headers=headers)
    reordered = b'{ "response":"ignorance", "subject": {"aliases": [], "name":"Ivo Marlin"}}'
    again = await http.post(PATH, content=reordered, headers={**headers, "Content-Type": "application/json"})
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json() and again.headers["location"] == first.headers["location"]
    other = await http.post(PATH, json={"subject": {"name": "Ada Quist"}}, headers=headers)
    assert_problem(other, 409, "idempotency_conflict")
    unrelated = await http.post(PATH, json=BODY, headers={"Idempotency-Key": "case 43"})
    assert unrelated.json()["id"] != first.json()["id"], "the same name may be asked for twice"
    assert (await store.counts())[State.RECEIVED] == 2


async def test_a_regulation_sets_the_date(http: httpx.AsyncClient) -> None:
    for regulation, days in (("gdpr", (28, 29, 30, 31)), ("ccpa", (45,)), ("contract", None), (None, None)):
        request = (await http.post(PATH, json={**BODY, "regulation": regulation})).json()
        assert request["regulation"] == regulation
        if days is None:
            assert request["due_by"] is None
        else:
            due, created = (datetime.fromisoformat(request[field]) for field in ("due_by", "created_at"))
            assert (due - created).days in days and due.time() == created.time()
    assert_problem(await http.post(PATH, json={**BODY, "regulation": "Marlin"}), 422, "validation_failed")


async def test_asking_twice_for_the_same_is_told(http: httpx.AsyncClient, desk: Desk, raw: redis.Redis) -> None:
    """Never refused: two people may ask, and one of them withdraw."""

    async def posted(**fields: object) -> dict[str, Any]:
        response = await http.post(PATH, json={**BODY, **fields})
        assert response.status_code == 201
        return response.json()

    first = await posted()
    assert first["duplicate_of"] is None
    respelt = await posted(subject={"name": "  IVO  Márlin"}, labels={"ticket": "2"}, regulation="gdpr")
    assert respelt["duplicate_of"] == first["id"] != respelt["id"]
    others = [
        {"response": "refuse"},
        {"exclusions": ["Ivo Marlo"]},
        {"subject": {"name": "Ada Quist"}},
        {"kind": "topic"},
        {"languages": ["en"]},
    ]
    assert [(await posted(**other))["duplicate_of"] for other in others] == [None] * 5
    await http.post(f"{PATH}/{first['id']}/withdraw")
    assert (await posted())["duplicate_of"] is None, "the first is over"
    await desk.acknowledge()
    assert not raw.hexists(f"{ROOT}:request:{first['id']}", "wish")
    assert raw.hlen(f"{ROOT}:wishes") == 6


async def test_idempotency_under_concurrency(http: httpx.AsyncClient, store: Store) -> None:
    answers = await asyncio.gather(
        *(http.post(PATH, json=BODY, headers={"Idempotency-Key": "same"}) for _ in range(20))
    )
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert (await store.counts())[State.RECEIVED] == 1


async def test_pages(http: httpx.AsyncClient, desk: Desk) -> None:
    ids = [await desk.submit(f"Person {at:02}", kind="topic" if at % 3 == 0 else "person") for at in range(10)]
    seen: list[str] = []
    parameters: dict[str, object] = {"limit": 4}
    while True:
        page = (await http.get(PATH, params=parameters)).json()
        assert len(page["requests"]) <= 4
        seen += [request["id"] for request in page["requests"]]
        if not page["next_cursor"]:
            break
        parameters["cursor"] = page["next_cursor"]
    assert sorted(seen) == sorted(ids) and len(seen) == len(set(seen))
    created = [(await desk.store.get(id_)).created_at for id_ in seen]
    assert created == sorted(created, reverse=True)

    await desk.store.withdraw(ids[0])
    by_kind = (await http.get(PATH, params={"kind": "topic"})).json()["requests"]
    assert {request["id"] for request in by_kind} == {ids[at] for at in (0, 3, 6, 9)}
    both = (await http.get(PATH, params={"kind": "topic", "state": "received"})).json()["requests"]
    assert {request["id"] for request in both} == {ids[at] for at in (3, 6, 9)}
    assert_problem(await http.get(PATH, params={"cursor": "Marlin"}), 400, "invalid_cursor")
    assert_problem(await http.get(PATH, params={"state": "Marlin"}), 422, "validation_failed")
    assert_problem(await http.get(PATH, params={"limit": 0}), 422, "validation_failed")


async def test_withdraw_and_retry(http: httpx.AsyncClient, desk: Desk, jobs_asked_for: list[tuple[str, str]]) -> None:
    id_ = await desk.guarded()
    assert_problem(await http.post(f"{PATH}/{id_}/retry"), 409, "illegal_transition")
    desk.worker.fail(desk.worker.begin(id_), "too weak")
    response = await http.post(f"{PATH}/{id_}/retry")
    assert (response.status_code, response.json()["state"]) == (200, "guarded")
    assert jobs_asked_for == [("erase", id_)]
    etag = response.headers["etag"]
    assert_problem(await http.post(f"{PATH}/{id_}/withdraw", headers={"If-Match": '"1"'}), 412, "revision_mismatch")
    response = await http.post(f"{PATH}/{id_}/withdraw", headers={"If-Match": etag})
    assert (response.json()["state"], response.json()["protection"]["level"]) == ("withdrawing", "none")
    await desk.acknowledge()
    assert_problem(await http.post(f"{PATH}/{id_}/withdraw"), 409, "illegal_transition")


async def test_withdraw_queues_a_rebuild(
    http: httpx.AsyncClient, desk: Desk, jobs_asked_for: list[tuple[str, str]]
) -> None:
    first = await desk.erased("Ivo Marlin")
    await desk.erased("Ada Quist")
    await http.post(f"{PATH}/{first}/withdraw")
    assert jobs_asked_for == [("rebuild", first)]


async def test_unknown_ids(http: httpx.AsyncClient) -> None:
    unknown = "00000000-0000-4000-8000-000000000000"
    for call in (http.get(f"{PATH}/{unknown}"), http.post(f"{PATH}/{unknown}/withdraw")):
        assert_problem(await call, 404, "not_found")
    assert_problem(await http.get(f"{PATH}/{unknown}/events"), 404, "not_found")
    assert_problem(await http.get(f"{PATH}/Marlin"), 422, "validation_failed")


async def test_policy(http: httpx.AsyncClient, desk: Desk) -> None:
    await desk.erased("Ivo Marlin")
    await desk.submit("Ada Quist")
    policy = (await http.get("/v1/policy")).json()
    assert policy["counts"] == {**{state.value: 0 for state in State}, "erased": 1, "received": 1}
    assert (policy["version"], policy["enforced"]) == (3, 2)
    assert policy["replicas"] == {"live": 1, "applied": 0}
    assert (policy["adapter"]["stage"], policy["adapter"]["requests"]) == ("trained", 1)


async def test_store_away(tmp_path: object) -> None:
    store = Store.from_url(f"unix://{tmp_path}/nothing.sock", SEALER)
    app = FastAPI()
    app.include_router(router(store, enqueue=lambda kind, id_: asyncio.sleep(0)))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as http:
        response = await http.post(PATH, json=BODY)
        assert_problem(response, 503, "store_unavailable")
        assert int(response.headers["retry-after"]) > 0
    await store.aclose()


async def test_openapi_describes_what_is_answered(app: FastAPI, http: httpx.AsyncClient) -> None:
    document = (await http.get("/openapi.json")).json()
    schemas = document["components"]["schemas"]
    assert schemas["Subject"]["writeOnly"] is True
    assert schemas["ForgetRequestIn"]["additionalProperties"] is False
    assert "subject" not in schemas["ForgetRequest"]["properties"]
    post = document["paths"][PATH]["post"]
    assert post["responses"]["201"]["content"]["application/json"]["schema"]["$ref"].endswith("/ForgetRequest")
    for path, operations in document["paths"].items():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                content = response.get("content", {})
                if int(status) >= 400:
                    assert list(content) == [MEDIA_TYPE], (path, status)
                    assert content[MEDIA_TYPE]["schema"]["title"] == "ProblemDetails"
    events = document["paths"][f"{PATH}/{{id}}/events"]["get"]
    assert list(events["responses"]["200"]["content"]) == ["text/event-stream"]
