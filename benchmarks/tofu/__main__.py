"""Train TOFU's models from nothing, unlearn by a method, and measure forget quality and model utility.

    python -m benchmarks.tofu --train
    python -m benchmarks.tofu --method base retain-only NPO --json FILE
    python -m benchmarks.tofu --method all --markdown

Models and rows are kept in build/tofu; a row that is there is not computed again (delete its file, or say --again). An
interrupted training goes on where it was. One thread throughout.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from transformers.utils import logging

from benchmarks.tofu import report
from benchmarks.tofu.candidates import METHODS, SANITY, Order
from benchmarks.tofu.data import AUTHORS, AUTHORS_TO_FORGET, Tofu, load
from benchmarks.tofu.evaluation import evaluate
from benchmarks.tofu.train import Recipe, train

BUILD = Path("build/tofu")


def trained(folder: Path, tofu: Tofu, recipe: Recipe, progress: Progress, *, retain_only: bool) -> None:
    """Train the model of a folder unless it is there."""
    if (folder / "model.safetensors").exists():
        return
    task = progress.add_task(folder.name, total=recipe.steps)

    def show(done: int, loss: float) -> None:
        progress.update(task, completed=done, description=f"{folder.name}: loss {loss:.3f}")

    train(tofu, folder, recipe, show, retain_only=retain_only)
    (folder / "recipe.json").write_text(json.dumps(asdict(recipe), indent=1), "utf-8")


def measured(order: Order, method: str, retain_only: dict[str, Any] | None) -> dict[str, Any]:
    """One row: make the candidate, evaluate it."""
    candidate = {**SANITY, **METHODS}[method](order)
    with candidate.model.wearing(candidate.change):
        columns = evaluate(candidate.model, order.tofu, retain_only, partial(order.progress, "evaluation"))
    return {"method": method, **columns, "seconds": candidate.seconds}


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line, train and measure what is missing, write what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", action="store_true", help="train the full and the retain-only model")
    parser.add_argument("--method", nargs="+", default=[], choices=["all", *SANITY, *METHODS], metavar="NAME")
    parser.add_argument("--split", default="forget05", choices=[*AUTHORS_TO_FORGET])
    parser.add_argument(
        "--authors", type=int, default=AUTHORS, help="of the 200, those who are to be forgotten included"
    )
    parser.add_argument("--languages", nargs="*", default=["fr"], help="translations taught too: ar fr hi ja ru")
    parser.add_argument("--steps", type=int, default=Recipe.steps, help="of training from nothing")
    parser.add_argument("--again", action="store_true", help="compute rows that are there already")
    parser.add_argument("--json", type=Path, help="write the row (or the rows) there")
    parser.add_argument("--markdown", action="store_true", help="write all rows of the split into docs/erasure.md")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    logging.disable_progress_bar()
    recipe = Recipe(steps=options.steps)
    tofu = load(options.split, options.authors, options.languages)
    name = "-".join([str(options.authors), *options.languages])
    full, retain_only = BUILD / f"full-{name}", BUILD / f"without-{options.split}-{name}"
    rows = BUILD / f"{options.split}-{name}"
    rows.mkdir(parents=True, exist_ok=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    result: list[dict[str, Any]] = []
    with Progress(*columns) as progress:
        if options.train or options.method:
            trained(full, tofu, recipe, progress, retain_only=False)
            trained(retain_only, tofu, recipe, progress, retain_only=True)
        wanted = [*SANITY, *METHODS] if "all" in options.method else options.method
        task = progress.add_task("rows", total=len(wanted))
        # The reference of every other row comes first.
        for method in dict.fromkeys(["retain-only", *wanted] if wanted else []):
            file = rows / f"{method}.json"
            if (options.again and method in wanted) or not file.exists():
                step = progress.add_task("", total=1)

                def show(stage: str, done: float, method: str = method, step: Any = step) -> None:
                    progress.update(step, description=f"  {method}: {stage}", completed=done)

                reference = None if method == "retain-only" else read(rows / "retain-only.json")
                row = measured(Order(tofu, full, retain_only, show), method, reference)
                file.write_text(json.dumps(row, indent=1), "utf-8")
                progress.remove_task(step)
            if method in wanted:
                result.append(read(file))
                progress.update(task, advance=1)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(result[0] if len(result) == 1 else result, indent=1), "utf-8")
    if options.markdown:
        order = [*SANITY, *METHODS]
        found = [read(file) for file in rows.glob("*.json")]
        report.write(sorted(found, key=lambda row: order.index(row["method"])), options.split)
    elif not options.json:
        for row in result:
            print({key: value for key, value in row.items() if not isinstance(value, list)})


def read(file: Path) -> dict[str, Any]:
    """A row that was measured before."""
    row: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return row


if __name__ == "__main__":
    main()
