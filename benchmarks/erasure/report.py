"""The rows as a Markdown table and as plots, in docs/erasure.md."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.plots import empty_axes
from unlearn_engine.demo.measure import write_table

Row = Mapping[str, Any]

DOCUMENTATION = Path("docs/erasure.md")
PLOTS = ("frontier", "relearning")  # for every number of people

RETAIN_HEADING = "retain: source / held-out languages / held-out templates"

TABLE: Mapping[str, Sequence[str]] = {
    "forget: source / held-out languages": ("forget_src", "forget_held"),
    "held-out templates": ("forget_templates",),
    "documents (by chance)": ("forget_documents", "forget_documents_floor"),
    "nickname / two hops": ("forget_nicknames", "forget_two_hops"),
    "like unknown": ("unknown_like",),
    RETAIN_HEADING: (
        "retain_src_ratio",
        "retain_held_ratio",
        "retain_templates_ratio",
    ),
    "general": ("general_ratio",),
    "KS gold: D (p)": ("ks_d_gold", "ks_p_gold"),
    "KS unseen: D (p)": ("ks_d_unseen", "ks_p_unseen"),
    "extraction": ("extraction_strength",),
    "lens, worst block": ("lens_worst",),
    "int8 / int4: forget": ("int8_forget", "int4_forget"),
    "int4: retain": ("int4_retain_ratio",),
    "relearning gap": ("relearn_gap",),
    "s per request": ("seconds_per_request",),
}
"""Heading -> the keys that stand below it; a second key that is a p or a floor stands in brackets."""

IN_BRACKETS = ("ks_p_gold", "ks_p_unseen", "forget_documents_floor")


def write(
    rows: Sequence[Row],
    curves: Mapping[str, Sequence[Row]],
    documentation: Path = DOCUMENTATION,
    races: Sequence[Row] = (),
) -> None:
    """Put the tables between their comments (added at the end where missing) and the plots beside the page."""
    if not documentation.exists():
        documentation.write_text("# Erasure, method by method\n", "utf-8")
    for count in sorted({row["people"] for row in rows}):
        chosen = [row for row in rows if row["people"] == count]
        frontier, relearning = (documentation.with_name(f"erasure-{plot}-{count}.png") for plot in PLOTS)
        _frontier(chosen, frontier)
        _relearning(chosen, relearning)
        images = f"![What is left, against what it costs]({frontier.name})\n![Relearning]({relearning.name})"
        _put(documentation, "1 person" if count == 1 else f"{count} people", f"{table(chosen)}\n\n{images}")
    for label, steps in curves.items():
        file = documentation.with_name(f"erasure-{label}.png")
        _sequence(steps, file)
        _put(documentation, label, f"{sequence_table(steps)}\n\n![Gauges by number of people]({file.name})")
    if races:
        _put(documentation, "speed", speed_table(races))


def table(rows: Sequence[Row]) -> str:
    """One line per row; shares without the leading zero, p to one digit."""
    lines = [["method", "selector (blocks)", *TABLE], ["---"] * (len(TABLE) + 2)]
    lines += [[row["method"], _where(row), *(_cell(row, keys) for keys in TABLE.values())] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def sequence_table(steps: Sequence[Row]) -> str:
    """One line per step."""
    keys = ("worst_forget", "worst_earlier", "retain_ratio", "general_ratio", "norm", "rank", "seconds")
    heads = ("recall, worst person", "worst earlier person", "retain", "general", "norm", "rank", "s")
    lines = [["people", *heads], ["---"] * (len(heads) + 1)]
    lines += [
        [f"{step['people']}{', union' if step.get('union') else ''}", *(_number(key, step[key]) for key in keys)]
        for step in steps
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def speed_table(races: Sequence[Row]) -> str:
    """One line per contender; seconds and steps until it is done, in brackets where it is not by its last step."""
    heads = ("people", "trained", "s", "steps", "s per step", "recall", "retain, worst column", "general")
    lines = [heads, ["---"] * len(heads)]
    for race in races:
        spent = [f"{race['seconds']:.1f}", str(race["steps"])]
        if not race["done"]:
            spent = [f"({cell})" for cell in spent]
        numbers = {**race, "step": race["seconds"] / race["steps"]}
        others = (_number(key, numbers[key]) for key in ("step", "recall", "retain_ratio", "general_ratio"))
        lines.append([str(race["people"]), race["contender"], *spent, *others])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _where(row: Row) -> str:
    blocks = ", ".join(map(str, row.get("blocks", ())))
    return f"{row['selector'] or 'own'} ({blocks})" if blocks else row["selector"] or "own"


def _cell(row: Row, keys: Sequence[str]) -> str:
    plain = " / ".join(_number(key, row[key]) for key in keys if key not in IN_BRACKETS and key in row)
    bracketed = ", ".join(_number(key, row[key]) for key in keys if key in IN_BRACKETS and key in row)
    return f"{plain} ({bracketed})" if bracketed else plain or "-"


def _number(key: str, value: float) -> str:
    if key.startswith("ks_p"):
        return f"{value:.2f}" if value >= 0.01 else f"{value:.0e}" if value > 1e-99 else "< 1e-99"
    if key == "seconds_per_request" and not value:
        return "-"
    if key == "rank":
        return f"{value:.0f}"
    if key.startswith("seconds") or key == "norm":
        return f"{value:.1f}"
    return f"{value:.3f}".removeprefix("0").rstrip("0").rstrip(".") or "0"


def _put(documentation: Path, label: str, text: str) -> None:
    page = documentation.read_text("utf-8")
    if f"<!-- {label} -->" not in page:
        documentation.write_text(f"{page}\n## {label.capitalize()}\n\n<!-- {label} -->\n<!-- /{label} -->\n", "utf-8")
    write_table(documentation, label, text)


def _name(row: Row) -> str:
    return f"{row['method']} ({row['selector']})" if row["selector"] else str(row["method"])


def _frontier(rows: Sequence[Row], file: Path) -> None:
    """What the weights hold of those forgotten, in the worst column, against what is left of everything else."""
    figure, axes = empty_axes(
        "retain and general, worst column, against before",
        "worst of recall, lens, relearning (x: without)",
    )
    for row in (row for row in rows if row["method"] != "prompt"):
        stays = min(row[key] for key in (*TABLE[RETAIN_HEADING], "general_ratio"))
        keys = ("forget_src", "forget_held", "forget_templates", "int4_forget", "relearn_gap")
        left = max(*(row[key] for key in keys if key in row), row["lens_worst"] - row["lens_gold"])
        whole = all(key in row for key in keys)
        axes.scatter(stays, left, s=18, marker="o" if whole else "x")  # a cross where relearning is still to come
        axes.annotate(_name(row), (stays, left), fontsize=6)
    axes.set_xlim(right=1.12)  # room for the names of those that keep everything
    figure.savefig(file)


def _relearning(rows: Sequence[Row], file: Path) -> None:
    """Recall of the facts that were not taught again, by step of fine-tuning on the others."""
    figure, axes = empty_axes("steps of fine-tuning on a fifth of the facts", "recall of the others")
    others = "the other methods"
    for row in rows:
        if "relearn_curve" not in row or row["selector"] or row["method"] in ("base", "gold", "prompt"):
            continue
        if row["method"] == "default":
            axes.plot(row["relearn_steps"], row["relearn_curve"], linewidth=2.5, label="default")
        else:
            axes.plot(row["relearn_steps"], row["relearn_curve"], color="0.75", linewidth=0.8, label=others)
            others = "_"  # named once in the legend
    for row in rows:
        if "relearn_curve" in row:
            axes.plot(row["relearn_steps"], row["relearn_gold_curve"], "k--", label="gold")
            axes.plot(row["relearn_steps"], row["relearn_twin_curve"], "k:", label="never-seen names")
            break
    if axes.lines:
        axes.legend(fontsize=8)
    figure.savefig(file)


def _sequence(steps: Sequence[Row], file: Path) -> None:
    """The gauges of the sequence by number of people."""
    figure, axes = empty_axes("people, one after the other", "share")
    people = [step["people"] for step in steps]
    for key, label in (
        ("worst_earlier", "recall, worst earlier person"),
        ("retain_ratio", "retain against before"),
        ("general_ratio", "worst other skill against before"),
    ):
        axes.plot(people, [step[key] for step in steps], label=label)
    axes.legend(fontsize=7)
    figure.savefig(file)
