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
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from transformers.utils import logging

from benchmarks.tofu import report
from benchmarks.tofu.candidates import METHODS, SANITY, Order
from benchmarks.tofu.data import AUTHORS_TO_FORGET, Tofu, load
from benchmarks.tofu.evaluation import compared, evaluate
from benchmarks.tofu.train import Recipe, train

BUILD = Path("build/tofu")
AUTHORS = 100

Row = dict[str, Any]


@dataclass(frozen=True)
class Bench:
    """Models and rows of one split in build/tofu; each is made when it is first asked for."""

    tofu: Tofu
    split: str
    name: str  # of what the models are taught
    recipe: Recipe
    progress: Progress

    def model(self, *, retain_only: bool) -> Path:
        """The folder of a model."""
        folder = BUILD / (f"without-{self.split}-{self.name}" if retain_only else f"full-{self.name}")
        if not (folder / "model.safetensors").exists():
            task = self.progress.add_task("", total=self.recipe.steps)

            def show(done: int, loss: float) -> None:
                self.progress.update(task, completed=done, description=f"{folder.name}: loss {loss:.3f}")

            train(self.tofu, folder, self.recipe, show, retain_only=retain_only)
        return folder

    def row(self, method: str, *, again: bool = False) -> Row:
        """All columns of a method but forget quality."""
        file = BUILD / f"{self.split}-{self.name}" / f"{method}.json"
        if again or not file.exists():
            task = self.progress.add_task("", total=1)

            def show(stage: str, done: float) -> None:
                self.progress.update(task, description=f"  {method}: {stage}", completed=done)

            candidate = {**SANITY, **METHODS}[method](Order(self.tofu, self.model, show))
            with candidate.model.wearing(candidate.change):
                columns = evaluate(candidate.model, self.tofu, partial(show, "evaluation"))
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps({"method": method, **columns, "seconds": candidate.seconds}, indent=1), "utf-8")
            self.progress.remove_task(task)
        row: Row = json.loads(file.read_text("utf-8"))
        return row


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line, train and measure what is missing, write what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", action="store_true", help="train the full and the retain-only model")
    parser.add_argument("--method", nargs="+", default=[], choices=["all", *SANITY, *METHODS], metavar="NAME")
    parser.add_argument("--split", default="forget05", choices=[*AUTHORS_TO_FORGET])
    parser.add_argument("--authors", type=int, default=AUTHORS, help="of the 200; those to be forgotten are among them")
    parser.add_argument("--languages", nargs="*", default=(), help="translations that are taught too: ar fr hi ja ru")
    parser.add_argument("--steps", type=int, default=Recipe.steps, help="of training from nothing")
    parser.add_argument("--again", action="store_true", help="compute rows that are there already")
    parser.add_argument("--json", type=Path, help="write the row (or the rows) there")
    parser.add_argument("--markdown", action="store_true", help="write the rows into docs/erasure.md")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    logging.disable_progress_bar()
    wanted = [*SANITY, *METHODS] if "all" in options.method else options.method
    bars = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*bars) as progress:
        tofu = load(options.split, options.authors, options.languages)
        name = "-".join([str(options.authors), *options.languages])
        bench = Bench(tofu, options.split, name, Recipe(steps=options.steps), progress)
        if options.train:
            bench.model(retain_only=False)
            bench.model(retain_only=True)
        task = progress.add_task("rows", total=len(wanted))
        rows = []
        for method in wanted:
            rows.append(bench.row(method, again=options.again))
            progress.advance(task)
        reference = bench.row("retain-only") if wanted else {}
    rows = [row | compared(row, reference) for row in rows]
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(rows[0] if len(rows) == 1 else rows, indent=1), "utf-8")
    if options.markdown:
        report.write(rows, options.split)
    elif not options.json:
        for row in rows:
            print({key: value for key, value in row.items() if not isinstance(value, list)})


if __name__ == "__main__":
    main()
