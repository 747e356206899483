"""Logit-lens onset: the first block after which facts can be read off, and the blocks that lead up to it."""

from collections.abc import Sequence
from dataclasses import dataclass

from unlearn_engine.selectors import DOWN_PROJ, Calibration, Selection, modules_in

READABLE_SHARE = 0.25  # of the best block's lens rate


@dataclass(frozen=True)
class LensOnset:
    """The onset and the `width` - 1 blocks before it: together they make the fact readable."""

    width: int = 1
    share: float = READABLE_SHARE
    linears: tuple[str, ...] = DOWN_PROJ

    def __call__(self, calibration: Calibration) -> Selection:
        """Select from the measured lens rates."""
        lens = calibration.layers.lens
        last = onset(lens, self.share)
        blocks = range(max(0, last + 1 - self.width), last + 1)
        return modules_in(calibration.model, blocks, self.linears, {"lens": lens})


def onset(lens: Sequence[float], share: float = READABLE_SHARE) -> int:
    """The first block whose lens rate is at least a share of the best block's."""
    return next(block for block in range(len(lens)) if lens[block] >= share * max(lens))
