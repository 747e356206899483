"""Keys on a real Redis, the gate in front of the real routes."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
import redis
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

from gateway.audience import audiences
from gateway.forget.audit_log import AuditLog
from gateway.forget.audit_routes import router as audit_router
from gateway.forget.callback_routes import router as callback_router
from gateway.forget.certificate import Deployment
from gateway.forget.opendsr_routes import router as opendsr_router
from gateway.forget.outbox import Outbox
from gateway.forget.proof_routes import router as proof_router
from gateway.forget.routes import router as forget_router
from gateway.forget.signing import Signer
from gateway.forget.snapshot import NOWHERE
from gateway.forget.store import Store
from gateway.security.forms import NewKey, make
from gateway.security.gate import Gate
from gateway.security.key_store import KeyStore
from gateway.security.keys import KeyRing
from gateway.security.routes import router as key_router
from tests.forget.conftest import desk, log, raw, redis_url, store, worker

__all__ = ["desk", "log", "raw", "redis_url", "store", "worker"]

MakeKey = Callable[..., Awaitable[str]]


@pytest.fixture
async def keys(redis_url: str, raw: redis.Redis) -> AsyncIterator[KeyStore]:
    keys = KeyStore.from_url(redis_url)
    yield keys
    await keys.aclose()


@pytest.fixture
def ring() -> KeyRing:
    return KeyRing()


@pytest.fixture
def make_key(keys: KeyStore, store: Store, ring: KeyRing) -> MakeKey:
    """Makes a key and has the ring hear of it; `make_key("chat", rate="2/minute")` returns its token."""

    async def make_one(*scopes: str, **limits: object) -> str:
        made = await make(keys, NewKey.model_validate({"name": "test", "scopes": scopes, **limits}))
        assert made is not None
        ring.replace((await store.changes(NOWHERE)).keys or ())
        return made.key

    return make_one


@pytest.fixture
def used() -> dict[str, float]:
    return {}


@pytest.fixture
async def outbox(redis_url: str, raw: redis.Redis) -> AsyncIterator[Outbox]:
    outbox = Outbox.from_url(redis_url)
    yield outbox
    await outbox.aclose()


@pytest.fixture
def app(
    store: Store,
    keys: KeyStore,
    log: AuditLog,
    outbox: Outbox,
    tmp_path: Path,
    ring: KeyRing,
    used: dict[str, float],
) -> FastAPI:
    app = FastAPI()

    async def enqueue(kind: str, request_id: str) -> None:
        return

    app.include_router(forget_router(store, enqueue=enqueue, first_wait_s=0))
    app.include_router(key_router(keys))
    signer = Signer.kept_in(tmp_path / "signing-key.pem")
    app.include_router(callback_router(outbox))
    app.include_router(opendsr_router(store, signer, "localhost", signer.self_signed("localhost", datetime.now(UTC))))
    app.include_router(audit_router(log, signer))
    app.include_router(proof_router(log, signer, Deployment("", "", "", "", "", guards_can_be_bypassed=False)))

    @app.post("/v1/chat/completions")
    async def chat(request: Request) -> StreamingResponse:
        """Says who asked, as a stream."""

        async def stream() -> AsyncIterator[str]:
            yield f"{request.state.principal} "
            yield ",".join(sorted(audiences.get()))

        return StreamingResponse(stream())

    app.add_middleware(Gate, ring=ring, shared_throttle=keys.throttle, used=used)
    return app


@pytest.fixture
async def http(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        yield client
