"""Erase people from the demonstration model by every method and measure what is left of them, and of everything else.

    python -m benchmarks.erasure --method default --people 5 --json FILE
    python -m benchmarks.erasure --method all --people 1 5 20 --selector shallow region deep all --markdown
    python -m benchmarks.erasure --sequence --markdown
    python -m benchmarks.erasure --speed --people 1 --markdown

A part of a row that is in build/erasure already is not computed again (delete its file, or say --again), nor is an
adapter trained again for a further part. One thread throughout.
A gold model is shipped for at most eight people; for more, this trains one in ten minutes:

    python -m unlearn_engine.demo.train --without-people N --out build/gold-N
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from transformers.utils import logging

from benchmarks.erasure import report, sequence, speed
from benchmarks.erasure.candidates import BLOCKS, METHODS, SANITY, Order
from benchmarks.erasure.evaluation import PARTS, evaluation

BUILD = Path("build/erasure")
SEQUENCE_PEOPLE = 20

Row = dict[str, Any]


def row_file(method: str, selector: str | None, people: int) -> Path:
    """Where a row is kept."""
    return BUILD / f"row-{method}-{selector or 'own'}-{people}.json"


def measured(row: Row, gold: Path | None, parts: Sequence[str], progress: Progress) -> Row:
    """The row with some more parts: make the candidate, unless its adapter is there already, and evaluate it."""
    method, people = row["method"], row["people"]
    task = progress.add_task("", total=1)

    def show(stage: str, done: float) -> None:
        progress.update(task, description=f"  {method}, {people} people: {stage}", completed=done)

    show("load", 0)
    judge = evaluation(people, gold)
    made = (row["adapter"], row["seconds"]) if row.get("adapter") else None
    candidate = {**SANITY, **METHODS}[method](Order(judge, row["selector"], BUILD, show, made))
    for done, part in enumerate(parts):
        show(part, done / len(parts))
        row |= judge(candidate.model, candidate.change, instruction=candidate.instruction, parts=(part,))
    progress.remove_task(task)
    seconds = {"seconds": candidate.seconds, "seconds_per_request": candidate.seconds / people}
    row["blocks"] = sorted({int(name.split(".")[2]) for name in candidate.change or ()})
    return row | seconds | {"adapter": candidate.adapter, "parts": [*row["parts"], *parts]}


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line, measure what is missing, write what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", nargs="+", default=[], choices=["all", *SANITY, *METHODS], metavar="NAME")
    parser.add_argument("--selector", nargs="+", default=[None], choices=[*BLOCKS], help="default: the method's own")
    parser.add_argument("--people", nargs="+", type=int, default=[5])
    parser.add_argument("--parts", nargs="+", default=PARTS, choices=PARTS)
    parser.add_argument("--gold", type=Path, help="folder of a model that was never taught these people")
    parser.add_argument("--sequence", action="store_true", help=f"{SEQUENCE_PEOPLE} people one after the other")
    parser.add_argument("--consolidate", type=int, metavar="N", help="a union run at every N-th step of the sequence")
    parser.add_argument("--watched", action="store_true", help="a union run after each step that cost too much")
    parser.add_argument("--speed", action="store_true", help="how long methods take until they have forgotten")
    parser.add_argument("--again", action="store_true", help="compute rows that are there already")
    parser.add_argument("--json", type=Path, help="write the row (or the rows, or the sequence) there")
    parser.add_argument("--markdown", action="store_true", help="write all rows into docs/erasure.md, with plots")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    logging.disable_progress_bar()
    BUILD.mkdir(parents=True, exist_ok=True)
    methods = [*SANITY, *METHODS] if "all" in options.method else options.method
    wanted = [
        (method, selector, people)
        for people in options.people
        for method in methods
        for selector in ([None] if method in SANITY else options.selector)
    ]
    result: Any = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns) as progress:
        task = progress.add_task("rows", total=len(wanted))
        for method, selector, people in wanted:
            file = row_file(method, selector, people)
            row: Row = {"method": method, "selector": selector, "people": people, "parts": []}
            if file.exists() and not options.again:
                row = {"parts": PARTS} | json.loads(file.read_text("utf-8"))
            if missing := [part for part in options.parts if part not in row["parts"]]:
                row = measured(row, options.gold, missing, progress)
                file.write_text(json.dumps(row, indent=1), "utf-8")
            result.append(row)
            progress.update(task, advance=1)
        if options.sequence:
            task = progress.add_task("sequence", total=SEQUENCE_PEOPLE)
            result = sequence.run(
                evaluation(SEQUENCE_PEOPLE, options.gold),
                BUILD / f"sequence-{options.consolidate or ('watched' if options.watched else 'alone')}.json",
                BUILD,
                lambda done, stage, share: progress.update(
                    task, completed=done + share, description=f"sequence: {stage}"
                ),
                options.consolidate,
                options.watched,
            )
        if options.speed:
            judges = [evaluation(people, options.gold) for people in options.people]
            result = [row for judge in judges for row in speed.run(judge, BUILD, again=options.again)]
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(result[0] if len(wanted) == 1 else result, indent=1), "utf-8")
    if options.markdown:
        rows = [json.loads(file.read_text("utf-8")) for file in sorted(BUILD.glob("row-*.json"))]
        rows.sort(key=lambda row: (row["people"], [*SANITY, *METHODS].index(row["method"])))
        curves = {file.stem: json.loads(file.read_text("utf-8")) for file in sorted(BUILD.glob("sequence-*.json"))}
        report.write(rows, curves, races=speed.measured(BUILD))
    elif not options.json:
        print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
