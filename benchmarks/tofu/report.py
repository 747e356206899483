"""The rows as a Markdown table in docs/erasure.md."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.erasure.report import DOCUMENTATION
from unlearn_engine.demo.measure import write_table

Row = Mapping[str, Any]

TABLE: Mapping[str, Sequence[str]] = {
    "forget quality: p": ("forget_quality",),
    "D": ("ks_d",),
    "model utility": ("model_utility",),
    "forget: probability": ("forget_probability",),
    "ROUGE": ("forget_rouge",),
    "truth ratio": ("forget_truth_ratio",),
    "retain: probability / ROUGE / truth ratio": ("retain_probability", "retain_rouge", "retain_truth_ratio"),
    "real authors": ("real_authors_probability", "real_authors_rouge", "real_authors_truth_ratio"),
    "world facts": ("world_facts_probability", "world_facts_rouge", "world_facts_truth_ratio"),
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
    """One line per row."""
    lines = [["method", *TABLE], ["---"] * (len(TABLE) + 1)]
    lines += [
        [row["method"], *(" / ".join(_number(key, row) for key in keys) for keys in TABLE.values())] for row in rows
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _number(key: str, row: Row) -> str:
    value = float(row[key])
    if key == "seconds":
        return f"{value:.0f}" if value else "-"
    if key == "forget_quality":
        return f"{value:.2f}" if value >= 0.01 else f"{value:.0e}" if value > 1e-99 else "< 1e-99"
    return f"{value:.3f}"
