"""Who is let through to what."""

import asyncio
import itertools
import json

import httpx
import pytest
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

from gateway.forget.problems import MEDIA_TYPE
from gateway.forget.resource import PATH
from gateway.security.access import CHAT, OPEN, accepted_scopes
from gateway.security.gate import Gate
from gateway.security.key_store import KeyStore
from gateway.security.keys import KeyRing, Scope
from gateway.serving.routes import ALLOWED
from tests.security.conftest import MakeKey

ID = "00000000-0000-4000-8000-000000000000"
BODY = {"subject": {"name": "Ivo Marlin"}}
CHAT_PATH = "/v1/chat/completions"
ROUTES = {
    ("POST", CHAT_PATH): "chat",
    ("POST", PATH): "forget:submit",
    ("POST", f"{PATH}/dry-run"): "forget:submit",
    ("POST", f"{PATH}/search"): "forget:reveal",
    ("GET", "/v1/callbacks"): "forget:read",
    ("POST", "/v1/callbacks/retry"): "forget:admin",
    ("POST", "/opendsr/v2/requests"): "forget:submit",
    ("GET", f"/opendsr/v2/requests/{ID}"): "forget:read",
    ("DELETE", f"/opendsr/v2/requests/{ID}"): "forget:submit",
    ("GET", PATH): "forget:read",
    ("GET", f"{PATH}/{ID}"): "forget:read",
    ("GET", f"{PATH}/{ID}/events"): "forget:read",
    ("POST", f"{PATH}/{ID}/withdraw"): "forget:review",
    ("POST", f"{PATH}/{ID}/retry"): "forget:review",
    **{("POST", f"{PATH}/{ID}/{act}"): "forget:review" for act in ("approve", "reject", "hold", "release")},
    ("GET", f"{PATH}/{ID}/report"): "forget:read",
    ("GET", f"{PATH}/{ID}/certificate"): "forget:read",
    ("GET", "/v1/policy"): "forget:read",
    ("GET", "/v1/audit"): "audit:read",
    ("GET", "/v1/audit/head"): "audit:read",
    ("POST", "/v1/keys"): "forget:admin",
    ("GET", "/v1/keys"): "forget:admin",
    ("POST", "/v1/keys/000000000000/revoke"): "forget:admin",
}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_each_scope_opens_its_routes_and_no_other(http: httpx.AsyncClient, make_key: MakeKey) -> None:
    for scope in Scope:
        headers = bearer(await make_key(scope))
        for (method, path), needed in ROUTES.items():
            response = await http.request(method, path, headers=headers)
            assert (response.status_code == 403) == (needed != scope), (scope, method, path, response.text)
            if needed != scope:
                assert needed in response.text, "it says what is missing"


async def test_the_audit_log_names_the_key(http: httpx.AsyncClient, make_key: MakeKey) -> None:
    token = await make_key("forget:submit")
    id_ = (await http.post(PATH, json=BODY, headers=bearer(token))).json()["id"]
    auditor = bearer(await make_key("audit:read"))
    entries = (await http.get("/v1/audit", params={"request": id_}, headers=auditor)).text.splitlines()
    assert {json.loads(entry)["actor"] for entry in entries} == {token.split("_")[1]}


async def test_chat_and_forget_with_both(http: httpx.AsyncClient, make_key: MakeKey) -> None:
    headers = bearer(await make_key("chat", "forget:submit"))
    assert (await http.post(CHAT_PATH, headers=headers)).status_code == 200
    assert (await http.post(PATH, json=BODY, headers=headers)).status_code == 201


def test_every_route_is_known(app: FastAPI) -> None:
    """A route nobody thought of would need `forget:admin`: none does but the keys' own."""
    ours = set()
    for route in app.routes:
        path = route.path.replace("{id}", ID)  # type: ignore[attr-defined]
        ours |= {(method, path) for method in route.methods}  # type: ignore[attr-defined]
    served = {(method, path) for method, path in itertools.product(("GET", "POST"), ALLOWED)}
    wanting_admin = {path for method, path in ours | served if accepted_scopes(method, path) == {Scope.ADMIN}}
    posts = {"/version", "/load", "/metrics"}  # they are only to be read
    assert wanting_admin - posts == {
        "/v1/keys",
        f"/v1/keys/{ID}/revoke",
        "/v1/callbacks/retry",
        "/docs/oauth2-redirect",
        "/redoc",
    }
    assert {path for path in ALLOWED if accepted_scopes("GET", path) is None} == OPEN & ALLOWED


@pytest.mark.parametrize(
    "path",
    ["/v1/chat/completions/", "//v1/chat/completions", "/v1/forget-requests/", "/health/x", "/x/../health"],
)
def test_other_spellings_of_a_path_open_nothing(path: str) -> None:
    assert accepted_scopes("POST", path) == {Scope.ADMIN}


async def test_without_a_good_key(http: httpx.AsyncClient, make_key: MakeKey) -> None:
    token = await make_key(*Scope)
    broken = token[:-1] + ("0" if token[-1] != "0" else "1")
    headers = [{}, {"Authorization": token}, bearer(""), bearer(broken), bearer("x"), {"X-Api-Key": broken}]
    headers += [{"Authorization": f"Basic {token}"}, bearer(f"{token}, {token}"), {"Authorization": "Bearer \xff"}]
    for given in headers:
        encoded = {name: value.encode("latin-1") for name, value in given.items()}
        ours = await http.post(PATH, json=BODY, headers=encoded)
        assert (ours.status_code, ours.headers["content-type"]) == (401, MEDIA_TYPE)
        assert ours.json()["code"] in ("missing_api_key", "invalid_api_key")
        theirs = await http.post(CHAT_PATH, headers=encoded)
        assert (theirs.status_code, theirs.json()["error"]["code"]) == (401, ours.json()["code"])
        assert "bearer" in theirs.headers["www-authenticate"].lower()
        assert token not in ours.text + theirs.text
    assert (await http.get(PATH, headers=bearer(token))).json()["requests"] == []


async def test_styles_of_clients(http: httpx.AsyncClient, make_key: MakeKey) -> None:
    token = await make_key("chat")
    for headers in (bearer(token), {"authorization": f"bearer {token}"}, {"x-api-key": token}):
        assert (await http.post(CHAT_PATH, headers=headers)).status_code == 200
    anthropic = (await http.post("/v1/messages")).json()
    assert (anthropic["type"], anthropic["error"]["type"]) == ("error", "authentication_error")


async def test_health_is_open_and_nothing_before_the_keys_are_loaded(app: FastAPI, http: httpx.AsyncClient) -> None:
    app.get("/health")(lambda: {"ok": True})
    assert (await http.get("/health")).status_code == 200
    response = await http.post(CHAT_PATH, headers=bearer("x"))
    assert (response.status_code, response.headers["retry-after"]) == (503, "2")


async def test_the_route_learns_who_asks(http: httpx.AsyncClient, make_key: MakeKey, used: dict[str, float]) -> None:
    token = await make_key("chat", audiences=["staff", "press"])
    text = (await http.post(CHAT_PATH, headers=bearer(token))).text
    assert text == f"{token.split('_')[1]} press,staff"
    assert set(used) == {token.split("_")[1]}


async def test_rates(http: httpx.AsyncClient, make_key: MakeKey) -> None:
    headers = bearer(await make_key("chat", "forget:read", rate="2/hour"))
    for path, method in ((CHAT_PATH, "POST"), (PATH, "GET")):
        answers = [await http.request(method, path, headers=headers) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert 1790 < int(answers[-1].headers["retry-after"]) <= 1800


async def test_concurrency(app: FastAPI, http: httpx.AsyncClient, make_key: MakeKey) -> None:
    go_on, arrived = asyncio.Event(), asyncio.Event()

    @app.post("/v1/completions")
    async def slow() -> None:
        arrived.set()
        await go_on.wait()

    headers, others = bearer(await make_key("chat", concurrency=1)), bearer(await make_key("chat", concurrency=1))
    first = asyncio.create_task(http.post("/v1/completions", headers=headers))
    await asyncio.wait_for(arrived.wait(), 15)
    refused = await http.post(CHAT_PATH, headers=headers)
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "concurrency_limit_exceeded")
    assert (await http.post(CHAT_PATH, headers=others)).status_code == 200
    go_on.set()
    assert (await first).status_code == 200
    assert (await http.post(CHAT_PATH, headers=headers)).status_code == 200


async def test_whose_requests_await_review(http: httpx.AsyncClient, make_key: MakeKey) -> None:
    untrusted, trusted = await make_key("forget:submit"), await make_key("forget:submit", trusted=True)
    reviewer = await make_key("forget:submit", "forget:review")
    states = [(await http.post(PATH, json=BODY, headers=bearer(key))).json() for key in (untrusted, trusted, reviewer)]
    assert [request["state"] for request in states] == ["awaiting_review", "received", "received"]
    approve = f"{PATH}/{states[0]['id']}/approve"
    assert (await http.post(approve, headers=bearer(untrusted))).status_code == 403, "nobody reviews his own"
    approved = await http.post(approve, headers=bearer(reviewer))
    assert (approved.status_code, approved.json()["state"]) == (200, "received")


async def test_idempotency_keys_belong_to_a_principal(http: httpx.AsyncClient, make_key: MakeKey) -> None:
    headers = [{**bearer(await make_key("forget:submit")), "Idempotency-Key": "case 42"} for _ in range(2)]
    first, again = [await http.post(PATH, json=BODY, headers=headers[0]) for _ in range(2)]
    other = await http.post(PATH, json={"subject": {"name": "Ada Quist"}}, headers=headers[1])
    assert (first.status_code, other.status_code) == (201, 201)
    assert first.json()["id"] == again.json()["id"] != other.json()["id"]


async def test_the_chat_path_asks_redis_nothing(app: FastAPI, make_key: MakeKey, ring: KeyRing) -> None:
    """The gate's only way to the store is the shared throttle, which a chat request never takes."""
    token = await make_key("chat", "forget:read", rate="100/minute")
    nowhere = KeyStore.from_url("unix:///nowhere.sock")
    app.user_middleware[0].kwargs["shared_throttle"] = nowhere.throttle
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as http:
        assert (await http.post(CHAT_PATH, headers=bearer(token))).status_code == 200
        away = await http.get(PATH, headers=bearer(token))
        assert (away.status_code, away.json()["code"]) == (503, "store_unavailable")
    await nowhere.aclose()


def test_chat_routes_are_those_of_the_field_gate() -> None:
    assert CHAT <= ALLOWED


async def test_a_browsers_preflight_reaches_the_cors_middleware_and_no_route(app: FastAPI, keys: KeyStore) -> None:
    ring = KeyRing()
    ring.replace(())
    inner = FastAPI()
    reached: list[str] = []

    @inner.api_route(CHAT_PATH, methods=["POST", "OPTIONS"])
    async def route() -> None:
        reached.append("route")

    inner.add_middleware(CORSMiddleware, allow_origins=["https://shop.example.org"], allow_methods=["POST"])
    inner.add_middleware(Gate, ring=ring, shared_throttle=keys.throttle, used={})
    asking = {"Origin": "https://shop.example.org", "Access-Control-Request-Method": "POST"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(inner), base_url="http://gateway") as http:
        preflight = await http.options(CHAT_PATH, headers=asking)
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-origin"] == "https://shop.example.org"
        assert (await http.options(CHAT_PATH, headers={**asking, "Origin": "https://evil.test"})).status_code == 400
        for headers in ({}, {"Origin": asking["Origin"]}, {"Access-Control-Request-Method": "POST"}):
            assert (await http.options(CHAT_PATH, headers=headers)).status_code == 401
        assert (await http.post(CHAT_PATH, headers=asking)).status_code == 401, "only OPTIONS is a preflight"
    assert not reached
