"""Puts the rooms together: store, engine, replica, erasure worker and metrics in one gateway process."""

import asyncio
import contextlib
import logging
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import uvloop
from fastapi import APIRouter, FastAPI
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from rich.console import Console

from gateway import metrics
from gateway.deployment import deployment
from gateway.forget.audit_log import AuditLog
from gateway.forget.audit_routes import router as audit_router
from gateway.forget.dry_run import DryRuns
from gateway.forget.embedded import EmbeddedRedis
from gateway.forget.errors import ForgetError, StoreUnavailable
from gateway.forget.facts_at_rest import facts_at_rest
from gateway.forget.identity import replica_identity
from gateway.forget.jobs import RECONCILE_EVERY_S, Jobs
from gateway.forget.model import State
from gateway.forget.proof_routes import router as proof_router
from gateway.forget.replica import Replica
from gateway.forget.routes import router as forget_router
from gateway.forget.sealer import AesGcmSealer
from gateway.forget.signing import Signer
from gateway.forget.store import Store
from gateway.guards.encoder import load_encoder
from gateway.guards.policy import Policy
from gateway.guards.sample import SampledPrompt
from gateway.log_filter import watch_logs
from gateway.model_files import ModelNotFound, model_folder
from gateway.security.forms import NewKey, make
from gateway.security.gate import Gate
from gateway.security.key_store import KeyStore
from gateway.security.keys import KeyRing, Scope
from gateway.security.routes import router as key_router
from gateway.security.sealing_keys import key_source
from gateway.serving.environment import has_gpu, prepare_environment
from gateway.serving.errors import ServingError
from gateway.serving.host import ServeOptions, Serving, serve
from gateway.settings import Settings
from gateway.worker_process import WorkerProcess, WorkerState
from unlearn_engine.demo import BASE_PATH

logger = logging.getLogger(__name__)

FIRST_POLICY_S = 30.0
NOTE_USE_EVERY_S = 60.0


class Readiness(BaseModel):
    """Why this replica is ready, or is not."""

    ready: bool
    policy_version: int
    store_up: bool
    orphans: int
    worker: WorkerState


def run(settings: Settings, vllm_args: tuple[str, ...], console: Console) -> None:
    """Serve until a signal. A known error is told in one line and ends the process with status 1."""
    logging.basicConfig(level=logging.INFO if settings.verbose else logging.WARNING, format="%(levelname)s %(message)s")
    try:
        uvloop.run(_Gateway(settings, vllm_args, console).run())
    except (ForgetError, ServingError, ModelNotFound) as error:
        console.print(f"[red]error:[/] {error}", highlight=False)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


class _Gateway:
    """One run of the gateway; the steps of its start-up are told on the console."""

    def __init__(self, settings: Settings, vllm_args: tuple[str, ...], console: Console) -> None:
        self._settings = settings
        self._vllm_args = vllm_args
        self._console = console
        self._started = time.monotonic()
        self._serving: Serving | None = None

    async def run(self) -> None:
        """Start everything, serve, stop everything."""
        settings = self._settings
        prepare_environment(cpu=not has_gpu(), verbose=settings.verbose)
        folder = model_folder(settings.model)
        async with contextlib.AsyncExitStack() as stack:
            identity = stack.enter_context(replica_identity(settings.data_dir))
            signer = self._signer()
            redis_url = settings.redis_url
            if redis_url is None:
                self._tell("starting Redis")
                redis_url = stack.enter_context(EmbeddedRedis(settings.data_dir)).url
            facts = facts_at_rest(settings.facts_key_path, hash_new=settings.facts_at_rest == "hashed")
            sealer = AesGcmSealer(key_source(settings))
            store = Store.from_url(redis_url, sealer, facts)
            stack.push_async_callback(store.aclose)
            await store.check()
            await store.check_keys()
            jobs = Jobs.from_url(redis_url, sealer)
            stack.callback(jobs.close)

            async def enqueue(kind: str, request_id: str) -> None:
                await asyncio.to_thread(jobs.enqueue, kind, request_id)

            async def on_moved(request_id: str, state: State) -> None:
                if state is State.GUARDED:
                    await enqueue("erase", request_id)

            keys = KeyStore.from_url(redis_url)
            stack.push_async_callback(keys.aclose)
            await self._make_bootstrap_key(keys)
            audit_log = AuditLog.from_url(redis_url)
            stack.push_async_callback(audit_log.aclose)
            ring = KeyRing()
            used: dict[str, float] = {}
            self._replica = Replica(
                store,
                self._apply,
                identity,
                on_moved=on_moved,
                on_keys=ring.replace,
                max_staleness_s=settings.max_staleness_s,
                encoder=await asyncio.to_thread(load_encoder, settings.encoder),
            )
            self._worker = WorkerProcess(settings, redis_url, "loading" if settings.worker else "off")
            background = await stack.enter_async_context(_background())

            async def on_ready(serving: Serving) -> None:
                self._serving = serving
                watch_logs(self._policy)
                self._tell("loading the policy")
                background(self._replica.run())
                background(_reconcile(jobs))
                background(self._show_metrics(store, jobs))
                background(_note_use(keys, used))
                await self._until_caught_up()
                if settings.worker:
                    background(self._worker.keep())
                self._greet(serving.url)

            self._tell("reading the layer map")
            # Imported here: it brings torch, which reads the environment prepared above.
            from unlearn_engine.adapter import MAX_RANK
            from unlearn_engine.layers import load_or_compute_layer_map

            layer_map = await asyncio.to_thread(load_or_compute_layer_map, folder, settings.cache_dir)
            corruption = None
            if settings.guard_input == "eco":
                from unlearn_engine.corruption import load_or_search

                self._tell("reading how strongly names are to be corrupted")
                corruption = await asyncio.to_thread(load_or_search, folder, settings.cache_dir)
            options = ServeOptions(
                model=str(folder),
                served_name=settings.model_name,
                host=settings.host,
                port=settings.port,
                lora_modules=layer_map.lora_target_modules,
                max_rank=MAX_RANK,
                vllm_args=self._vllm_args,
                allow_guards_off=settings.allow_guards_off,
                drain_timeout_s=settings.drain_timeout_s,
                verbose=settings.verbose,
                weights_link=settings.data_dir / "weights",
                corruption=corruption,
                sampled_prompts=settings.sampled_prompts,
            )
            dry_runs = DryRuns(self._policy, self._sampled_prompts)
            routers = [
                forget_router(store, enqueue=enqueue, closing=self._closing, dry_runs=dry_runs),
                key_router(keys),
                audit_router(audit_log, signer),
                proof_router(audit_log, signer, deployment(layer_map.base_digest, options)),
                self._readiness(),
            ]

            def configure(app: FastAPI) -> None:
                if settings.auth:
                    app.add_middleware(Gate, ring=ring, shared_throttle=keys.throttle, used=used)

            observer = metrics.PrometheusObserver()
            await serve(options, on_ready, routers, self._tell, observer=observer, configure=configure)

    def _signer(self) -> Signer:
        given = self._settings.signing_key_file
        return Signer.from_file(given) if given else Signer.kept_in(self._settings.data_dir / "signing-key.pem")

    async def _make_bootstrap_key(self, keys: KeyStore) -> None:
        if self._settings.bootstrap_key is None:
            return
        try:
            await make(
                keys, NewKey(name="bootstrap", scopes=set(Scope)), self._settings.bootstrap_key.get_secret_value()
            )
        except ValueError as error:
            raise ServingError(f"UNLEARN_BOOTSTRAP_KEY: {error}") from None

    async def _apply(self, policy: Policy) -> None:
        assert self._serving is not None  # noqa: S101 the replica runs only once the engine serves
        engine = self._serving.engine
        swapped = policy.adapter != (engine.policy.adapter if engine.policy else None)
        try:
            await engine.apply(policy)
        except Exception:
            metrics.count_swap(swapped, "failed")
            raise
        metrics.count_swap(swapped, "done")

    def _policy(self) -> Policy | None:
        return self._serving.engine.policy if self._serving is not None else None

    def _sampled_prompts(self) -> Sequence[SampledPrompt]:
        return self._serving.engine.sampled_prompts() if self._serving is not None else ()

    def _closing(self) -> bool:
        return self._serving is not None and self._serving.stopping.is_set()

    async def _until_caught_up(self) -> None:
        deadline = time.monotonic() + FIRST_POLICY_S
        while not self._replica.ready and time.monotonic() < deadline:  # noqa: ASYNC110 a property of two clocks
            await asyncio.sleep(0.01)

    def _readiness(self) -> APIRouter:
        router = APIRouter(tags=["operations"])

        @router.get("/ready", responses={503: {"model": Readiness}})
        async def ready() -> JSONResponse:
            """200 when the policy is enforced, the canary passed and the store was heard recently; else 503."""
            replica = self._replica
            readiness = Readiness(
                ready=replica.ready and not self._closing(),
                policy_version=replica.version,
                store_up=replica.store_up,
                orphans=replica.orphans,
                worker=self._worker.state,
            )
            return JSONResponse(readiness.model_dump(), 200 if readiness.ready else 503)

        return router

    async def _show_metrics(self, store: Store, jobs: Jobs) -> None:
        while True:
            metrics.policy_version.set(self._replica.version)
            metrics.store_up.set(self._replica.store_up)
            metrics.ready.set(self._replica.ready)
            metrics.orphans.set(self._replica.orphans)
            with contextlib.suppress(StoreUnavailable):
                metrics.show_requests(await store.counts())
                metrics.show_jobs(await asyncio.to_thread(jobs.counts))
                erased, _ = await store.page(state=State.ERASED, limit=200)
                metrics.show_verifications(request.verification for request in erased if request.verification)
            await asyncio.sleep(metrics.REFRESH_S)

    def _tell(self, step: str) -> None:
        self._console.print(f"[dim]{time.monotonic() - self._started:5.1f} s[/]  {step}", highlight=False)

    def _greet(self, url: str) -> None:
        self._tell(f"[bold green]ready[/] at [bold]{url}[/]")
        if self._settings.auth:
            self._console.print("API keys: unlearn-gateway keys create --name WHOSE --scope chat", markup=False)
        else:
            self._console.print("[yellow]--no-auth: whoever reaches this address may do everything.[/]", soft_wrap=True)
        if not self._settings.auth and self._settings.model_name == "demo" and self._settings.model == str(BASE_PATH):
            from gateway.greeting import story

            told = story(url, self._settings.allow_guards_off)
            self._console.print(told, markup=False, highlight=False, soft_wrap=True)
        if self._settings.allow_guards_off:
            self._console.print(
                "[yellow]--allow-guards-off: the header X-Unlearn-Guards bypasses the guards. Never in production.[/]",
                soft_wrap=True,
            )


async def _note_use(keys: KeyStore, used: dict[str, float]) -> None:
    """Says now and then which API keys were used."""
    while True:
        await asyncio.sleep(NOTE_USE_EVERY_S)
        latest = dict(used)
        with contextlib.suppress(StoreUnavailable):
            if latest:
                await keys.used(latest)
            for id_, at in latest.items():
                if used[id_] == at:
                    del used[id_]


@contextlib.asynccontextmanager
async def _background() -> AsyncIterator[Callable[[Awaitable[None]], None]]:
    """Starts tasks that are cancelled, and waited for, at the end; one that fails is told in the log."""
    tasks: set[asyncio.Future[None]] = set()

    def start(work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        tasks.add(task)
        task.add_done_callback(_report)

    try:
        yield start
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _report(task: "asyncio.Future[None]") -> None:
    if not task.cancelled() and (error := task.exception()):
        logger.error("a background task ended: %s", type(error).__name__)


async def _reconcile(jobs: Jobs) -> None:
    """A request whose job was lost gets another."""
    while True:
        with contextlib.suppress(StoreUnavailable):
            await asyncio.to_thread(jobs.reconcile)
        await asyncio.sleep(RECONCILE_EVERY_S)
