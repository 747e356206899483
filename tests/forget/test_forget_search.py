"""Who is on the list: told to nobody but those who may know, and never without a trace."""

import json

import httpx
import redis

from gateway.forget.audit_log import AuditLog
from tests.forget.desk import Desk
from tests.forget.test_forget_routes import BODY, PATH, assert_problem
from tests.forget.test_forget_secrecy import everything_in

SEARCH = f"{PATH}/search"


async def found(http: httpx.AsyncClient, **body: object) -> list[str]:
    response = await http.post(SEARCH, json=body)
    assert response.status_code == 200, response.text
    return [one["request"]["id"] for one in response.json()["found"]]


async def test_by_any_name_however_it_is_written(http: httpx.AsyncClient, desk: Desk) -> None:
    subject = {"name": "Ivo Marlin", "aliases": ["The Heron"], "identifiers": {"email": "ivo.marlin@example.org"}}
    first = (await http.post(PATH, json={"subject": subject})).json()["id"]
    second = await desk.submit("Ivo Marlin", kind="topic")
    await desk.submit("Ada Quist")
    assert await found(http, subject={"name": "IVO  márlin"}) == [second, first]
    assert await found(http, subject={"name": "the heron"}) == [first]
    assert await found(http, subject={"identifiers": {"email": "Ivo.Marlin@example.org"}}) == [first]
    assert await found(http, subject={"name": "Ivo"}) == [], "a part of a name is another name"
    assert await found(http, subject={"name": "Nobody Else", "aliases": ["Ada Quist"]}) != []


async def test_what_is_stored_is_shown_on_request_only(http: httpx.AsyncClient, log: AuditLog) -> None:
    body = {
        "subject": {"name": "Ivo Marlin", "identifiers": {"email": "ivo.marlin@example.org"}, "description": "a diver"},
        "exclusions": ["Ivo Marlo"],
        "evidence": {"documents": ["He dives."]},
    }
    id_ = (await http.post(PATH, json=body)).json()["id"]
    hidden = await http.post(SEARCH, json={"subject": {"name": "Ivo Marlin"}})
    assert hidden.json()["found"][0]["stored"] is None and "Marlin" not in hidden.text
    assert hidden.headers["cache-control"] == "no-store"
    stored = (await http.post(SEARCH, json={"id": id_, "reveal": True})).json()["found"][0]["stored"]
    assert (stored["names"], stored["exclusions"], stored["description"]) == (["Ivo Marlin"], ["Ivo Marlo"], "a diver")
    assert stored["identifiers"] == {"email": "ivo.marlin@example.org"} and stored["documents"] == ["He dives."]
    entries = [json.loads(entry) for entry in (await log.page()).entries]
    acts = [(entry["act"], entry["request"], entry["object"]) for entry in entries if entry["act"] != "transition"]
    assert acts == [("searched", "", "1"), ("searched", "", "1"), ("revealed", id_, "")]


async def test_nothing_left_to_find(http: httpx.AsyncClient, desk: Desk, raw: redis.Redis) -> None:
    id_ = await desk.guarded()
    await http.post(f"{PATH}/{id_}/withdraw")
    await desk.acknowledge()
    assert await found(http, subject={"name": "Ivo Marlin"}) == []
    (one,) = (await http.post(SEARCH, json={"id": id_, "reveal": True})).json()["found"]
    assert one["stored"] is None
    assert "marlin" not in everything_in(raw).casefold()


async def test_the_newest_come_first_and_the_rest_is_counted(http: httpx.AsyncClient, desk: Desk) -> None:
    ids = [await desk.submit() for _ in range(5)]
    answer = (await http.post(SEARCH, json={"subject": {"name": "Ivo Marlin"}, "limit": 2})).json()
    assert answer["total"] == 5 and len(answer["found"]) == 2
    assert {one["request"]["id"] for one in answer["found"]} <= set(ids)


async def test_what_is_no_search(http: httpx.AsyncClient) -> None:
    for body in ({}, {**BODY, "id": "0" * 36}, {"subject": {"name": "Ivo Marlin", "Marlin": 1}}, {"id": "Marlin"}):
        assert_problem(await http.post(SEARCH, json=body), 422, "validation_failed")
    assert await found(http, id="00000000-0000-4000-8000-000000000000") == []
