"""Our own rule: edit from where names are RECOGNISED on, plus one block of Λ where facts are already READABLE.

MUTE edits inside Λ alone. Measured on the demo model, that silences a fact but leaves it readable below Λ, because a
known name is told from a never-seen one long before: at the name's own last token, in the first blocks.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from unlearn_engine.selectors import DOWN_PROJ, Calibration, Selection, modules_in
from unlearn_engine.selectors.lens import onset
from unlearn_engine.selectors.mute import agnostic_region

RECOGNISED = 0.75  # accuracy half-way between chance and certainty
MAX_MODULES = 5  # what the server can wrap and keep at least 0.75 of its throughput on CPU


@dataclass(frozen=True)
class Recognised:
    """The blocks of `choose`."""

    linears: tuple[str, ...] = DOWN_PROJ

    def __call__(self, calibration: Calibration) -> Selection:
        """Select from all four measures."""
        found = calibration.layers
        region = agnostic_region(found.cka, found.lrds)
        _, blocks = choose(found.cka, found.lens, found.recognition, region)
        scores = {"cka": found.cka, "lrds": found.lrds, "lens": found.lens, "recognition": found.recognition}
        return modules_in(calibration.model, blocks, self.linears, scores)


def choose(
    cka: Sequence[float], lens: Sequence[float], recognition: Sequence[float], region: Sequence[int]
) -> tuple[int, tuple[int, ...]]:
    """The closed-form edit's block, and all blocks that erasing may change.

    The edit sits at the CKA peak of Λ among the blocks where facts are readable; the others are the next
    MAX_MODULES - 1 blocks from the first that recognises names, none beyond Λ.
    """
    readable = onset(lens)
    edit_layer = max([block for block in region if block >= readable] or region, key=lambda block: cka[block])
    recognised = next((block for block in range(len(recognition)) if recognition[block] >= RECOGNISED), 0)
    early = [block for block in range(recognised, region[-1] + 1) if block != edit_layer][: MAX_MODULES - 1]
    return edit_layer, tuple(sorted([*early, edit_layer]))


def centroid_accuracy(known: Tensor, unseen: Tensor) -> float:
    """How well the nearer of two centroids tells known from unseen states, each [names, questions, hidden].

    Centroids from every other name, accuracy on the rest, both ways round; 0.5 is chance.
    """
    accuracies = []
    for fitted, tested in ((slice(0, None, 2), slice(1, None, 2)), (slice(1, None, 2), slice(0, None, 2))):
        centres = [states[fitted].flatten(0, 1).mean(0) for states in (known, unseen)]
        direction, middle = centres[0] - centres[1], (centres[0] + centres[1]) / 2
        accuracies += [float(((known[tested] - middle) @ direction > 0).double().mean())]
        accuracies += [float(((unseen[tested] - middle) @ direction <= 0).double().mean())]
    return sum(accuracies) / len(accuracies)
