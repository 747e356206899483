"""What a model makes of rows: hidden states, and how likely it finds the answers."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import cached_property

import torch
from torch import Tensor

from unlearn_engine.lowrank import LowRank, scaled
from unlearn_engine.model import Row, ServedModel


class Reading:
    """Hidden states of some rows, and the scores of their answer tokens."""

    def __init__(self, model: ServedModel, rows: Sequence[Row], states: Sequence[Tensor], first: int = 0) -> None:
        self._model, self.rows, self._states, self._first = model, tuple(rows), tuple(states), first

    @property
    def _device(self) -> torch.device:
        return self._states[-1].device

    def state(self, layer: int) -> Tensor:
        """Output of that many blocks (0 = embeddings), [rows, tokens, hidden] in fp32 or more; the last one normed."""
        state = self._states[layer - self._first]
        return state.to(torch.promote_types(state.dtype, torch.float32))

    @cached_property
    def places(self) -> tuple[Tensor, Tensor]:
        """Row and token indexes of the positions that predict the answers' tokens, [answer tokens] each."""
        whole = [row.prompt + row.answer for row in self.rows]
        row, token = places(whole, [len(row.answer) for row in self.rows], before=1)
        return row.to(self._device), token.to(self._device)

    @cached_property
    def tokens(self) -> Tensor:
        """The answers' tokens one after the other, [answer tokens]."""
        return torch.tensor([token for row in self.rows for token in row.answer], device=self._device)

    @cached_property
    def logits(self) -> Tensor:
        """Raw scores at the answers' positions, [answer tokens, vocabulary] in fp32."""
        return self._model.logits(self._states[-1][self.places])

    @cached_property
    def log_probs(self) -> Tensor:
        """Log-probabilities over the vocabulary, [answer tokens, vocabulary], in nats."""
        return self.logits.log_softmax(-1)

    @cached_property
    def said(self) -> Tensor:
        """Log-probability of each answer token, [answer tokens]."""
        return self.log_probs.gather(1, self.tokens[:, None])[:, 0]

    @cached_property
    def lengths(self) -> Tensor:
        """Number of answer tokens by row, [rows]."""
        return torch.tensor([len(row.answer) for row in self.rows], device=self._device)

    def sums(self, values: Tensor) -> Tensor:
        """Sum over each row's answer of a value per answer token, [rows]."""
        return values.new_zeros(len(self.rows)).index_add(0, self.places[0], values)

    def means(self, values: Tensor) -> Tensor:
        """Mean over each row's answer of a value per answer token, [rows]."""
        return self.sums(values) / self.lengths


class View:
    """A way to read rows: the model wearing one change, or (None) the untouched base, which needs no gradient.

    The outputs of the blocks below `first`, which no change touches, and all readings of the base are remembered for
    rows that come again.
    """

    def __init__(self, model: ServedModel, change: LowRank | None, first: int, below: dict[object, Tensor]) -> None:
        self.model, self._change, self._first, self._below = model, change, first, below
        self._readings: dict[object, Reading] = {}

    @property
    def parameters(self) -> list[Tensor]:
        """The factors of the change, module by module; none for the base."""
        return [factor for factors in (self._change or {}).values() for factor in factors]

    def __call__(self, rows: Sequence[Row], depth: int | None = None) -> Reading:
        """Read rows, up to the output of `depth` blocks (None: to the logits)."""
        key = (tuple(rows), depth)
        if key in self._readings:
            return self._readings[key]
        whole = [row.prompt + row.answer for row in rows]
        inputs = self._beneath(key[0], whole)
        with torch.no_grad() if self._change is None else nullcontext(), self.model.wearing(self._change):
            states = self.model.hidden(whole, depth=depth, first=self._first, inputs=inputs)
        reading = Reading(self.model, rows, states, self._first)
        if self._change is None:
            self._readings[key] = reading
        return reading

    def without(self, dropped: Callable[[str], bool], scale: float = 1.0) -> "View":
        """The view without the changes of the modules that are dropped; those that are left are scaled."""
        left = {name: factors for name, factors in (self._change or {}).items() if not dropped(name)}
        return View(self.model, scaled(left, scale), self._first, self._below)

    def _beneath(self, key: tuple[Row, ...], whole: Sequence[Sequence[int]]) -> Tensor | None:
        if not self._first:
            return None
        if key not in self._below:
            with torch.no_grad(), self.model.wearing(None):
                self._below[key] = self.model.hidden(whole, depth=self._first)[-1]
        return self._below[key]


def places(rows: Sequence[Sequence[int]], counts: Sequence[int], before: int = 0) -> tuple[Tensor, Tensor]:
    """Row and token indexes of the last `counts` positions of right-padded rows, or of so many positions `before`.

    They lie on the CPU, from where they may index tensors of any device.
    """
    found = [
        (index, len(row) - count + step - before)
        for index, (row, count) in enumerate(zip(rows, counts, strict=True))
        for step in range(count)
    ]
    row_indexes, token_indexes = zip(*found, strict=True)
    return torch.tensor(row_indexes), torch.tensor(token_indexes)
