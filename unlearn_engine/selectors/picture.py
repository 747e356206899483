"""The layer picture: what was measured in every block, and which blocks were chosen."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from unlearn_engine.selectors import Layers
from unlearn_engine.selectors.mute import ALPHA, LRDS_MARGIN
from unlearn_engine.selectors.recognition import RECOGNISED

BLUE, ORANGE, GREEN, GREY = "#0072b2", "#d55e00", "#009e73", "#8c8c8c"


def draw(layers: Layers, marked: Mapping[str, Sequence[int]], file: Path) -> dict[str, tuple[float, ...]]:
    """Draw CKA, LRDS, lens and recognition by block into a PNG, with a row of marks for every choice of blocks.

    The blocks of the first choice are shaded throughout. Returns the numbers drawn, by name: the four measures, and for
    each choice the blocks. Needs matplotlib (the `dev` extra).
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    blocks = range(len(layers.cka))
    figure = Figure(figsize=(max(6.4, 0.3 * len(blocks) + 3.2), 7.4), layout="constrained", dpi=120)
    heights = [2.0, 2.0, 2.4, 0.5 * max(1, len(marked)) + 0.3]
    cka, lrds, rates, choices = figure.subplots(4, 1, sharex=True, height_ratios=heights)

    cka.plot(blocks, layers.cka, color=BLUE, marker="o")
    cka.axhline(sum(layers.cka) / len(layers.cka), color=GREY, linestyle="--", label="mean: Λ lies above")
    cka.set_ylabel("CKA\nbetween languages")

    lrds.plot(blocks, layers.lrds, color=ORANGE, marker="o")
    lrds.axhline(ALPHA * min(layers.lrds), color=GREY, linestyle=":", label=f"{ALPHA:g} x minimum (the paper's rule)")
    lrds.axhline(
        LRDS_MARGIN, color=GREY, linestyle="--", label=f"absolute margin {LRDS_MARGIN:g}: Λ lies below the higher"
    )
    lrds.set_ylim(bottom=0)
    lrds.set_ylabel("LRDS\nseparation")

    rates.plot(blocks, layers.lens, color=GREEN, marker="o", label="fact readable (logit lens, top 1)")
    rates.plot(blocks, layers.recognition, color=BLUE, marker="s", label="name recognised (accuracy)")
    rates.axhline(RECOGNISED, color=GREY, linestyle="--", label=f"recognised from {RECOGNISED:g}")
    rates.set_ylim(0, 1.05)
    rates.set_ylabel("share")

    for place, chosen in enumerate(marked.values()):
        choices.scatter(chosen, [place] * len(chosen), marker="s", s=90, zorder=3, color=BLUE if place == 0 else ORANGE)
    choices.set_yticks(range(len(marked)), list(marked))
    choices.set_ylim(len(marked) - 0.4, -0.6)
    choices.set_xticks(blocks[:: max(1, len(blocks) // 16)])
    choices.set_xlabel("block")

    shaded = next(iter(marked.values()), ())
    for axes in (cka, lrds, rates, choices):
        for block in shaded:
            axes.axvspan(block - 0.5, block + 0.5, color=BLUE, alpha=0.08, linewidth=0)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in (cka, lrds, rates):
        axes.legend(frameon=False, fontsize=8, loc="best")
    figure.suptitle("Where the model may change", fontsize=12)
    FigureCanvasAgg(figure).print_png(str(file))  # type: ignore[no-untyped-call]

    measures = {"cka": layers.cka, "lrds": layers.lrds, "lens": layers.lens, "recognition": layers.recognition}
    return measures | {label: tuple(chosen) for label, chosen in marked.items()}
