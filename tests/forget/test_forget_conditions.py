"""Conditional requests and cursors: nobody changes what he has not seen, nobody pages through another's list."""

import httpx
import pytest

from gateway.forget.conditions import revisions
from tests.forget.desk import Desk
from tests.forget.test_forget_routes import PATH, assert_problem

CHANGES = ("withdraw", "retry", "approve", "reject", "hold", "release")


@pytest.mark.parametrize("change", CHANGES)
async def test_every_change_heeds_if_match(http: httpx.AsyncClient, desk: Desk, change: str) -> None:
    id_ = await desk.submit()
    for stale in ('"99-abc"', 'W/"99-abc"', '"Marlin"', "Marlin", '""', ""):
        response = await http.post(f"{PATH}/{id_}/{change}", headers={"If-Match": stale})
        assert_problem(response, 412, "revision_mismatch")
    response = await http.post(f"{PATH}/{id_}/{change}", headers={"If-Match": "*"})
    assert response.status_code in (200, 409), "any revision will do; the state may not"


async def test_weak_tags_and_lists_count(http: httpx.AsyncClient, desk: Desk) -> None:
    for form in ("{}", "W/{}", '"99-abc", {}', '"99-abc",W/{}'):
        id_ = await desk.guarded()
        tag = (await http.get(f"{PATH}/{id_}")).headers["etag"]
        response = await http.post(f"{PATH}/{id_}/hold", headers={"If-Match": form.format(tag)})
        assert response.status_code == 200, form
        assert response.headers["etag"] != tag
    assert revisions('"3-aa", W/"5-bb"') == "3,5"


async def test_not_modified(http: httpx.AsyncClient, desk: Desk) -> None:
    id_ = await desk.guarded()
    first = await http.get(f"{PATH}/{id_}")
    tag = first.headers["etag"]
    for known in (tag, f"W/{tag}", "*", f'"other", {tag}'):
        again = await http.get(f"{PATH}/{id_}", headers={"If-None-Match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert (await http.get(f"{PATH}/{id_}", headers={"If-None-Match": '"other"'})).status_code == 200
    await desk.acknowledge("another replica")
    changed = await http.get(f"{PATH}/{id_}", headers={"If-None-Match": tag})
    assert changed.status_code == 200 and changed.headers["etag"] != tag, "another replica is part of what is shown"
    held = await http.post(f"{PATH}/{id_}/hold", headers={"If-Match": tag})
    assert held.status_code == 200, "but no change of the request"


async def pages(http: httpx.AsyncClient, **parameters: object) -> list[list[str]]:
    found = []
    while True:
        page = (await http.get(PATH, params=parameters)).json()
        found.append([request["id"] for request in page["requests"]])
        if page["next_cursor"] is None:
            return found
        parameters["cursor"] = page["next_cursor"]


@pytest.mark.parametrize(("count", "sizes"), [(0, [0]), (3, [3]), (6, [3, 3]), (7, [3, 3, 1])])
async def test_the_last_page_has_no_cursor(http: httpx.AsyncClient, desk: Desk, count: int, sizes: list[int]) -> None:
    for _ in range(count):
        await desk.submit()
    assert [len(page) for page in await pages(http, limit=3)] == sizes


async def test_pages_are_stable_while_requests_come(http: httpx.AsyncClient, desk: Desk) -> None:
    before = [await desk.submit() for _ in range(6)]
    page = (await http.get(PATH, params={"limit": 2})).json()
    seen = [request["id"] for request in page["requests"]]
    while page["next_cursor"]:
        await desk.submit()
        page = (await http.get(PATH, params={"limit": 2, "cursor": page["next_cursor"]})).json()
        seen += [request["id"] for request in page["requests"]]
    assert len(seen) == len(set(seen)) == 6 and set(seen) == set(before)


async def test_a_cursor_that_was_not_given_out(http: httpx.AsyncClient, desk: Desk) -> None:
    for _ in range(3):
        await desk.submit()
    cursor = (await http.get(PATH, params={"limit": 1})).json()["next_cursor"]
    assert (await http.get(PATH, params={"limit": 2, "cursor": cursor})).status_code == 200
    altered = ("B" if cursor[40] == "A" else "A").join((cursor[:40], cursor[41:]))
    for wrong in (altered, cursor[:-1], cursor + "A", "", "Marlin", "é", "1760000000000:" + "0" * 36, "A" * 5000):
        assert_problem(await http.get(PATH, params={"cursor": wrong}), 400, "invalid_cursor")
    other_list = {"cursor": cursor, "state": "received"}
    assert_problem(await http.get(PATH, params=other_list), 400, "invalid_cursor")
