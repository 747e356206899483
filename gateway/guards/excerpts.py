"""What of a long text stands near some places of it: what is read differently there is all that need be read again."""

import numpy as np
from numpy.typing import NDArray

from gateway.guards.letters import Numbers, ragged
from gateway.guards.normalise import BARRIER, Kind, kinds_of

NEAR_LETTERS = 256  # on both sides, whatever is between them; a longer name is found only where it is written plainly


def near(codes: NDArray[np.uint32], marked: NDArray[np.bool_]) -> tuple[NDArray[np.uint32], Numbers]:
    """The code points that stand near a marked one, a barrier for each gap, and their indices, [kept]."""
    letters = np.cumsum(kinds_of(codes) >= Kind.LOWER, dtype=np.int32)
    places = letters.take(marked.nonzero()[0])
    if not len(places):
        index = np.zeros(min(len(codes), 1), dtype=np.int64)
        return np.full_like(codes[index], ord(BARRIER)), index
    apart = np.flatnonzero(places[1:] - places[:-1] > 2 * NEAR_LETTERS + 1)
    first = letters.searchsorted(places[np.append(0, apart + 1)] - np.int32(NEAR_LETTERS))
    last = letters.searchsorted(places[np.append(apart, len(places) - 1)] + np.int32(NEAR_LETTERS), "right")
    counts = np.minimum(last + 1, len(codes)) - first
    index = ragged(first, counts)
    seen = codes.take(index)
    seen[(np.cumsum(counts) - 1)[last < len(codes)]] = ord(BARRIER)
    if first[0] > 0:
        return np.append(np.uint32(ord(BARRIER)), seen), np.append(0, index)
    return seen, index


def reaches(codes: NDArray[np.uint32]) -> bool:
    """Whether what stands beyond a piece of text is too far from what is before it to be read with that."""
    return int(np.count_nonzero(kinds_of(codes) >= Kind.LOWER)) > NEAR_LETTERS + 1
