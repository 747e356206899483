"""The rows as a Markdown table in docs/erasure.md."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.erasure.report import DOCUMENTATION
from unlearn_engine.demo.measure import write_table

Row = Mapping[str, Any]

MEASURES = ("probability", "rouge", "truth_ratio")

TABLE: Mapping[str, Sequence[str]] = {
    "forget quality: p": ("forget_quality",),
    "D": ("ks_d",),
    "model utility": ("model_utility",),
    "forget: probability": ("forget_probability",),
    "ROUGE": ("forget_rouge",),
    "truth ratio": ("forget_truth_ratio",),
    "retain: probability / ROUGE / truth ratio": tuple(f"retain_{measure}" for measure in MEASURES),
    "real authors": tuple(f"real_authors_{measure}" for measure in MEASURES),
    "world facts": tuple(f"world_facts_{measure}" for measure in MEASURES),
    "s": ("seconds",),
}
"""Heading -> the keys that stand below it."""


def write(rows: Sequence[Row], split: str, documentation: Path = DOCUMENTATION) -> None:
    """Replace the table of a split between its comments; raises ValueError where the page has none."""
    label = f"tofu {split}"
    if f"<!-- {label} -->" not in documentation.read_text("utf-8"):
        raise ValueError(f"{documentation} has no place for the table: <!-- {label} --><!-- /{label} -->")
    write_table(documentation, label, table(rows))


def table(rows: Sequence[Row]) -> str:
    """One line per row; a column for the forget set in each other language that the rows have."""
    languages = [key.removeprefix("forget_quality_") for key in rows[0] if re.fullmatch("forget_quality_[a-z]{2}", key)]
    columns = dict(TABLE)
    for language in languages:
        columns[f"{language}: p / D / probability / ROUGE / truth ratio"] = (
            f"forget_quality_{language}",
            f"ks_d_{language}",
            *(f"forget_{language}_{measure}" for measure in MEASURES),
        )
    lines = [["method", *columns], ["---"] * (len(columns) + 1)]
    lines += [
        [row["method"], *(" / ".join(_number(key, row) for key in keys) for keys in columns.values())] for row in rows
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _number(key: str, row: Row) -> str:
    value = float(row[key])
    if key == "seconds":
        return f"{value:.0f}" if value else "-"
    if key.startswith("forget_quality"):
        return f"{value:.2f}" if value >= 0.01 else f"{value:.0e}" if value > 1e-99 else "< 1e-99"
    return f"{value:.3f}"
