"""A sample of the prompts that came lately, in this process's memory only: what a dry run is measured on."""

import random
from array import array
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.guards.tokens import TokenTable

KEPT_TOKENS = 2048  # 8 kB; of a longer prompt the end, where the question is
WINDOW = 100  # how many prompts, in sizes of the sample, the sample looks back
_READ_CHARS = 8 * KEPT_TOKENS  # tokens may be long


@dataclass(frozen=True, slots=True, repr=False)
class SampledPrompt:
    """A prompt, or the end of a long one, as token ids: cheaper to keep than text, and what the guard itself reads."""

    ids: "array[int]"
    whole: bool
    table: TokenTable

    def read(self) -> tuple[str, bool]:
        """Its text, with the guard's eyes, and whether that is all of it."""
        text = self.table.text(self.ids).text
        return text[-_READ_CHARS:], self.whole and len(text) <= _READ_CHARS


class PromptSample:
    """A reservoir of at most `size` prompts, never logged, gone with the process.

    The first `WINDOW * size` prompts are sampled uniformly (Vitter's algorithm R). From then on each one is kept with
    chance 1 / WINDOW in a random one's place, so the chance that a prompt is still here falls as exp(-age / window),
    age and window in prompts: traffic of long ago neither counts nor stays in memory.
    """

    def __init__(self, size: int, rng: random.Random | None = None) -> None:
        self._size = size
        self._window = WINDOW * size
        self._rng = rng or random.Random()
        self._came = 0  # counted up to the window
        self._kept: list[tuple[array[int], bool]] = []

    def offer(self, ids: Sequence[int]) -> None:
        """Take a prompt in, or not. Never raises."""
        if self._came < self._window:
            self._came += 1
        elif not self._size:
            return
        slot = len(self._kept) if len(self._kept) < self._size else int(self._rng.random() * self._came)
        if slot >= self._size:
            return
        try:
            prompt = (array("i", ids[-KEPT_TOKENS:]), len(ids) <= KEPT_TOKENS)
        except OverflowError:
            return  # ids that no vocabulary has: the engine will refuse them
        self._kept[slot : slot + 1] = [prompt]

    def prompts(self, table: TokenTable) -> list[SampledPrompt]:
        """What is kept at this moment, in random order, to be read with `table`."""
        kept = [SampledPrompt(ids, whole, table) for ids, whole in self._kept]
        self._rng.shuffle(kept)
        return kept
