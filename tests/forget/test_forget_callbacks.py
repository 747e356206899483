"""Callbacks: signed, at least once, to nobody who must not be reached."""

import base64
import json
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from fastapi import FastAPI
from jwt import PyJWK

from gateway.forget import callbacks as callbacks_module
from gateway.forget.callback_routes import router as callback_router
from gateway.forget.callback_target import CallbackRules, TargetRefused, is_public, pinned
from gateway.forget.callbacks import SIGNATURE, Callbacks, client
from gateway.forget.model import ForgetRequestIn, State
from gateway.forget.outbox import Outbox
from gateway.forget.routes import router
from gateway.forget.scripts import ROOT
from gateway.forget.signing import Signer
from tests.forget.desk import SEALER, Desk
from tests.forget.receiver import Receiver, receiver
from tests.forget.test_forget_routes import PATH, assert_problem

HERE = CallbackRules(("127.0.0.1",), loopback=True)


@pytest.fixture
def told() -> Iterator[Receiver]:
    with receiver() as one:
        yield one


@pytest.fixture
async def outbox(redis_url: str, raw: redis.Redis) -> AsyncIterator[Outbox]:
    outbox = Outbox.from_url(redis_url)
    yield outbox
    await outbox.aclose()


def sender(outbox: Outbox, signer: Signer, rules: CallbackRules = HERE, **fields: Any) -> Callbacks:
    return Callbacks(outbox, SEALER, signer, rules, first_pause_s=0.0, **fields)


async def send_all(sender: Callbacks) -> int:
    sent = 0
    async with client() as http:
        while now := await sender.send_due(http):
            sent += now
    return sent


async def wanted(desk: Desk, *urls: str, **fields: Any) -> str:
    return await desk.submit(status_callback_urls=list(urls), **fields)


def verified(header: str, body: bytes, signer: Signer) -> int:
    """The time of a signature, checked as docs/api.md tells receivers to."""
    parts = dict(part.split("=", 1) for part in header.split(","))
    (jwk,) = signer.jwks["keys"]
    assert parts["kid"] == jwk["kid"]
    raw = base64.urlsafe_b64decode(parts["es256"] + "==")
    der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    PyJWK(jwk).key.verify(der, parts["t"].encode() + b"." + body, ec.ECDSA(hashes.SHA256()))
    return int(parts["t"])


async def test_every_change_is_told_and_signed(desk: Desk, outbox: Outbox, signer: Signer, told: Receiver) -> None:
    id_ = await wanted(desk, told.url, f"{told.url}/too", erase="guard_only")
    await desk.acknowledge()
    await desk.store.withdraw(id_)
    await desk.acknowledge()
    assert await send_all(sender(outbox, signer, clock=lambda: 1_790_000_000.5)) == 8
    messages = [json.loads(body) for body in told.bodies]
    steps = [(one["sequence"], one["state"]) for one in messages if one["url"] == told.url]
    assert steps == [(1, "received"), (2, "guarded"), (3, "withdrawing"), (4, "withdrawn")]
    assert {one["request"] for one in messages} == {id_} and len({one["callback"] for one in messages}) == 8
    for body, headers in zip(told.bodies, told.headers, strict=True):
        assert verified(headers[SIGNATURE.lower()], body, signer) == 1_790_000_000
        assert headers["host"] == told.url.split("/")[2] and b"Marlin" not in body
    stamped = told.headers[0][SIGNATURE.lower()].replace("t=1790000000", "t=1790009999")
    with pytest.raises(InvalidSignature):
        verified(stamped, told.bodies[0], signer)
    with pytest.raises(InvalidSignature):
        verified(told.headers[0][SIGNATURE.lower()], told.bodies[0] + b" ", signer)


async def test_tried_until_it_arrives(desk: Desk, outbox: Outbox, signer: Signer, told: Receiver) -> None:
    told.status = lambda number: 500 if number < 4 else 202
    await wanted(desk, told.url)
    results: list[str] = []
    await send_all(sender(outbox, signer, on_result=results.append))
    assert results == ["status_500", "status_500", "status_500", "arrived"]
    assert len(set(told.bodies)) == 1 and await outbox.dead(10) == (0, 0, [])


async def test_pauses_grow(desk: Desk, outbox: Outbox, signer: Signer, told: Receiver, raw: redis.Redis) -> None:
    told.status = lambda number: 503
    await wanted(desk, told.url)
    (name,) = raw.zrange(f"{ROOT}:outbox", 0, -1)
    patient = Callbacks(outbox, SEALER, signer, HERE, first_pause_s=100.0)
    async with client() as http:
        for attempt in range(5):
            raw.zadd(f"{ROOT}:outbox", {name: 0})
            assert await patient.send_due(http) == 1
            seconds, micro = raw.time()
            pause_s = raw.zscore(f"{ROOT}:outbox", name) / 1000 - seconds - micro / 1e6
            most = min(100 * 2**attempt, callbacks_module.LONGEST_PAUSE_S)
            assert most / 2 - 10 <= pause_s <= most
            assert await patient.send_due(http) == 0, "not before"


async def test_whoever_dies_with_it_leaves_it_to_others(
    desk: Desk, outbox: Outbox, signer: Signer, told: Receiver, raw: redis.Redis
) -> None:
    await wanted(desk, told.url)
    (taken,) = await outbox.take(10, lease_s=60)
    assert await send_all(sender(outbox, signer)) == 0, "somebody is at it"
    raw.zadd(f"{ROOT}:outbox", {taken.name: 0})  # the lease has run out
    assert await send_all(sender(outbox, signer)) == 1 and len(told.bodies) == 1


async def test_dead_letters_are_shown_and_can_be_tried_again(
    desk: Desk, outbox: Outbox, signer: Signer, told: Receiver
) -> None:
    told.status = lambda number: 500
    id_ = await wanted(desk, told.url)
    assert await send_all(sender(outbox, signer, most_attempts=3)) == 3
    app = FastAPI()
    app.include_router(callback_router(outbox))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as http:
        state = (await http.get("/v1/callbacks")).json()
        (letter,) = state["latest_dead"]
        assert (state["pending"], state["dead"], letter["attempts"], letter["reason"]) == (0, 1, 3, "status_500")
        assert letter["callback"] == f"{id_}:1:1" and "127.0.0.1" not in json.dumps(state)
        assert (await http.post("/v1/callbacks/retry")).json() == {"retried": 1}
    told.status = lambda number: 200
    assert await send_all(sender(outbox, signer)) == 1 and await outbox.dead(10) == (0, 0, [])


@pytest.mark.parametrize("damage", ["state", "history", "record", "name", "addresses", "opendsr"])
async def test_one_that_cannot_be_read_is_a_dead_letter_and_stops_no_other(
    desk: Desk, outbox: Outbox, signer: Signer, told: Receiver, raw: redis.Redis, damage: str
) -> None:
    """A record is damaged, or a later version's: `state` is one that this gateway does not know."""
    id_ = await wanted(desk, told.url)
    name, record = f"{id_}:1:1", f"{ROOT}:request:{id_}"
    (entry,) = json.loads(raw.hget(record, "history") or "")
    match damage:
        case "state":
            raw.hset(record, "history", json.dumps([{**entry, "state": "of-a-later-version"}]))
        case "history":
            raw.hset(record, "history", "[{")
        case "record":
            raw.delete(record)
        case "name":
            raw.delete(f"{ROOT}:outbox")
            raw.zadd(f"{ROOT}:outbox", {(name := "nobody's"): 0})
        case "addresses":
            raw.hset(record, "callbacks", SEALER.seal("[]", id_))
        case "opendsr":
            raw.hset(record, "opendsr", json.dumps({"controller_id": "shop"}))
    other = await wanted(desk, told.url)
    results: list[str] = []
    await send_all(sender(outbox, signer, most_attempts=2, on_result=results.append))
    assert [json.loads(body)["request"] for body in told.bodies] == [other]
    assert sorted(results) == ["arrived", "unreadable", "unreadable"]
    pending, _, (letter,) = await outbox.dead(10)
    assert (pending, letter.name, letter.reason, letter.attempts) == (0, name, "unreadable", 2)


async def test_no_redirect_is_followed(desk: Desk, outbox: Outbox, signer: Signer, told: Receiver) -> None:
    with receiver() as inside:
        told.status, told.location = (lambda number: 307), inside.url
        await wanted(desk, told.url)
        await send_all(sender(outbox, signer, most_attempts=1))
        assert len(told.bodies) == 1 and not inside.bodies
    assert (await outbox.dead(1))[2][0].reason == "status_307"


async def test_a_host_that_is_no_longer_allowed(desk: Desk, outbox: Outbox, signer: Signer, told: Receiver) -> None:
    await wanted(desk, told.url)
    await send_all(sender(outbox, signer, CallbackRules(("hooks.example.org",), loopback=True), most_attempts=1))
    assert not told.bodies and (await outbox.dead(1))[2][0].reason == "host_not_allowed"


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "224.0.0.1"),
        "0.0.0.0",  # noqa: S104
        *("::1", "::", "fe80::1", "fc00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::a01:203"),
        *("2002:7f00:1::", "2002:a00:1::", "2001:db8::1", "255.255.255.255"),
    ],
)
async def test_private_addresses(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """Whatever the name of an allowed host leads to, alone or among public addresses."""
    assert not is_public(address)
    public = "2606:4700::6810:85e5" if ":" in address else "93.184.215.14"

    def resolve(addresses: list[str]) -> None:
        async def look_up(self: object, host: str, port: int, **kind: object) -> list[Any]:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in addresses]

        monkeypatch.setattr("asyncio.base_events.BaseEventLoop.getaddrinfo", look_up)

    rules, url = CallbackRules(("hooks.example.org",)), httpx.URL("https://hooks.example.org/told")
    for addresses in ([address], [public, address], [address, public], []):
        resolve(addresses)
        with pytest.raises(TargetRefused, match="private_address"):
            await pinned(rules, url)
    resolve([public])
    assert await pinned(rules, url) == public


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.org/",
        "https://elsewhere.example.org/",
        "https://example.org.evil.test/",
        "https://user:secret@hooks.example.org/",
        "https://hooks.example.org/#x",
        "https://127.0.0.1/",
        "https:///told",
    ],
)
async def test_addresses_that_are_refused_at_once(desk: Desk, url: str) -> None:
    app = FastAPI()
    rules = CallbackRules(("hooks.example.org", "*.partner.test"))
    app.include_router(router(desk.store, enqueue=lambda *_: desk.store.check(), first_wait_s=0, callbacks=rules))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as http:
        body = {"subject": {"name": "Ivo Marlin"}, "status_callback_urls": ["https://a.partner.test/x", url]}
        errors = assert_problem(await http.post(PATH, json=body), 422, "validation_failed")["errors"]
        assert isinstance(errors, list) and errors[0]["field"] == "status_callback_urls[1]"
        assert "secret" not in json.dumps(errors)
        body["status_callback_urls"] = ["https://hooks.example.org:8443/x?y=1"]
        assert (await http.post(PATH, json=body)).status_code == 201


async def test_addresses_lie_sealed(desk: Desk, raw: redis.Redis) -> None:
    id_ = await desk.store.submit(
        ForgetRequestIn(subject={"name": "Ivo Marlin"}, status_callback_urls=["https://hooks.example.org/token-4711"])
    )
    assert "token-4711" not in str(raw.hgetall(f"{ROOT}:request:{id_}"))
    assert (await desk.store.get(id_)).state is State.RECEIVED


async def test_the_certificate_is_that_of_the_name(
    desk: Desk, outbox: Outbox, signer: Signer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Connected is to the address that was checked, but the server has to be the one of the URL."""

    async def look_up(self: object, host: str, port: int, **kind: object) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr("asyncio.base_events.BaseEventLoop.getaddrinfo", look_up)
    rules = CallbackRules(("hooks.example.org", "xn--bcher-kva.example"), loopback=True)
    for certified, arrives in (("hooks.example.org", True), ("elsewhere.example.org", False)):
        (tmp_path / "cert.pem").write_bytes(signer.self_signed(certified, datetime.now(UTC)))
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(tmp_path / "cert.pem", tmp_path / "signing-key.pem")
        trusting = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
        with receiver(tls) as told:
            port = told.url.split(":")[2].partition("/")[0]
            await wanted(desk, f"https://hooks.example.org:{port}/told")
            callbacks = sender(outbox, signer, rules, most_attempts=1)
            async with httpx.AsyncClient(verify=trusting, trust_env=False) as http:
                while await callbacks.send_due(http):
                    pass
            assert bool(told.bodies) == arrives
            if arrives:
                assert told.headers[0]["host"] == f"hooks.example.org:{port}"
    assert [letter.reason for letter in (await outbox.dead(9))[2]] == ["connection"]
    assert rules.refusal("https://bücher.example/") is None
