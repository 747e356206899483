"""What the guard costs: throughput through the gateway over vLLM's own application, on one engine, side by side.

    python -m benchmarks.serving_overhead [--model PATH] [--names 1000] [--adapter DIR] [--rounds 6] [--json FILE]

Two applications run around the same engine: vLLM's own, undecorated, and the gateway's with a policy of `--names`
people whom no prompt mentions. Rounds alternate between them; the ratio of a pair of rounds is what is compared, and
its median reported, because the machine may be busy with other things. With `--adapter`, the gateway's application is
measured with and without that erasure adapter as well (both without guard).
"""

import argparse
import asyncio
import json
import random
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop

from gateway.serving.options import ServeOptions
from unlearn_engine.data.names import unseen_name
from unlearn_engine.demo import BASE_PATH

CONCURRENCIES = (1, 8, 32)
TOKENS = 48


@dataclass(frozen=True)
class Variant:
    """One way to ask: a port, and what is added to the request."""

    port: int
    headers: str = ""
    body: tuple[tuple[str, Any], ...] = ()


async def serve_all(options: ServeOptions, names: int, adapter: Path | None) -> None:
    """Run all applications until killed; prints `READY` and their ports: vLLM's own, the guarded, with the adapter."""
    from gateway.serving.environment import freeze_heap, has_gpu, prepare_environment

    prepare_environment(cpu=not has_gpu(), verbose=False)
    import uvicorn
    from vllm.entrypoints.launchers.api_server.app_state import init_app_state
    from vllm.entrypoints.launchers.app import build_app

    from gateway.guards.policy import AdapterRef, Target, compile_policy
    from gateway.serving.arguments import build_arguments
    from gateway.serving.guarded_engine import GuardedEngine
    from gateway.serving.host import build_application, listen, running_engine
    from gateway.serving.observer import SilentObserver

    arguments = build_arguments(options)
    with running_engine(arguments) as engine:
        guarded = GuardedEngine(engine, options.lora_modules, SilentObserver())
        rng = random.Random(0)
        targets = {str(i): Target(str(i), (unseen_name(rng),)) for i in range(names)}
        await guarded.apply(compile_policy(1, targets))
        adapted = GuardedEngine(engine, options.lora_modules, SilentObserver())
        reference = AdapterRef(adapter.name, str(adapter), options.max_rank) if adapter else None
        await adapted.apply(compile_policy(1, {}, reference))
        tasks = await engine.get_supported_tasks()
        own = build_app(arguments, tasks, engine.model_config)
        await init_app_state(engine, own.state, arguments, tasks)
        apps = [own, *[await build_application(options, arguments, engine, ours, ()) for ours in (guarded, adapted)]]
        listeners = [listen("127.0.0.1", 0) for _ in apps]
        for listener in listeners:
            listener.listen()  # early clients wait instead of being refused
        freeze_heap()  # as the gateway does once it is up
        print("READY", *(listener.getsockname()[1] for listener in listeners), flush=True)
        servers = [uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False)) for app in apps]
        await asyncio.gather(*(server.serve([listener]) for server, listener in zip(servers, listeners, strict=True)))


async def _stream(variant: Variant, model: str, number: int) -> None:
    """One streamed answer of `TOKENS` tokens over a bare socket: a heavier client would slow both sides down."""
    body = {
        "model": model,
        "messages": [{"role": "user", "content": f"Question {number}: what is the capital of France?"}],
        "max_tokens": TOKENS,
        "temperature": 0,
        "ignore_eos": True,
        "stream": True,
        "stream_options": {"include_usage": True},
        **dict(variant.body),
    }
    content = json.dumps(body).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{variant.headers}"
        f"Content-Length: {len(content)}\r\nConnection: close\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", variant.port)
    writer.write(head.encode() + content)
    answer = await reader.read()
    writer.close()
    if b" 200 OK" not in answer[:20] or f'"completion_tokens":{TOKENS}'.encode() not in answer:
        raise RuntimeError(f"unexpected answer: {answer[:300]!r}")


async def _round(variant: Variant, model: str, concurrency: int) -> float:
    """Tokens per second of `concurrency` simultaneous streams."""
    began = time.perf_counter()
    await asyncio.gather(*(_stream(variant, model, number) for number in range(concurrency)))
    return concurrency * TOKENS / (time.perf_counter() - began)


async def compare(
    measured: Variant, baseline: Variant, model: str, concurrency: int, rounds: int
) -> dict[str, float | int]:
    """Median over pairs of rounds, in alternating order, of throughput measured / baseline."""
    for variant in (baseline, measured):
        await _round(variant, model, concurrency)
    pairs = []
    for number in range(rounds):
        order = (measured, baseline) if number % 2 else (baseline, measured)
        speed = {variant: await _round(variant, model, concurrency) for variant in order}
        pairs.append((speed[measured], speed[baseline]))
    ratio = statistics.median(ours / theirs for ours, theirs in pairs)
    return {
        "concurrency": concurrency,
        "ratio": round(ratio, 3),
        "tokens_per_s": round(statistics.median(ours for ours, _ in pairs), 1),
        "baseline_tokens_per_s": round(statistics.median(theirs for _, theirs in pairs), 1),
    }


async def measure(given: argparse.Namespace, ports: Sequence[int]) -> dict[str, Any]:
    """All comparisons."""
    # The logits guard blocks requests without tables; an empty list is what the gateway sends with its guards off.
    own = Variant(ports[0], body=(("vllm_xargs", _Frozen({"unlearn_tables": []})),))
    guarded = Variant(ports[1])
    result: dict[str, Any] = {"names": given.names, "guard": []}
    for concurrency in CONCURRENCIES:
        rounds = given.rounds * (4 if concurrency == 1 else 1)
        result["guard"].append(await compare(guarded, own, "demo", concurrency, rounds))
        print(result["guard"][-1], flush=True)
    result["throughput_ratio_min"] = min(row["ratio"] for row in result["guard"])
    if given.adapter:
        with_adapter = Variant(ports[2], "X-Unlearn-Guards: off\r\n")
        without = Variant(ports[2], "X-Unlearn-Guards: base\r\n")
        result["adapter"] = await compare(with_adapter, without, "demo", CONCURRENCIES[-1], given.rounds)
        result["adapter_ratio"] = result["adapter"]["ratio"]
        print(result["adapter"], flush=True)
    return result


class _Frozen(dict[str, Any]):
    """A dict that can be part of a frozen dataclass used as a key."""

    def __hash__(self) -> int:  # type: ignore[override]
        return 0


async def run(given: argparse.Namespace, arguments: Sequence[str]) -> dict[str, Any]:
    """Start the server process, measure, stop it."""
    command = [sys.executable, "-m", "benchmarks.serving_overhead", "--serve", *arguments]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        while line := (await process.stdout.readline()).decode():  # type: ignore[union-attr]
            if line.startswith("READY"):
                return await measure(given, [int(port) for port in line.split()[1:]])
        raise RuntimeError("the server did not start; see its output above")
    finally:
        process.terminate()
        await process.wait()


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=str(BASE_PATH))
    parser.add_argument("--names", type=int, default=1000)
    parser.add_argument("--adapter", type=Path)
    parser.add_argument("--lora-module", action="append", default=[])
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        options = ServeOptions(
            given.model, "demo", lora_modules=tuple(given.lora_module), max_rank=16, allow_guards_off=True
        )
        uvloop.run(serve_all(options, given.names, given.adapter))  # as the gateway does
        return
    result = asyncio.run(run(given, sys.argv[1:]))
    if given.json:
        given.json.write_text(json.dumps(result, indent=2))
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
