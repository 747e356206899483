"""Our own rule: train every linear layer of the first blocks in which names are RECOGNISED, and edit where facts are
READABLE.

MUTE edits inside Λ alone. Measured on the demo model, that silences a fact but leaves it readable below Λ, because a
known name is told from a never-seen one long before: at the name's own last token, in the first blocks. What the other
linear layers of those blocks hold is what relearning builds on, so none of them is left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from unlearn_engine.selectors import Calibration, Selection, linears_of
from unlearn_engine.selectors.lens import onset

RECOGNISED = 0.75  # accuracy half-way between chance and certainty
WIDTH = 4  # blocks


@dataclass(frozen=True)
class Recognised:
    """All linear layers of so many blocks, from the first that recognises names."""

    width: int = WIDTH

    def __call__(self, calibration: Calibration) -> Selection:
        """Select by recognition alone."""
        recognition = calibration.layers.recognition
        blocks = early(recognition, self.width)
        modules = tuple(name for block in blocks for name in linears_of(calibration.model, block))
        return Selection(blocks, modules, {"recognition": recognition})


def early(recognition: Sequence[float], width: int = WIDTH) -> tuple[int, ...]:
    """So many blocks from the first that recognises names (from block 0 where none does)."""
    first = next((block for block in range(len(recognition)) if recognition[block] >= RECOGNISED), 0)
    return tuple(range(first, min(first + width, len(recognition))))


def edit_block(cka: Sequence[float], lens: Sequence[float], region: Sequence[int]) -> int:
    """The closed-form edit's block: the CKA peak of Λ among the blocks where facts are readable."""
    readable = onset(lens)
    return max([block for block in region if block >= readable] or region, key=lambda block: cka[block])


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
