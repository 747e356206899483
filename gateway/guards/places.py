"""Where in a long text an expression may match at all: arithmetic on all characters is quicker than trying at each."""

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from gateway.guards.letters import Numbers
from gateway.guards.normalise import codes_of

LONG_TEXT = 2048  # characters: in a shorter one trying is quicker

Codes = NDArray[np.uint32]
Beginnings = Callable[[Codes], Numbers]  # given the code points of a text, where matches may begin, sorted

_BASIC = 1 << 16


class Among:
    """Which code points are of a few characters of the basic plane; those of others are where `others` is set."""

    def __init__(self, characters: str, *, others: bool = False):
        self._table = np.zeros(_BASIC, dtype=np.bool_)
        self._table[list(map(ord, characters))] = True
        self._table[-1] = others  # no character

    def __call__(self, codes: Codes) -> NDArray[np.bool_]:
        among: NDArray[np.bool_] = self._table.take(codes, mode="clip")
        return among


# Digits of other planes are few: their other characters are taken for digits, too.
may_be_digit = Among("".join(char for char in map(chr, range(_BASIC)) if char.isdecimal()), others=True)


def matches(pattern: re.Pattern[str], text: str, beginnings: Beginnings) -> Iterator[re.Match[str]]:
    """As `pattern.finditer`, for a pattern that matches nothing empty."""
    return pattern.finditer(text) if len(text) < LONG_TEXT else _tried(pattern, text, beginnings(codes_of(text)))


def _tried(pattern: re.Pattern[str], text: str, beginnings: Numbers) -> Iterator[re.Match[str]]:
    starts = beginnings.tolist()
    at = 0
    while at < len(starts):
        if found := pattern.match(text, starts[at]):
            yield found
            at = bisect_left(starts, found.end(), at)
        else:
            at += 1


def occurrences(word: str, text: str) -> Iterator[int]:
    """Where a word stands in a text."""
    at = text.find(word)
    while at >= 0:
        yield at
        at = text.find(word, at + 1)


def places(flags: NDArray[np.bool_]) -> Numbers:
    """The indices of what is set."""
    return flags.nonzero()[0]


def runs(flags: NDArray[np.bool_], least: int) -> Numbers:
    """Starts and ends of the maximal stretches of so many flags, [runs, 2]."""
    padded = np.zeros(len(flags) + 2, dtype=np.bool_)
    padded[1:-1] = flags
    bounds = places(padded[1:] != padded[:-1]).reshape(-1, 2)
    return bounds[bounds[:, 1] - bounds[:, 0] >= least]


def run_starts(flags: NDArray[np.bool_], least: int) -> Numbers:
    """Where such stretches begin."""
    return runs(flags, least)[:, 0] if np.count_nonzero(flags) >= least else np.zeros(0, dtype=np.int64)


def chained(at: Numbers, least: int, apart: int) -> Numbers:
    """Those of some sorted places that so many follow in turn, with no more than `apart` from one to the next."""
    near = at[1:] - at[:-1] <= apart
    for _ in range(least - 1):
        near = near[:-1] & near[1:]
    return at[: len(near)][near]


def before(ends: Numbers, most: int, flags: NDArray[np.bool_]) -> Numbers:
    """Where flags are set among the `most` characters before each of some places."""
    seen = np.zeros(len(flags), dtype=np.bool_)
    for back in range(1, most + 1):
        seen[ends[ends >= back] - back] = True
    return places(seen & flags)
