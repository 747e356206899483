"""The gateway without its policy plane, for tests: policies are posted as plain JSON.

    python -m tests.serving.server --model PATH [--port 0] [--lora-module NAME ...] [-- VLLM FLAGS]

Prints `READY <url> <engine pid>` once the server listens.
"""

import argparse
import asyncio
import gc
import multiprocessing
import sys
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from gateway.guards.policy import AdapterRef, Target, compile_policy
from gateway.serving.errors import ServingError, SwapFailed
from gateway.serving.host import ServeOptions, Serving, serve
from unlearn_engine.corruption import Corruption


class Recorder:
    """A `GuardObserver` that can be asked what it saw."""

    def __init__(self) -> None:
        self.decisions: dict[str, int] = {}
        self.hops: dict[str, int] = {}
        self.seconds: dict[str, list[float]] = {}

    def decision(self, kind: str) -> None:
        self.decisions[kind] = self.decisions.get(kind, 0) + 1

    def hop(self, kind: str) -> None:
        self.hops[kind] = self.hops.get(kind, 0) + 1

    def observe(self, stage: str, seconds: float) -> None:
        self.seconds.setdefault(stage, []).append(seconds)


def test_router(state: dict[str, Any], recorder: Recorder) -> APIRouter:
    router = APIRouter(prefix="/test")

    @router.post("/policy")
    async def post_policy(request: Request) -> JSONResponse:
        """Apply a policy; `{"targets": [{...}] | null, "adapter": {...} | null}`; null targets: none at all."""
        spec = await request.json()
        engine = state["serving"].engine
        if spec["targets"] is None:
            engine._enforcement.live = None
            return JSONResponse({"version": None})
        targets = {target["id"]: Target(**{k: _frozen(k, v) for k, v in target.items()}) for target in spec["targets"]}
        adapter = AdapterRef(**spec["adapter"]) if spec.get("adapter") else None
        state["version"] = state.get("version", 0) + 1
        policy = compile_policy(state["version"], targets, adapter, previous=engine.policy)
        try:
            await engine.apply(policy)
        except SwapFailed as error:
            return JSONResponse({"error": str(error)}, 409)
        return JSONResponse({"version": policy.version})

    @router.post("/weights")
    async def replace_weights(request: Request) -> JSONResponse:
        """Replace the base weights, as an operator would; `{"folder": ..., "drain_s": ...}`."""
        spec = await request.json()
        try:
            await state["serving"].engine.replace_weights(Path(spec["folder"]), spec.get("drain_s", 30.0))
        except ServingError as error:
            return JSONResponse({"error": str(error)}, 409)
        return JSONResponse({})

    @router.post("/forget-tables")
    async def forget_tables() -> None:
        """Empty the engine's tables behind the gateway's back."""
        engine = state["serving"].engine
        await engine._inner.collective_rpc("unlearn_drop_tables", args=(sorted(engine.policy.tables()),))

    @router.get("/asked")
    async def get_asked() -> list[dict[str, Any]]:
        """What the engine was asked since the last time, in its own words: prompts as rendered, tables."""
        asked = state.get("asked", [])
        state["asked"] = _recorded(state["serving"].engine._inner)
        return asked

    @router.get("/state")
    async def get_state() -> dict[str, Any]:
        """What the observer saw, and what the engine holds."""
        engine = state["serving"].engine
        inner = engine._inner
        policy = engine.policy
        return {
            "version": policy.version if policy else None,
            "ready": engine.ready,
            "twins": {name: policy.twin(name) for name in policy.targets} if policy else {},
            "decisions": recorder.decisions,
            "hops": recorder.hops,
            "seconds": recorder.seconds,
            "tables": (await inner.collective_rpc("unlearn_count_tables"))[0],
            "guard": (await inner.collective_rpc("unlearn_guard_state"))[0],
            "adapters": sorted(await inner.list_loras()),
            "frozen": gc.get_freeze_count(),
            "unfinished": inner.output_processor.get_num_unfinished_requests(),
            "retiring": len(engine._enforcement._retiring),
        }

    return router


def _recorded(inner: Any) -> list[dict[str, Any]]:
    """From now on each call of the engine leaves an entry here."""
    entries: list[dict[str, Any]] = []
    tokenizer, generate = inner.get_tokenizer(), type(inner).generate

    def recording(prompt: Any, params: Any, *arguments: Any, **options: Any) -> Any:
        text = tokenizer.decode(prompt["prompt_token_ids"])
        entries.append({"prompt": text, "n": params.n, "tables": params.extra_args["unlearn_tables"]})
        return generate(inner, prompt, params, *arguments, **options)

    inner.generate = recording
    return entries


def _frozen(field: str, value: Any) -> Any:
    if not isinstance(value, list):
        return value
    return frozenset(value) if field == "audiences" else tuple(value)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--lora-module", action="append", default=[])
    parser.add_argument("--drain-timeout", type=float, default=10)
    parser.add_argument("--weights-link", type=Path)
    parser.add_argument("--corruption", type=float, help="strength of the noise on the embeddings of targets' names")
    parser.add_argument("vllm_args", nargs="*")
    given = parser.parse_args()
    options = ServeOptions(
        model=given.model,
        served_name="demo",
        port=given.port,
        lora_modules=tuple(given.lora_module),
        max_rank=16,
        vllm_args=tuple(given.vllm_args),
        allow_guards_off=True,
        drain_timeout_s=given.drain_timeout,
        weights_link=given.weights_link,
        corruption=None if given.corruption is None else Corruption(strength=given.corruption),
    )
    state: dict[str, Any] = {}
    recorder = Recorder()

    async def on_ready(serving: Serving) -> None:
        state["serving"] = serving
        engines = ",".join(str(child.pid) for child in multiprocessing.active_children())
        print(f"READY {serving.url} {engines}", flush=True)

    def progress(line: str) -> None:
        print(f"... {line}", flush=True)

    try:
        asyncio.run(serve(options, on_ready, [test_router(state, recorder)], progress, observer=recorder))
    except ServingError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
