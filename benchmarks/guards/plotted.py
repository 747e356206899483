"""Plots of the figures, for docs/guards.md."""

from pathlib import Path

from benchmarks.guards.goals import MOST_LEAKS, RECALL_GOALS, Figures
from benchmarks.plots import empty_axes


def detection_plot(figures: Figures, file: Path) -> None:
    """How long a prompt and an addition take, by the number of targets."""
    figure, axes = empty_axes("targets", "ms")
    sizes = [int(size) for size in figures["detection"]]
    for key in ("p50", "p99"):
        axes.plot(sizes, [row[key] for row in figures["detection"].values()], "o-", label=f"a prompt read, {key}")
    added = {int(size): row["p50"] for size, row in figures["register"].items()}
    axes.plot([*added], [*added.values()], "s--", label="a target added, p50")
    axes.axhline(3.0, color="0.6", linewidth=0.8, label="cascade: at most")
    axes.axhline(50.0, color="0.3", linewidth=0.8, linestyle=":", label="addition: at most")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.legend(fontsize=7)
    figure.savefig(file)


def recall_plot(figures: Figures, file: Path) -> None:
    """What is found of each kind of mention, beside what must be."""
    figure, axes = empty_axes("recall, with the 95 % lower bound (red: must reach)", "")
    found = figures["recall_detail"]
    kinds = [*found][::-1]
    shares = [found[kind]["share"] for kind in kinds]
    errors = [found[kind]["share"] - found[kind]["lower"] for kind in kinds]
    axes.barh([kind.replace("_", " ") for kind in kinds], shares, xerr=[errors, [0] * len(kinds)], color="0.75")
    for row, kind in enumerate(kinds):
        axes.plot([RECALL_GOALS[kind]] * 2, [row - 0.4, row + 0.4], color="tab:red")
    figure.savefig(file)


def leaks_plot(figures: Figures, file: Path) -> None:
    """What every attack gets told, with and without the guard."""
    figure, axes = empty_axes("share of facts told (red: at most)", "")
    attacks = [*figures["leaks"]][::-1]
    bars = ("leaks_unguarded", "without guard"), ("leaks", "guard only"), ("leaks_name_alone", "names alone")
    for offset, (key, label) in enumerate(bars):
        places = [row + 0.27 * (1 - offset) for row in range(len(attacks))]
        axes.barh(places, [figures[key][attack] for attack in attacks], height=0.25, label=label)
    axes.set_yticks(range(len(attacks)), attacks)
    axes.axvline(MOST_LEAKS, color="tab:red", linewidth=0.8)
    axes.legend(fontsize=7, loc="center right")
    figure.savefig(file)
