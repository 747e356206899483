"""The forget list is itself sensitive: a marker goes through every flow and must not come out anywhere."""

import logging
from pathlib import Path

import httpx
import pytest
import redis
from fastapi import FastAPI
from pydantic import ValidationError

from gateway.forget.connection import store_errors
from gateway.forget.embedded import EmbeddedRedis
from gateway.forget.errors import StoreUnavailable
from gateway.forget.model import ForgetRequestIn, State, Subject
from gateway.forget.routes import router
from gateway.forget.sealer import OpenSealer
from gateway.forget.store import Store
from gateway.forget.worker_store import WorkerStore
from tests.forget.desk import Desk, composite

MARKER = "Zyxqvalt"
PATH = "/v1/forget-requests"


class ReversingSealer(OpenSealer):
    """Stands for encryption: what goes through it can be told from what does not."""

    def seal(self, plaintext: str, context: str) -> str:
        return f"{context}|{plaintext[::-1]}"

    def unseal(self, sealed: str, context: str) -> str:
        named, _, reversed_text = sealed.partition("|")
        assert named == context
        return reversed_text[::-1]


async def test_nothing_of_a_subject_comes_out(
    raw: redis.Redis, redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    store = Store.from_url(redis_url, ReversingSealer())
    worker = WorkerStore.from_url(redis_url, ReversingSealer())
    desk = Desk(store, worker)
    app = FastAPI()
    jobs: list[tuple[str, str]] = []

    async def enqueue(kind: str, request_id: str) -> None:
        jobs.append((kind, request_id))
        raise StoreUnavailable("no jobs today")

    app.include_router(router(store, enqueue=enqueue, first_wait_s=0))
    said: list[str] = []

    async def say(method: str, path: str, **arguments: object) -> httpx.Response:
        response = await http.request(method, path, **arguments)
        said.append(response.text + str(response.headers))
        return response

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as http:
        body = {
            "subject": {"name": f"{MARKER} Marlin", "aliases": [f"Old {MARKER}"], "description": MARKER},
            "exclusions": [f"{MARKER} Street"],
        }
        key = {"Idempotency-Key": "case 42"}
        response = await say("POST", PATH, json=body, headers=key)
        id_ = response.json()["id"]
        await say("POST", PATH, json={**body, "response": "refuse"}, headers=key)
        for broken in (
            {**body, f"{MARKER} Marlin": 1},
            {**body, "kind": MARKER},
            {"subject": {**body["subject"], MARKER: MARKER}},
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
        assert len(request.names) == 3 and len(request.phrases) == 1
        said += [repr(request), str(request), repr(worker.snapshot())]
        for path in (PATH, f"{PATH}/{id_}", f"{PATH}/{id_}/events", "/v1/policy", "/openapi.json"):
            await say("GET", path)
        in_redis = everything_in(raw)
        await say("POST", f"{PATH}/{id_}/withdraw")
        await desk.acknowledge()
    assert MARKER[::-1] in in_redis, "it is there, sealed"
    assert MARKER[::-1] not in everything_in(raw), "and gone after the withdrawal"
    for text in (*said, in_redis, caplog.text):
        assert MARKER not in text
    await store.aclose()
    worker.close()


def everything_in(raw: redis.Redis) -> str:
    """Every key, and every value in a form that shows its text."""
    readers = {"hash": raw.hgetall, "set": raw.smembers, "string": raw.get}
    readers |= {"zset": lambda key: raw.zrange(key, 0, -1), "stream": raw.xrange}
    return "\n".join(f"{key}: {readers[raw.type(key)](key)}" for key in raw.scan_iter())


async def test_keys_hold_no_plaintext_even_without_encryption(desk: Desk, raw: redis.Redis) -> None:
    request = ForgetRequestIn(subject={"name": f"{MARKER} Marlin"})
    await desk.store.submit(request, idempotency_key=MARKER, principal=MARKER)
    assert not [key for key in raw.scan_iter() if MARKER in key]
    values = everything_in(raw)
    assert values.count(MARKER) == 1, "only in the sealed subject"


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
        store = Store.from_url(server.url)
        await store.submit(ForgetRequestIn(subject={"name": f"{MARKER} Marlin"}))
        await store.aclose()
    assert [path.suffix for path in files_with(MARKER, tmp_path)] == [".aof"]


def files_with(text: str, folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]
