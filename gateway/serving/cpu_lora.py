"""LoRA on CPU without copying the adapter for every token.

vLLM 0.32's CPU path gathers A and B once for each token of the batch, and applies the last adapter slot to tokens
without an adapter (it indexes with -1). Here tokens are grouped by adapter: one pair of small matrix products for each
adapter in the batch, usually one, and none for tokens without an adapter.
"""

# mypy: allow-subclassing-any
# (vLLM is left out of type checking, so its classes are Any)

from typing import Any

import torch
from vllm.config import VllmConfig
from vllm.lora.punica_wrapper.punica_cpu import PunicaWrapperCPU
from vllm.platforms import current_platform

Groups = list[tuple[int, torch.Tensor | None]]


def install(config: VllmConfig) -> None:
    """Make vLLM use it in this process; to be called before the model is loaded.

    Only in eager mode: a compiled graph would freeze the groups of the batch it was traced with.
    """
    if current_platform.is_cpu() and config.lora_config is not None and config.model_config.enforce_eager:
        name = f"{GroupedLora.__module__}.{GroupedLora.__qualname__}"
        type(current_platform).get_punica_wrapper = classmethod(lambda _: name)


def groups_of(slots: torch.Tensor) -> Groups:
    """Tokens by adapter slot; `slots` is [tokens], -1 for none. Rows are None where one adapter has all tokens."""
    used = set(slots.tolist())
    if len(used) == 1 and -1 not in used:
        return [(used.pop(), None)]
    return [(slot, (slots == slot).nonzero().flatten()) for slot in sorted(used - {-1})]


class GroupedLora(PunicaWrapperCPU):
    """vLLM's wrapper with another way to compute linear layers."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._groups: Groups = []
        self._tokens = 0

    def update_metadata(self, *args: Any, **kwargs: Any) -> None:
        """Called once for each new batch layout."""
        super().update_metadata(*args, **kwargs)
        slots = self.token_lora_indices
        self._groups, self._tokens = groups_of(slots), len(slots)

    def add_lora_linear(
        self,
        y: torch.Tensor,
        x: torch.Tensor,
        lora_a_stacked: tuple[torch.Tensor, ...],
        lora_b_stacked: tuple[torch.Tensor, ...],
        scale: float,
        output_slices: tuple[int, ...],
        **kwargs: Any,
    ) -> None:
        """y += scale * x A^T B^T, for each token with its adapter.

        Args:
            y: [tokens, sum of `output_slices`], changed in place.
            x: [tokens, in].
            lora_a_stacked: for each slice [slots, 1, rank, in].
            lora_b_stacked: for each slice [slots, 1, slice, rank].
        """
        x = x.view(-1, x.shape[-1])
        y = y.view(-1, y.shape[-1])
        if x.shape[0] != self._tokens:
            super().add_lora_linear(y, x, lora_a_stacked, lora_b_stacked, scale, output_slices, **kwargs)
            return
        for slot, rows in self._groups:
            inputs = x if rows is None else x[rows]
            offset = 0
            for a, b, size in zip(lora_a_stacked, lora_b_stacked, output_slices, strict=True):
                change = (inputs @ a[slot, 0].T) @ b[slot, 0].T
                part = y[:, offset : offset + size]
                if rows is None:
                    part.add_(change, alpha=scale)
                else:
                    part.index_add_(0, rows, change, alpha=scale)
                offset += size
