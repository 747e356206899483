"""The policy plane of a gateway process: takes forget requests, follows the policy, knows nothing of engines."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass

from fastapi import APIRouter, FastAPI
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from gateway.adapter_storage import AdapterStorage
from gateway.controllers import callback_rules, callbacks, opendsr_router
from gateway.forget.audit_log import AuditLog
from gateway.forget.audit_routes import router as audit_router
from gateway.forget.callback_routes import router as callback_router
from gateway.forget.dry_run import DryRuns
from gateway.forget.embedded import EmbeddedRedis
from gateway.forget.facts_at_rest import facts_at_rest
from gateway.forget.identity import replica_identity
from gateway.forget.jobs import Jobs
from gateway.forget.model import State
from gateway.forget.outbox import Outbox
from gateway.forget.replica import Apply, Replica
from gateway.forget.routes import router as forget_router
from gateway.forget.sealer import AesGcmSealer
from gateway.forget.signing import Signer
from gateway.forget.store import Store
from gateway.guards.descriptions import PRECISION_BITS, RECALL_BITS
from gateway.guards.encoder import load_encoder
from gateway.guards.policy import Policy, compile_policy
from gateway.security.forms import NewKey, make
from gateway.security.gate import Gate
from gateway.security.key_store import KeyStore
from gateway.security.keys import KeyRing, Scope
from gateway.security.oidc import oidc
from gateway.security.routes import router as key_router
from gateway.security.sealing_keys import key_source
from gateway.serving.errors import ServingError
from gateway.settings import Settings
from gateway.traced import Traced
from gateway.tracing import start_tracing, tracing
from gateway.upkeep import note_use, purge, reconcile, show_metrics
from gateway.worker_process import WorkerState

FIRST_POLICY_S = 30.0


class Readiness(BaseModel):
    """Why this replica is ready, or is not."""

    ready: bool
    policy_version: int
    store_up: bool
    orphans: int
    worker: WorkerState


@dataclass(frozen=True)
class PolicyPlane:
    """Store, keys, audit log and replica on one Redis; made by `policy_plane`."""

    settings: Settings
    redis_url: str
    store: Store
    jobs: Jobs
    keys: KeyStore
    audit_log: AuditLog
    outbox: Outbox
    sealer: AesGcmSealer
    signer: Signer
    storage: AdapterStorage
    ring: KeyRing
    replica: Replica
    used: dict[str, float]  # API keys, and when they were last used here

    def routers(
        self,
        dry_runs: DryRuns | None = None,
        closing: Callable[[], bool] = lambda: False,
        worker: Callable[[], WorkerState] = lambda: "off",
        languages: Sequence[str] = (),
    ) -> list[APIRouter]:
        """All routes that need no engine. `languages` are those in which erasures are verified, if that is known."""
        return [
            forget_router(
                self.store,
                enqueue=self.enqueue,
                closing=closing,
                dry_runs=dry_runs,
                languages=languages,
                callbacks=callback_rules(self.settings),
            ),
            callback_router(self.outbox),
            opendsr_router(self.settings, self.store, self.signer),
            key_router(self.keys),
            audit_router(self.audit_log, self.signer),
            self._readiness(closing, worker),
        ]

    def guard(self, app: FastAPI) -> None:
        """From now on `app` asks for API keys, unless the settings say that everyone may do everything; it is traced
        if the environment says so."""
        if self.settings.auth:
            app.add_middleware(
                Gate,
                ring=self.ring,
                shared_throttle=self.keys.throttle,
                used=self.used,
                oidc=oidc(self.settings),
            )
        if tracing():
            app.add_middleware(Traced)

    async def start(self, background: Callable[[Awaitable[None]], None]) -> None:
        """Follows the policy from now on; returns when it is enforced, or after half a minute."""
        background(self.replica.run())
        background(reconcile(self.jobs))
        background(callbacks(self.settings, self.outbox, self.sealer, self.signer).run())
        background(purge(self.store, self.settings.training_inputs_kept_s))
        background(show_metrics(self.replica, self.store, self.jobs, self.outbox))
        background(note_use(self.keys, self.used))
        deadline = time.monotonic() + FIRST_POLICY_S
        while not self.replica.ready and time.monotonic() < deadline:  # noqa: ASYNC110 a property of two clocks
            await asyncio.sleep(0.01)

    async def enqueue(self, kind: str, request_id: str) -> None:
        """Hands a job to the workers."""
        await asyncio.to_thread(self.jobs.enqueue, kind, request_id)

    def _readiness(self, closing: Callable[[], bool], worker: Callable[[], WorkerState]) -> APIRouter:
        router = APIRouter(tags=["operations"])

        @router.get("/ready", responses={503: {"model": Readiness}})
        async def ready() -> JSONResponse:
            """200 when the policy is enforced, the canary passed and the store was heard recently; else 503."""
            replica = self.replica
            readiness = Readiness(
                ready=replica.ready and not closing(),
                policy_version=replica.version,
                store_up=replica.store_up,
                orphans=replica.orphans,
                worker=worker(),
            )
            return JSONResponse(readiness.model_dump(), 200 if readiness.ready else 503)

        return router


@contextlib.asynccontextmanager
async def policy_plane(
    settings: Settings,
    apply: Apply,
    tell: Callable[[str], None] = lambda _: None,
    on_guarded: Callable[[str], None] = lambda _: None,
) -> AsyncIterator[PolicyPlane]:
    """Connects all parts, with a Redis of our own where the settings name none; nothing is followed yet.

    `apply` enforces a policy (`gateway.forget.replica`); `tell` gets a line for each step, `on_guarded` the id of each
    request whose guard came on everywhere because of this replica.

    Raises:
        ForgetError: Redis, the keys or the files of this replica cannot be used.
        ServingError: the bootstrap key is none.
    """
    start_tracing("unlearning-gateway")
    async with contextlib.AsyncExitStack() as stack:
        identity = stack.enter_context(replica_identity(settings.data_dir))
        signer = _signer(settings)
        redis_url = settings.redis_url
        if redis_url is None:
            tell("starting Redis")
            redis_url = stack.enter_context(EmbeddedRedis(settings.data_dir)).url
        facts = facts_at_rest(settings.facts_key_path, hash_new=settings.facts_at_rest == "hashed")
        sealer = AesGcmSealer(key_source(settings))
        store = Store.from_url(redis_url, sealer, facts)
        stack.push_async_callback(store.aclose)
        await store.check()
        await store.check_keys()
        jobs = Jobs.from_url(redis_url, sealer)
        stack.callback(jobs.close)
        keys = KeyStore.from_url(redis_url)
        stack.push_async_callback(keys.aclose)
        await _make_bootstrap_key(settings, keys)
        audit_log = AuditLog.from_url(redis_url)
        stack.push_async_callback(audit_log.aclose)
        outbox = Outbox.from_url(redis_url)
        stack.push_async_callback(outbox.aclose)
        ring = KeyRing()

        async def on_moved(request_id: str, state: State) -> None:
            if state is State.GUARDED:
                on_guarded(request_id)
                await plane.enqueue("erase", request_id)

        storage = AdapterStorage(settings.adapters_dir, settings.adapters_url)
        replica = Replica(
            store,
            apply,
            identity,
            on_moved=on_moved,
            on_keys=ring.replace,
            max_staleness_s=settings.max_staleness_s,
            nobody=await asyncio.to_thread(_policy_of_nobody, settings),
            fetch=storage.fetch,
        )
        plane = PolicyPlane(
            settings, redis_url, store, jobs, keys, audit_log, outbox, sealer, signer, storage, ring, replica, used={}
        )
        yield plane


def _policy_of_nobody(settings: Settings) -> Policy:
    """What the replica begins with: it has the encoder and the threshold."""
    least_bits = PRECISION_BITS if settings.descriptions == "precision" else RECALL_BITS
    return compile_policy(0, {}, encoder=load_encoder(settings.encoder), least_bits=least_bits)


def _signer(settings: Settings) -> Signer:
    given = settings.signing_key_file
    return Signer.from_file(given) if given else Signer.kept_in(settings.data_dir / "signing-key.pem")


async def _make_bootstrap_key(settings: Settings, keys: KeyStore) -> None:
    if settings.bootstrap_key is None:
        return
    try:
        await make(keys, NewKey(name="bootstrap", scopes=set(Scope)), settings.bootstrap_key.get_secret_value())
    except ValueError as error:
        raise ServingError(f"UNLEARN_BOOTSTRAP_KEY: {error}") from None
