"""Measure the life of forget requests: time to the guard, POSTs a second, ten thousand of them, Redis away.

    python -m benchmarks.lifecycle --json FILE
    python -m benchmarks.lifecycle --markdown
    python -m benchmarks.lifecycle --parts crowd --quick

Parts: `posts` and `crowd` run replicas without an engine (benchmarks/plane.py), `away` a whole gateway.
"""

import argparse
import asyncio
import json
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.guards.goals import Goal
from benchmarks.lifecycle import away, crowd, posts
from benchmarks.plane import Planes, running_planes
from gateway.forget.embedded import EmbeddedRedis
from gateway.forget.sealer import AesGcmSealer
from gateway.security.sealing_keys import GivenKeys
from unlearn_engine.demo.measure import write_table

DOCUMENTATION = Path("docs/lifecycle.md")
PARTS = ("posts", "crowd", "away")
REPLICAS = 3
GOALS = (
    Goal("POST to enforced on 3 replicas, p50", "enforced_ms_p50", "<=", 20, "ms"),
    Goal("the same, p99", "enforced_ms_p99", "<=", 100, "ms"),
    Goal("durable POSTs a second, one gateway", "posts_per_s", ">=", 300),
    Goal("policy compiled and swapped, 10,000 active, one added, p50", "compile_ms", "<=", 50, "ms"),
    Goal("longest stall of a chat request meanwhile", "chat_stall_ms_max", "<=", 5, "ms"),
    Goal("start to ready, 10,000 active, engine apart", "startup_s", "<=", 5, "s"),
    Goal("Redis away: chat requests that failed", "redis_away_chat_errors", "<=", 0),
    Goal("Redis away: answers that told the forgotten", "redis_away_told", "<=", 0),
    Goal("Redis away too long: still ready", "redis_away_ready", "<=", 0),
    Goal("Redis back: caught up after", "catch_up_s", "<=", 2, "s"),
)


def measure(part: str, quick: bool) -> dict[str, float]:
    """The figures of a part."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        if part == "away":
            return away.measured(path, 20 if quick else 100)
        if part == "posts":
            with EmbeddedRedis(path / "three") as server, running_planes(server.url, REPLICAS) as planes:
                found = asyncio.run(posts.enforced(planes, 50 if quick else 500))
            with EmbeddedRedis(path / "one") as server, running_planes(server.url, 1) as planes:
                return found | asyncio.run(posts.throughput(planes, 300 if quick else 2000))
        with EmbeddedRedis(path) as server:
            planes = Planes(server.url, path)
            sealer = AesGcmSealer(GivenKeys(planes.sealing_keys))
            asyncio.run(crowd.seed(server.url, sealer, 500 if quick else 10_000))
            return crowd.startup(planes) | crowd.one_more(planes)


def show(figures: Mapping[str, Any]) -> bool:
    """Prints what was measured beside the goals; says whether every one of them is met."""
    table = Table("what", "measured", "must reach", "")
    met = True
    for goal in (goal for goal in GOALS if goal.key in figures):
        value = goal.read(figures)
        met &= goal.met(value)
        bound = f"{goal.relation} {goal.written(goal.bound)}"
        table.add_row(goal.what, goal.written(value), bound, "yes" if goal.met(value) else "[red]NO[/]")
    Console().print(table)
    return met


def table(figures: Mapping[str, Any]) -> str:
    """The goals, every other figure below them, as Markdown."""
    lines = ["| what | key | must reach | measured | |", "| --- | --- | --- | --- | --- |"]
    for goal in GOALS:
        value = goal.read(figures)
        bound, missed = f"{goal.relation} {goal.written(goal.bound)}", "" if goal.met(value) else "**missed**"
        lines.append(f"| {goal.what} | `{goal.key}` | {bound} | {goal.written(value)} | {missed} |")
    goals = {goal.key for goal in GOALS}
    others = [f"`{key}` {value:.4g}" for key, value in figures.items() if key not in goals]
    return "\n".join([*lines, "", f"Besides: {', '.join(others)}."])


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument("--markdown", action="store_true", help="write the figures into docs/lifecycle.md")
    parser.add_argument("--parts", nargs="+", default=PARTS, choices=PARTS)
    parser.add_argument("--quick", action="store_true", help="fewer of everything, to try it out")
    options = parser.parse_args(arguments)
    if options.markdown and (options.quick or set(options.parts) != set(PARTS)):
        parser.error("--markdown takes the figures of one whole run")
    figures: dict[str, Any] = {"load_before": os.getloadavg()[0]}
    for part in options.parts:
        began = time.monotonic()
        figures |= measure(part, options.quick)
        figures[f"{part}_s"] = time.monotonic() - began
    figures["load_after"] = os.getloadavg()[0]
    met = show(figures)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
    if options.markdown:
        write_table(DOCUMENTATION, "figures", table(figures))
    raise SystemExit(0 if met else 1)


if __name__ == "__main__":
    main()
