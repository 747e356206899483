"""The policy plane of a gateway process: takes forget requests, follows the policy, knows nothing of engines."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from fastapi import APIRouter, FastAPI

from gateway.adapter_storage import AdapterStorage
from gateway.background import Background
from gateway.controllers import callback_rules, callbacks, opendsr_router
from gateway.forget.audit_log import AuditLog
from gateway.forget.audit_routes import router as audit_router
from gateway.forget.callback_routes import router as callback_router
from gateway.forget.dry_run import DryRuns
from gateway.forget.embedded import EmbeddedRedis
from gateway.forget.errors import StoreRefused, StoreUnavailable
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
from gateway.readiness import readiness_router
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
from gateway.upkeep import note_use, purge, reconcile, show_metrics, watch_adapters
from gateway.worker_process import WorkerState

logger = logging.getLogger(__name__)

FIRST_POLICY_S = 30.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 2.0  # between tries to reach a store that is away at the start


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
    background: Background
    opened: asyncio.Event  # the store was reached, and is ours

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
            readiness_router(
                self.replica,
                self.opened.is_set,
                lambda: self.background.failing,
                closing,
                worker,
                lambda: self.storage.problem,
            ),
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

    async def open(self) -> None:
        """Looks whether the store can be used, with our keys; makes the bootstrap key.

        Raises:
            StoreUnavailable, SealError
            ServingError: the bootstrap key is none.
        """
        await self.store.check()
        await _make_bootstrap_key(self.settings, self.keys)
        self.opened.set()

    async def start(self) -> None:
        """Follows the policy from now on; returns when it is enforced, after half a minute, or when Redis is away."""
        run = self.background.start
        run("policy", self.replica.run)
        run("jobs", lambda: reconcile(self.jobs))
        run("callbacks", callbacks(self.settings, self.outbox, self.sealer, self.signer).run)
        run("retention", lambda: purge(self.store, self.settings.training_inputs_kept_s))
        run("metrics", lambda: show_metrics(self.replica, self.store, self.jobs, self.outbox))
        if self.settings.adapters_url is not None:
            run("adapters", lambda: watch_adapters(self.storage))
        run("key_use", lambda: note_use(self.keys, self.used))
        if not self.opened.is_set():
            run("store", self._open_when_there)
            return
        deadline = time.monotonic() + FIRST_POLICY_S
        while not self.replica.ready and time.monotonic() < deadline:  # noqa: ASYNC110 a property of two clocks
            await asyncio.sleep(0.01)

    async def _open_when_there(self) -> None:
        pause_s = FIRST_PAUSE_S
        while not self.opened.is_set():
            try:
                await self.open()
            except StoreRefused:
                raise
            except StoreUnavailable:
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def enqueue(self, kind: str, request_id: str) -> None:
        """Hands a job to the workers."""
        await asyncio.to_thread(self.jobs.enqueue, kind, request_id)


@contextlib.asynccontextmanager
async def policy_plane(
    settings: Settings,
    apply: Apply,
    tell: Callable[[str], None] = lambda _: None,
    on_guarded: Callable[[str], None] = lambda _: None,
) -> AsyncIterator[PolicyPlane]:
    """Connects all parts, with a Redis of our own where the settings name none; nothing is followed yet.

    `apply` enforces a policy (`gateway.forget.replica`); `tell` gets a line for each step, `on_guarded` the id of each
    request whose guard came on everywhere because of this replica. A Redis that is away is waited for once `start` has
    been called; one that does not let us in is an error.

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
        jobs = Jobs.from_url(redis_url, sealer)
        stack.callback(jobs.close)
        keys = KeyStore.from_url(redis_url)
        stack.push_async_callback(keys.aclose)
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
            settings,
            redis_url,
            store,
            jobs,
            keys,
            audit_log,
            outbox,
            sealer,
            signer,
            storage,
            ring,
            replica,
            used={},
            background=await stack.enter_async_context(Background()),
            opened=asyncio.Event(),
        )
        try:
            await plane.open()
        except StoreRefused:
            raise
        except StoreUnavailable as away:
            tell(f"Redis is away ({away}): starting without it, not ready until it answers")
            logger.warning("Redis is away, it is waited for: %s", away)
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
