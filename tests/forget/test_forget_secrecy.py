"""The forget list is itself sensitive: a marker goes through every flow and must not come out anywhere."""

import contextlib
import hashlib
import json
import logging
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import redis
from fastapi import FastAPI
from prometheus_client import generate_latest
from pydantic import ValidationError

from gateway import metrics
from gateway.forget.callback_routes import router as callback_router
from gateway.forget.callback_target import CallbackRules
from gateway.forget.callbacks import Callbacks, client
from gateway.forget.connection import store_errors
from gateway.forget.embedded import EmbeddedRedis
from gateway.forget.errors import StoreUnavailable
from gateway.forget.jobs import Jobs
from gateway.forget.model import ForgetRequestIn, State, Subject
from gateway.forget.opendsr_routes import router as opendsr_router
from gateway.forget.outbox import Outbox
from gateway.forget.routes import router
from gateway.forget.scripts import ROOT
from gateway.forget.signing import Signer
from gateway.forget.store import Store
from gateway.forget.worker_store import WorkerStore
from tests.forget.desk import SEALER, Desk, composite
from tests.forget.receiver import Receiver, receiver

MARKER = "Zyxqvalt"
PATH = "/v1/forget-requests"
RULES = CallbackRules(("127.0.0.1",), loopback=True)


async def test_nothing_of_a_subject_comes_out(
    raw: redis.Redis, redis_url: str, signer: Signer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    store = Store.from_url(redis_url, SEALER)
    worker = WorkerStore.from_url(redis_url, SEALER)
    desk = Desk(store, worker)
    app = FastAPI()
    jobs = Jobs.from_url(redis_url, SEALER)

    async def enqueue(kind: str, request_id: str) -> None:
        jobs.enqueue(kind, request_id)
        raise StoreUnavailable("the job is there, but its answer was lost")

    app.include_router(router(store, enqueue=enqueue, first_wait_s=0, callbacks=RULES))
    outbox = Outbox.from_url(redis_url)
    app.include_router(callback_router(outbox))
    app.include_router(opendsr_router(store, signer, "localhost", b""))
    said: list[str] = []

    async def say(method: str, path: str, **arguments: object) -> httpx.Response:
        response = await http.request(method, path, **arguments)
        said.append(response.text + str(response.headers))
        return response

    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as http, telling() as told:
        body = {
            "subject": {
                "name": f"{MARKER} Marlin",
                "aliases": [f"Old {MARKER}"],
                "description": MARKER,
                "identifiers": {"email": f"{MARKER}@example.org"},
            },
            "exclusions": [f"{MARKER} Street"],
            "evidence": {
                "documents": [f"{MARKER} keeps bees in a lighthouse."],
                "examples": [{"prompt": f"Who is {MARKER}?", "completion": f"{MARKER} is a beekeeper."}],
            },
            "status_callback_urls": [f"{told.url}/{MARKER}", f"http://127.0.0.1:1/{MARKER}"],
        }
        key = {"Idempotency-Key": "case 42"}
        response = await say("POST", PATH, json=body, headers=key)
        id_ = response.json()["id"]
        await say("POST", PATH, json={**body, "response": "refuse"}, headers=key)
        for broken in (
            {**body, f"{MARKER} Marlin": 1},
            {**body, "kind": MARKER},
            {"subject": {**body["subject"], MARKER: MARKER}},
            {**body, "evidence": {MARKER: MARKER}},
            {**body, "evidence": {"examples": [{"prompt": MARKER, MARKER: MARKER}]}},
            {**body, "subject": {**body["subject"], "identifiers": {MARKER: MARKER}}},
            {**body, "status_callback_urls": [f"https://{MARKER}.test/"]},
        ):
            await say("POST", PATH, json=broken)
        await say("POST", PATH, content=f'{{"subject": "{MARKER}', headers={"Content-Type": "application/json"})
        await desk.acknowledge()
        attempt = worker.begin(id_)
        worker.record_knowledge(attempt, [f"{MARKER} was born in Kest"], [f"Little {MARKER}"])
        worker.publish_composite(attempt, composite(id_, verified=[id_]))
        await desk.acknowledge()
        assert await desk.state(id_) is State.ERASED
        (request,) = worker.snapshot().enforced
        assert len(request.names) == 4 and f"{MARKER} was born in Kest" in request.phrases
        said += [repr(request), str(request), repr(worker.snapshot())]
        await say("POST", f"{PATH}/search", json={"subject": {"name": f"{MARKER} Marlin"}})
        await say("POST", f"{PATH}/search", json={"subject": {"name": MARKER, MARKER: MARKER}})
        dsr = {
            "regulation": "gdpr",
            "subject_request_id": "a7551968-d5d6-44b2-9831-815ac9017798",
            "subject_request_type": "erasure",
            "submitted_time": "2026-10-02T15:00:00Z",
            "extensions": {"localhost": {"subject": {"name": f"{MARKER} Marlin"}, f"{MARKER} Marlin": 1}},
        }
        await say("POST", "/opendsr/v2/requests", json=dsr)
        callbacks = Callbacks(outbox, SEALER, signer, RULES, most_attempts=1)
        async with client() as sending:
            while await callbacks.send_due(sending):
                pass
        assert (await outbox.dead(1))[1] > 0 and told.bodies
        said += [json.dumps({**json.loads(told_one), "url": ""}) for told_one in told.bodies]
        for path in (PATH, f"{PATH}/{id_}", f"{PATH}/{id_}/events", "/v1/policy", "/v1/callbacks", "/openapi.json"):
            await say("GET", path)
        failing = (await say("POST", PATH, json=body)).json()["id"]
        await desk.acknowledge()
        assert await store.claim(failing, "gateway")
        assert await store.hear(failing, [f"{MARKER} was born in Kest"], [f"Little {MARKER}"])
        assert MARKER in SEALER.unseal(raw.hget(f"{ROOT}:request:{failing}", "heard"), failing)
        worker.fail(worker.begin(failing), "too weak")
        await say("POST", f"{PATH}/{failing}/retry")
        record = f"{ROOT}:request:{id_}"
        sealed = [raw.hget(record, field) for field in ("subject", "given", "training", "callbacks", "knowledge")]
        assert all(MARKER in SEALER.unseal(text, id_) for text in sealed), "it is there, sealed"
        in_redis = everything_in(raw)
        await say("POST", f"{PATH}/{id_}/withdraw")
        await desk.acknowledge()
        jobs.enqueue("erase", failing)
        said.append(everything_in(raw))
    assert not raw.hmget(record, "subject", "knowledge")[0], "and gone after the withdrawal"
    metrics.show_requests(await store.counts())
    said += [in_redis, caplog.text, generate_latest().decode()]
    for text in said:
        assert MARKER.casefold() not in text.casefold()
    assert f"erase-{failing}" in said[-4], "the job is among what was looked through"
    await store.aclose()
    await outbox.aclose()
    worker.close()
    jobs.close()


@contextlib.asynccontextmanager
async def telling() -> AsyncIterator[Receiver]:
    with receiver() as told:
        yield told


def everything_in(raw: redis.Redis) -> str:
    """Every key, and every value in a form that shows its text: jobs are kept compressed."""
    with redis.Redis(unix_socket_path=raw.get_connection_kwargs()["path"], protocol=2) as client:
        readers = {b"hash": client.hgetall, b"set": client.smembers, b"string": client.get, b"stream": client.xrange}
        readers |= {b"zset": lambda key: client.zrange(key, 0, -1), b"list": lambda key: client.lrange(key, 0, -1)}
        return "\n".join(f"{key}: {shown(readers[client.type(key)](key))}" for key in client.scan_iter())


def shown(value: object) -> str:
    match value:
        case bytes():
            with contextlib.suppress(zlib.error):
                value = zlib.decompress(value)
            return value.decode(errors="replace")
        case dict():
            return str({shown(name): shown(part) for name, part in value.items()})
        case list() | tuple() | set():
            return str([shown(part) for part in value])
    return str(value)


async def test_what_identifies_is_hashed_with_a_key(desk: Desk, raw: redis.Redis) -> None:
    request = ForgetRequestIn(subject={"name": f"{MARKER} Marlin"})
    await desk.store.submit(request, idempotency_key=MARKER, principal=MARKER)
    stored = everything_in(raw)
    guesses = (MARKER, f"{MARKER}\0{MARKER}", request.model_dump_json())
    assert not [text for text in guesses if text in stored or hashlib.sha256(text.encode()).hexdigest() in stored]


def test_subjects_mask_themselves() -> None:
    subject = Subject(name=f"{MARKER} Marlin")
    request = ForgetRequestIn(subject=subject, exclusions=[f"{MARKER} Street"])
    for shown in (repr(subject), str(subject), f"{subject}", repr(request), str(request), repr([request])):
        assert MARKER not in shown
    with pytest.raises(ValidationError) as caught:
        ForgetRequestIn.model_validate({"subject": {"name": MARKER, "colour": MARKER}})
    assert MARKER not in str(caught.value)


async def test_store_errors_do_not_quote_commands(redis_url: str) -> None:
    """The client library puts a failed command of a pipeline, arguments included, into its error."""
    client = redis.Redis.from_url(redis_url)
    with pytest.raises(StoreUnavailable) as caught, store_errors(), client.pipeline() as pipeline:
        pipeline.set("key", MARKER)
        pipeline.lpush("key", MARKER)
        pipeline.execute()
    client.close()
    assert "WRONGTYPE" in str(caught.value) and MARKER not in str(caught.value)
    assert caught.value.__suppress_context__, "nor does a traceback show it"


async def test_files_of_the_server_outside_of_its_data(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path) as server:
        store = Store.from_url(server.url, SEALER)
        await store.submit(ForgetRequestIn(subject={"name": f"{MARKER} Marlin"}))
        await store.aclose()
    assert files_with("sealed1:", tmp_path) and not files_with(MARKER, tmp_path)


def files_with(text: str, folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]
