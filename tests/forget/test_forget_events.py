"""Server-sent events, over a real HTTP server."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from gateway.forget.routes import router
from gateway.forget.store import Store
from tests.forget.desk import Desk, composite, until


class Served:
    """The routes behind a real server; `closing` ends the event streams."""

    def __init__(self, url: str) -> None:
        self.http = httpx.AsyncClient(base_url=url, timeout=20)
        self.closing = False


@pytest.fixture
async def served(store: Store) -> AsyncIterator[Served]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        served = Served(f"http://127.0.0.1:{listener.getsockname()[1]}")
        app = FastAPI()
        app.include_router(
            router(store, enqueue=lambda kind, id_: asyncio.sleep(0), first_wait_s=0, closing=lambda: served.closing)
        )
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off", ws="none"))
        running = asyncio.create_task(server.serve([listener]))
        await until(lambda: server.started)
        async with served.http:
            yield served
        served.closing = server.should_exit = True
        await running


async def frames(response: httpx.Response) -> AsyncIterator[tuple[str, str, dict[str, Any]]]:
    frame: dict[str, str] = {}
    async for line in response.aiter_lines():
        if line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            frame[name] = value
        elif frame:
            yield frame["id"], frame["event"], json.loads(frame["data"])
            frame = {}


async def all_frames(http: httpx.AsyncClient, id_: str, last: str | None = None) -> list[tuple[str, str, Any]]:
    headers = {"Last-Event-ID": last} if last else {}
    async with http.stream("GET", f"/v1/forget-requests/{id_}/events", headers=headers) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        return [frame async for frame in frames(response)]


async def test_every_transition_and_progress_until_it_settles(served: Served, desk: Desk) -> None:
    id_ = await desk.submit()
    following = asyncio.create_task(all_frames(served.http, id_))
    await desk.acknowledge()
    attempt = desk.worker.begin(id_)
    for fraction in (0.0, 0.001, 0.5, 1.0):
        desk.worker.progress(attempt, "training", fraction)
    desk.worker.verifying(attempt)
    desk.worker.publish_composite(attempt, composite(id_, verified=[id_]))
    await desk.acknowledge()
    received = await following
    assert [data["state"] for _, event, data in received if event == "transition"] == [
        "received",
        "guarded",
        "erasing",
        "verifying",
        "erased",
    ]
    progress = [(data["stage"], data["fraction"]) for _, event, data in received if event == "progress"]
    assert progress == [("training", 0.0), ("training", 0.5), ("training", 1.0)]

    resumed = await all_frames(served.http, id_, last=received[3][0])
    assert resumed == received[4:]
    assert await all_frames(served.http, id_, last=received[-1][0]) == []


async def test_a_settled_state_that_was_left_again_does_not_end_the_stream(served: Served, desk: Desk) -> None:
    id_ = await desk.guarded()
    desk.worker.fail(desk.worker.begin(id_), "too weak")
    await desk.store.retry(id_)
    following = asyncio.create_task(all_frames(served.http, id_))
    await desk.store.withdraw(id_)
    await desk.acknowledge()
    states = [data["state"] for _, _, data in await following]
    assert states == ["received", "guarded", "erasing", "failed", "guarded", "withdrawing", "withdrawn"]


async def test_guard_only_settles_when_guarded(served: Served, desk: Desk) -> None:
    id_ = await desk.guarded(erase="guard_only")
    assert [data["state"] for _, _, data in await all_frames(served.http, id_)] == ["received", "guarded"]


async def test_streams_end_when_the_server_closes(served: Served, desk: Desk) -> None:
    id_ = await desk.submit()
    async with served.http.stream("GET", f"/v1/forget-requests/{id_}/events") as response:
        stream = frames(response)
        assert (await anext(stream))[1] == "transition"
        served.closing = True
        assert [frame async for frame in stream] == []


async def test_an_invalid_event_id(served: Served, desk: Desk) -> None:
    id_ = await desk.submit()
    response = await served.http.get(f"/v1/forget-requests/{id_}/events", headers={"Last-Event-ID": "x"})
    assert (response.status_code, response.json()["code"]) == (400, "invalid_event_id")
