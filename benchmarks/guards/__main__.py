"""Measure the guards: cost, recall, false positives, the in-engine matcher, leaks, and what honest traffic pays.

    python -m benchmarks.guards --json FILE
    python -m benchmarks.guards --parts detection recall --again --markdown
    python -m benchmarks.guards --quick --parts leaks

A part that is in build/guards already is not measured again (delete its file, or say --again). The parts `leaks`,
`hops`, `interviews`, `likeness` and `traffic` start the gateway and want all cores for themselves. `--quick` is a small
run to try it out, kept apart.
"""

import argparse
import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from transformers.utils import logging

from benchmarks.guards import (
    answers,
    authors,
    detection,
    false_positives,
    held_out,
    hops,
    interviews,
    leaks,
    likeness,
    matcher,
    recall,
    report,
    traffic,
)
from benchmarks.guards.subjects import DATA

BUILD = Path("build/guards")

Tell = Callable[[str, float], None]
Part = Callable[[Tell], dict[str, Any]]


def parts(data: Path, *, quick: bool = False) -> Mapping[str, Part]:
    """Name -> measurement, in the order in which they run."""
    if quick:
        return {
            "detection": partial(detection.measure, data=data, largest=10_000, prompts=200),
            "recall": partial(recall.measure, mentions=80),
            "disguises": partial(held_out.measure, data=data, names=5),
            "answers": partial(answers.measure, data=data, names=2, every=200),
            "false_positives": partial(false_positives.measure, data=data, every=20),
            "authors": partial(authors.measure, data=data, drawn=1),
            "matcher": partial(matcher.measure, vocabulary=20_000),
            "leaks": partial(leaks.measure, limit=24),
            "hops": partial(hops.measure, data=data, limit=24, pairs=30),
            "interviews": partial(interviews.measure, alone=1, at_once=10, first_tokens=24),
            "likeness": partial(likeness.measure, pairs=30),
            "traffic": partial(traffic.measure, names=50, rounds=1, first_tokens=20, answers=24),
        }
    return {
        "detection": partial(detection.measure, data=data),
        "recall": recall.measure,
        "disguises": partial(held_out.measure, data=data),
        "answers": partial(answers.measure, data=data),
        "false_positives": partial(false_positives.measure, data=data),
        "authors": partial(authors.measure, data=data),
        "matcher": matcher.measure,
        "leaks": leaks.measure,
        "hops": partial(hops.measure, data=data),
        "interviews": interviews.measure,
        "likeness": likeness.measure,
        "traffic": traffic.measure,
    }


def measured(name: str, part: Part, file: Path, progress: Progress, *, again: bool) -> dict[str, Any]:
    """A part's figures: those in its file, or measured now and kept there, with the load that the machine was under."""
    if again or not file.exists():
        task = progress.add_task(name, total=1)

        def tell(stage: str, done: float) -> None:
            progress.update(task, description=f"  {name}: {stage}", completed=done)

        began, load = time.monotonic(), os.getloadavg()[0]
        figures = part(tell)
        circumstances = {
            "seconds": time.monotonic() - began,
            "load_before": load,
            "load_after": os.getloadavg()[0],
            "tree": _tree(),
        }
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(
            json.dumps(figures | {"measured": {name: circumstances}}, indent=1, ensure_ascii=False), "utf-8"
        )
        progress.remove_task(task)
    found: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return found


def _tree() -> str:
    """The commit that was measured, with `-dirty` behind it where files differed."""
    described = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True)
    return described.stdout.strip() or "no commit"


def joined(files: Sequence[Path]) -> dict[str, Any]:
    """The figures of several parts together."""
    figures: dict[str, Any] = {"measured": {}}
    for file in files:
        part = json.loads(file.read_text("utf-8"))
        figures["measured"] |= part.pop("measured")
        figures |= part
    return figures


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line, measure what is missing, write what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", default=[*parts(DATA)], choices=[*parts(DATA)])
    parser.add_argument("--data", type=Path, default=DATA, help="folder with xquad, mgsm, tatoeba, tofu [%(default)s]")
    parser.add_argument("--quick", action="store_true", help="a small run, kept apart from the real one")
    parser.add_argument("--again", action="store_true", help="measure parts that are there already")
    parser.add_argument("--json", type=Path, help="write the figures of these parts there")
    parser.add_argument("--markdown", action="store_true", help="write all parts that are there into docs/guards.md")
    options = parser.parse_args(arguments)
    logging.disable_progress_bar()
    folder = BUILD / "quick" if options.quick else BUILD
    todo = parts(options.data, quick=options.quick)
    with Progress(TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()) as progress:
        task = progress.add_task("parts", total=len(options.parts))
        for name in options.parts:
            measured(name, todo[name], folder / f"{name}.json", progress, again=options.again)
            progress.advance(task)
    figures = joined([folder / f"{name}.json" for name in options.parts])
    report.show(figures)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(figures, indent=1, ensure_ascii=False), "utf-8")
    if options.markdown and not options.quick:
        report.write(joined([file for name in todo if (file := folder / f"{name}.json").exists()]))


if __name__ == "__main__":
    main()
