"""The forget, key, audit and proof routes behind a real HTTP server, on a real Redis, with requests in every state."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import redis
import uvicorn
from fastapi import FastAPI

from gateway.forget.audit_log import AuditLog
from gateway.forget.audit_routes import router as audit_router
from gateway.forget.callback_routes import router as callback_router
from gateway.forget.certificate import Deployment
from gateway.forget.model import ForgetRequestIn
from gateway.forget.opendsr_routes import router as opendsr_router
from gateway.forget.outbox import Outbox
from gateway.forget.proof_routes import router as proof_router
from gateway.forget.routes import router as forget_router
from gateway.forget.signing import Signer
from gateway.forget.store import Store
from gateway.forget.worker_store import WorkerStore
from gateway.security.key_store import KeyStore
from gateway.security.routes import router as key_router
from tests.forget.desk import SEALER, Desk


@asynccontextmanager
async def application(redis_url: str, folder: Path) -> AsyncIterator[FastAPI]:
    """All routes that need no engine, nobody asked for a key."""
    app = FastAPI()
    store, log = Store.from_url(redis_url, SEALER), AuditLog.from_url(redis_url)
    keys, signer = KeyStore.from_url(redis_url), Signer.kept_in(folder / "signing-key.pem")

    async def enqueue(kind: str, request_id: str) -> None:
        return

    app.include_router(forget_router(store, enqueue=enqueue, first_wait_s=0))
    outbox = Outbox.from_url(redis_url)
    app.include_router(callback_router(outbox))
    app.include_router(opendsr_router(store, signer, "localhost", signer.self_signed("localhost", datetime.now(UTC))))
    app.include_router(key_router(keys))
    app.include_router(audit_router(log, signer))
    app.include_router(proof_router(log, signer, Deployment("", "", "", "", "", guards_can_be_bypassed=False)))
    yield app
    for one in (store, log, keys, outbox):
        await one.aclose()
    await asyncio.sleep(0.05)  # for the loop to see its sockets closed


@contextmanager
def served(redis_url: str, folder: Path) -> Iterator[str]:
    """That application on a free port of this machine, in a thread; its address."""
    address: Future[str] = Future()
    stop = threading.Event()

    async def serve() -> None:
        async with application(redis_url, folder) as app:
            server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", timeout_graceful_shutdown=1))
            serving = asyncio.create_task(server.serve())
            while not server.started:  # noqa: ASYNC110 uvicorn offers no event
                await asyncio.sleep(0.01)
            host, port = server.servers[0].sockets[0].getsockname()[:2]
            address.set_result(f"http://{host}:{port}")
            await asyncio.to_thread(stop.wait)
            server.should_exit = True
            await serving

    thread = threading.Thread(target=asyncio.run, args=(serve(),), name="served")
    thread.start()
    try:
        yield address.result(10)
    finally:
        stop.set()
        thread.join(30)


def populate(redis_url: str) -> list[str]:
    """Empties Redis; ids of requests in many states, whose event streams end by themselves."""
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()

    async def fill() -> list[str]:
        desk = Desk(Store.from_url(redis_url, SEALER), WorkerStore.from_url(redis_url, SEALER))
        guarded = await desk.guarded("Bo Kern", erase="guard_only")
        erased = await desk.erased("Ada Quist")
        failed = await desk.guarded("Una Vale")
        desk.worker.fail(desk.worker.begin(failed), "too weak")
        rejected = await desk.store.submit(ForgetRequestIn(subject={"name": "Ole Brandt"}), trusted=False)
        await desk.store.review(rejected, "reject")
        withdrawn = await desk.guarded("Ivo Marlin")
        await desk.store.withdraw(withdrawn)
        await desk.acknowledge()
        await desk.store.aclose()
        desk.worker.close()
        await asyncio.sleep(0.05)
        return [guarded, erased, failed, rejected, withdrawn]

    return asyncio.run(fill())
