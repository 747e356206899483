"""Starts vLLM inside this process, puts the guard around it and serves both until told to stop.

vLLM is imported inside `serve`, after the environment it reads at import time has been prepared; importing this module
is cheap. Start-up order: socket, engine, canary, application, `on_ready`.
"""

# mypy: allow-subclassing-any, no-warn-return-any
# (vLLM is left out of type checking, so its classes are Any)

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import uvicorn
from fastapi import APIRouter, FastAPI

from gateway.guards.sample import PromptSample
from gateway.serving.environment import freeze_heap, has_gpu, prepare_environment
from gateway.serving.errors import EngineDied, ServingError
from gateway.serving.fields import RequestGate
from gateway.serving.observer import GuardObserver, SilentObserver
from gateway.serving.options import ServeOptions

if TYPE_CHECKING:
    from argparse import Namespace

    from vllm.v1.engine.async_llm import AsyncLLM

    from gateway.serving.guarded_engine import GuardedEngine

__all__ = ["ServeOptions", "Serving", "serve"]

logger = logging.getLogger(__name__)

WATCH_INTERVAL_S = 0.2
FORCED_EXIT_S = 2.0


@dataclass
class Serving:
    """The running server, as handed to `on_ready`."""

    app: FastAPI
    engine: "GuardedEngine"
    url: str
    stopping: asyncio.Event = field(default_factory=asyncio.Event)


async def serve(
    options: ServeOptions,
    on_ready: Callable[[Serving], Awaitable[None]],
    routers: Sequence[APIRouter] = (),
    progress: Callable[[str], None] = lambda _: None,
    *,
    observer: GuardObserver | None = None,
    configure: Callable[[FastAPI], None] | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT, then let requests in flight finish and leave no process behind.

    Args:
        on_ready: called once the server accepts connections and the guard's canary has passed; no chat request is
            answered before a policy is applied (503).
        routers: our own routes, beside vLLM's.
        progress: gets one line for each step of the start-up.
        configure: last changes to the application before it starts (exception handlers, middleware).

    Raises:
        ConfigurationConflict: a flag or variable defeats the guard.
        ServingError: the address is taken, or vLLM did not start.
        GuardInactive: the canary was not blocked.
        EngineDied: the engine process ended by itself.
    """
    prepare_environment(cpu=not has_gpu(), verbose=options.verbose)
    listener = listen(options.host, options.port)
    with contextlib.closing(listener):
        progress("loading vLLM")
        from gateway.serving.arguments import build_arguments
        from gateway.serving.embeddings import Embeddings
        from gateway.serving.guarded_engine import GuardedEngine

        arguments = build_arguments(options)
        progress(f"loading the model {options.served_name}")
        with running_engine(arguments) as engine:
            await engine.reset_mm_cache()
            sample = PromptSample(options.sampled_prompts)
            embeddings = None
            if options.corruption is not None:
                embeddings = Embeddings(Path(options.model), engine.model_config.dtype, options.corruption)
            guarded = GuardedEngine(
                engine, options.lora_modules, observer or SilentObserver(), sample, embeddings, options.hops
            )
            progress("checking the guard")
            await guarded.check_guard()
            app = await build_application(options, arguments, engine, guarded, routers)
            if configure is not None:
                configure(app)
            url = f"http://{options.host}:{listener.getsockname()[1]}"
            with _replacing_weights(guarded, options, progress):
                await _run(Serving(app, guarded, url), listener, engine, options, on_ready)


def listen(host: str, port: int) -> socket.socket:
    """Bind before the engine is loaded, so that a port in use is told at once."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ServingError(f"cannot listen on {host}:{port} ({error.strerror}); choose another --port") from error
    return listener


@contextlib.contextmanager
def running_engine(arguments: "Namespace") -> Iterator["AsyncLLM"]:
    """The engine in its own process; shut down on the way out, whatever happens."""
    from vllm.engine.arg_utils import AsyncEngineArgs
    from vllm.usage.usage_lib import UsageContext
    from vllm.v1.engine.async_llm import AsyncLLM

    from gateway.serving.arguments import check_config

    usage = UsageContext.OPENAI_API_SERVER
    try:
        engine_args = AsyncEngineArgs.from_cli_args(arguments)
        config = engine_args.create_engine_config(usage)
        check_config(config)
        with _interruptible():
            engine = AsyncLLM.from_vllm_config(
                config, usage_context=usage, disable_log_stats=engine_args.disable_log_stats
            )
    except ServingError:
        raise
    except Exception as error:
        raise ServingError(f"vLLM did not start with this model and these flags: {error}") from error
    try:
        yield engine
    finally:
        engine.shutdown()


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Let a signal end the process while loading blocks the event loop; vLLM then cleans up its children."""

    def leave(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    previous = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _replacing_weights(
    guarded: "GuardedEngine", options: ServeOptions, progress: Callable[[str], None]
) -> Iterator[None]:
    """Let the operator, who alone can send signals and change the link, replace the base weights with SIGUSR1."""
    if options.weights_link is None:
        yield
        return
    link, tasks = options.weights_link, set[asyncio.Task[None]]()

    async def replace() -> None:
        try:
            folder = await asyncio.to_thread(link.resolve, True)
            await guarded.replace_weights(folder, options.drain_timeout_s)
            progress(f"serving the weights in {folder}")
        except (OSError, ServingError) as error:
            logger.error("the weights were not replaced: %s", error)

    def on_signal() -> None:
        task = asyncio.create_task(replace())
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, on_signal)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGUSR1)
        for task in tasks:
            task.cancel()


async def build_application(
    options: ServeOptions,
    arguments: "Namespace",
    engine: "AsyncLLM",
    guarded: "GuardedEngine",
    routers: Sequence[APIRouter],
) -> FastAPI:
    """vLLM's own OpenAI application around the guarded engine, pruned, with our routers."""
    from vllm.entrypoints.launchers.api_server.app_state import init_app_state
    from vllm.entrypoints.launchers.app import build_app

    from gateway.serving.routes import model_router, prune

    tasks = await engine.get_supported_tasks()
    app = build_app(arguments, tasks, engine.model_config)
    app.middleware_stack = None  # vLLM has built it already; it is built again, with our middleware, at the start
    prune(app)
    for router in (model_router(), *routers):
        app.include_router(router)
    app.add_middleware(RequestGate, max_body_bytes=options.max_body_bytes, allow_guards_off=options.allow_guards_off)
    await init_app_state(guarded, app.state, arguments, tasks)
    return app


async def _run(
    serving: Serving,
    listener: socket.socket,
    engine: "AsyncLLM",
    options: ServeOptions,
    on_ready: Callable[[Serving], Awaitable[None]],
) -> None:
    """Run the HTTP server until a signal or the engine's death."""
    config = uvicorn.Config(
        serving.app,
        log_level="info" if options.verbose else "warning",
        access_log=False,
        timeout_graceful_shutdown=max(1, round(options.drain_timeout_s)),
    )
    server = _Server(config)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _on_signal, serving, server)
    watch = asyncio.create_task(_watch(serving, engine, server))
    running = asyncio.create_task(server.serve(sockets=[listener]))

    async def announce() -> None:
        await server.ready.wait()
        freeze_heap()
        await on_ready(serving)

    announcing = asyncio.create_task(announce())
    try:
        await asyncio.wait([running, announcing], return_when=asyncio.FIRST_COMPLETED)
        if announcing.done():
            announcing.result()
        await running
    finally:
        serving.stopping.set()
        server.should_exit = True
        announcing.cancel()
        watch.cancel()
        await asyncio.gather(running, announcing, watch, return_exceptions=True)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
    if engine.errored:
        raise EngineDied("the engine process died; its last words are in the log above. Restart the gateway")


def _on_signal(serving: Serving, server: uvicorn.Server) -> None:
    """First signal: drain. Second: stop at once."""
    server.force_exit = serving.stopping.is_set()
    serving.stopping.set()
    server.should_exit = True


async def _watch(serving: Serving, engine: "AsyncLLM", server: uvicorn.Server) -> None:
    """End the server when the engine dies: nothing can be answered any more."""
    while not engine.errored:  # noqa: ASYNC110 - vLLM sets the flag from a thread and offers no event
        await asyncio.sleep(WATCH_INTERVAL_S)
    serving.stopping.set()
    server.should_exit = True
    # Open streams learn of the death from vLLM; whoever still hangs after that is cut off.
    await asyncio.sleep(FORCED_EXIT_S)
    server.force_exit = True


class _Server(uvicorn.Server):
    """Leaves signals to us: uvicorn's own handlers would re-raise them before the engine is shut down."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Tell when connections are accepted."""
        await super().startup(sockets)
        self.ready.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Install nothing."""
        yield
