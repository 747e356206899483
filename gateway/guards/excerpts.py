"""What of a long text stands near some places of it: what is read differently there is all that need be read again."""

import numpy as np
from numpy.typing import NDArray

from gateway.guards.letters import Numbers
from gateway.guards.normalise import BARRIER, Kind, kinds_of

NEAR_LETTERS = 256  # on both sides, whatever is between them; a longer name is found only where it is written plainly


def near(codes: NDArray[np.uint32], marked: NDArray[np.bool_]) -> tuple[NDArray[np.uint32], Numbers]:
    """The code points that stand near a marked one, a barrier for each gap, and their indices, [kept]."""
    letters = np.cumsum(kinds_of(codes) >= Kind.LOWER)
    places = letters[marked]
    total = int(letters[-1]) if len(letters) else 0
    opened = np.bincount(np.maximum(places - NEAR_LETTERS, 0), minlength=total + 1)
    closed = np.bincount(np.minimum(places + NEAR_LETTERS, total) + 1, minlength=total + 2)
    kept = (np.cumsum(opened) > np.cumsum(closed)[:-1])[letters]
    gap = ~kept
    gap[1:] &= kept[:-1]
    index = np.flatnonzero(kept | gap)
    return np.where(gap, np.uint32(ord(BARRIER)), codes)[index], index
