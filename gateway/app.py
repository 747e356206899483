"""Puts the planes together: policy plane, engine and erasure worker in one gateway process."""

import asyncio
import logging
import sys
import time
from collections.abc import Sequence

import uvloop
from fastapi import FastAPI
from rich.console import Console

from gateway import metrics
from gateway.deployment import deployment
from gateway.forget.dry_run import DryRuns
from gateway.forget.errors import ForgetError
from gateway.forget.proof_routes import router as proof_router
from gateway.forget.replica import Unready
from gateway.guards.policy import Policy
from gateway.guards.sample import SampledPrompt
from gateway.log_filter import watch_logs
from gateway.model_files import ModelNotFound, model_folder
from gateway.policy_plane import policy_plane
from gateway.serving.environment import has_gpu, prepare_environment
from gateway.serving.errors import ServingError
from gateway.serving.host import ServeOptions, Serving, serve
from gateway.settings import Settings
from gateway.unanswered import answer_in_style
from gateway.worker_process import WorkerProcess
from unlearn_engine.demo import BASE_PATH


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
        self._guarded: asyncio.Queue[str] = asyncio.Queue()

    async def run(self) -> None:
        """Start everything, serve, stop everything."""
        settings = self._settings
        prepare_environment(cpu=not has_gpu(), verbose=settings.verbose)
        folder = model_folder(settings.model)
        on_guarded = self._guarded.put_nowait if settings.interviews else _passed_over
        async with policy_plane(settings, self._apply, self._tell, on_guarded) as plane:
            worker = WorkerProcess(settings, plane.redis_url, "loading" if settings.worker else "off")

            async def on_ready(serving: Serving) -> None:
                self._serving = serving
                watch_logs(self._policy)
                self._tell("loading the policy")
                await plane.start()
                if settings.interviews:
                    interviews = Interviews(plane.store, domain, plane.replica.names, serving.engine.answers)
                    for request_id in plane.replica.requests:
                        self._guarded.put_nowait(request_id)
                    serving.engine.tell_subjects(interviews.hurry)
                    plane.background.start("interviews", lambda: interviews.run(self._guarded))
                if settings.worker:
                    plane.background.start("worker", worker.keep)
                self._greet(serving.url, plane.replica.unready)

            self._tell("reading the layer map")
            # Imported here: it brings torch, which reads the environment prepared above.
            from gateway.interviews import Interviews
            from unlearn_engine.adapter import MAX_RANK
            from unlearn_engine.data.domain import domain_for
            from unlearn_engine.layers import load_or_compute_layer_map

            domain = domain_for(folder)
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
                hops=settings.hops,
                sampled_prompts=settings.sampled_prompts,
            )
            dry_runs = DryRuns(self._policy, self._sampled_prompts)
            routers = [
                *plane.routers(dry_runs, self._closing, lambda: worker.state, domain.languages),
                proof_router(
                    plane.audit_log,
                    plane.signer,
                    deployment(layer_map.base_digest, options),
                    fetch=plane.storage.fetch,
                ),
            ]
            observer = metrics.PrometheusObserver()

            def configure(app: FastAPI) -> None:
                answer_in_style(app)
                plane.guard(app)

            await serve(options, on_ready, routers, self._tell, observer=observer, configure=configure)

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

    def _tell(self, step: str) -> None:
        self._console.print(f"[dim]{time.monotonic() - self._started:5.1f} s[/]  {step}", highlight=False)

    def _greet(self, url: str, unready: Unready | None) -> None:
        how = f"[yellow]not ready ({unready}), listening[/]" if unready else "[bold green]ready[/]"
        self._tell(f"{how} at [bold]{url}[/]")
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


def _passed_over(request_id: str) -> None:
    """Nobody waits for what is guarded."""
