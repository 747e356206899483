"""A real Redis process for the whole session; store, worker and HTTP client on it."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
import redis
from fastapi import FastAPI

from gateway.forget.audit_log import AuditLog
from gateway.forget.embedded import EmbeddedRedis
from gateway.forget.routes import router
from gateway.forget.signing import Signer
from gateway.forget.store import Store
from gateway.forget.worker_store import WorkerStore
from tests.forget.desk import SEALER, Desk


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with EmbeddedRedis(tmp_path_factory.mktemp("data")) as server:
        yield server.url


@pytest.fixture
def raw(redis_url: str) -> Iterator[redis.Redis]:
    """Redis as it is, emptied."""
    with redis.Redis.from_url(redis_url, decode_responses=True, protocol=2) as client:
        client.flushall()
        yield client


@pytest.fixture
async def store(redis_url: str, raw: redis.Redis) -> AsyncIterator[Store]:
    store = Store.from_url(redis_url, SEALER)
    yield store
    await store.aclose()


@pytest.fixture
def worker(redis_url: str, raw: redis.Redis) -> Iterator[WorkerStore]:
    worker = WorkerStore.from_url(redis_url, SEALER)
    yield worker
    worker.close()


@pytest.fixture
def desk(store: Store, worker: WorkerStore) -> Desk:
    return Desk(store, worker)


@pytest.fixture
async def log(redis_url: str, raw: redis.Redis) -> AsyncIterator[AuditLog]:
    log = AuditLog.from_url(redis_url)
    yield log
    await log.aclose()


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return Signer.kept_in(tmp_path / "signing-key.pem")


@pytest.fixture
def jobs_asked_for() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def app(store: Store, jobs_asked_for: list[tuple[str, str]]) -> FastAPI:
    async def enqueue(kind: str, request_id: str) -> None:
        jobs_asked_for.append((kind, request_id))

    app = FastAPI()
    app.include_router(router(store, enqueue=enqueue, first_wait_s=0.01))
    return app


@pytest.fixture
async def http(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        yield client
