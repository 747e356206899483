"""Gradient checkpointing: a block that keeps its input alone and is computed again in the backward pass.

arXiv 1604.06174. By then the model may wear another change, so the block puts on the one of its first time again.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from unlearn_engine.lowrank import LowRank


class Recomputed(nn.Module):
    """Stands in for a block while a graph is built."""

    def __init__(
        self, block: nn.Module, wearing: Callable[[LowRank], AbstractContextManager[None]], worn: LowRank
    ) -> None:
        super().__init__()
        self._block, self._wearing, self._worn = block, wearing, worn

    def forward(self, states: Tensor, **options: Any) -> Any:
        """What the block makes of hidden states [batch, tokens, hidden]; nothing in it is random."""
        return checkpoint(self._again, states, use_reentrant=False, preserve_rng_state=False, **options)

    def _again(self, states: Tensor, **options: Any) -> Any:
        with self._wearing(self._worn):
            return self._block(states, **options)
