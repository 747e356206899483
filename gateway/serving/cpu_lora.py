"""LoRA on the CPU, computed once for each adapter in the batch instead of once for each token.

vLLM 0.32's CPU path gathers A and B once for each token and slice, and applies the last adapter slot to tokens without
an adapter (it indexes with -1). Here tokens are grouped by adapter, usually one, and a fused module (q, k and v; gate
and up) is one pair of matrix products, none for tokens without an adapter:

    y += (x A) B,   A: [in, ranks], the slices' matrices side by side;   B: [ranks, out], theirs on the diagonal

Both hold only the ranks that the adapter uses, not vLLM's padding, and a module that it leaves alone costs nothing.
What remains is mostly the price of four calls into torch. They compute in float32, so that the result is rounded once,
and because on small matrices PyTorch's bfloat16 products are several times slower: each prepares a oneDNN primitive.
"""

# mypy: allow-subclassing-any
# (vLLM is left out of type checking, so its classes are Any)

from typing import Any, NamedTuple

import torch
from vllm.config import VllmConfig
from vllm.lora.layers.base_linear import BaseLinearLayerWithLoRA
from vllm.lora.punica_wrapper.punica_cpu import PunicaWrapperCPU
from vllm.platforms import current_platform

Groups = list[tuple[int, torch.Tensor | None]]
Stacked = tuple[torch.Tensor, ...]

CHUNK = 128  # tokens: what is computed in between stays in the cache; measured on a prefill of 1,000 tokens


class Product(NamedTuple):
    """What one adapter adds to one module: y[:, begin:end] += x `down` `up`."""

    down: torch.Tensor  # [in, ranks of all slices]
    up: torch.Tensor  # [ranks of all slices, end - begin]
    begin: int
    end: int

    def add(self, y: torch.Tensor, x: torch.Tensor, scale: float) -> None:
        """Add it, scaled, in place; y is [tokens, out], x [tokens, in]."""
        if len(x) <= CHUNK:
            part = y if self.up.shape[1] == y.shape[1] else y[:, self.begin : self.end]  # a view costs as well
            part.add_(x.float().mm(self.down).mm(self.up), alpha=scale)
            return
        for at in range(0, len(x), CHUNK):
            self.add(y[at : at + CHUNK], x[at : at + CHUNK], scale)


def install(config: VllmConfig) -> None:
    """Make vLLM use it in this process; to be called before the model is loaded.

    Only in eager mode: a compiled graph would freeze the groups of the batch it was traced with.
    """
    if current_platform.is_cpu() and config.lora_config is not None and config.model_config.enforce_eager:
        name = f"{GroupedLora.__module__}.{GroupedLora.__qualname__}"
        type(current_platform).get_punica_wrapper = classmethod(lambda _: name)
        BaseLinearLayerWithLoRA.reset_lora = reset_lora


_reset_lora = BaseLinearLayerWithLoRA.reset_lora


def reset_lora(layer: BaseLinearLayerWithLoRA, index: int) -> None:
    """vLLM's own, which begins every change of a slot's weights; what was made of the old ones is forgotten."""
    _reset_lora(layer, index)
    layer.punica_wrapper.forget(layer.lora_a_stacked, index)


def groups_of(slots: torch.Tensor) -> Groups:
    """Tokens by adapter slot; `slots` is [tokens], -1 for none. Rows are None where one adapter has all tokens."""
    used = set(slots.tolist())
    if len(used) == 1 and -1 not in used:
        return [(used.pop(), None)]
    return [(slot, (slots == slot).nonzero().flatten()) for slot in sorted(used - {-1})]


def product_of(
    slot: int, lora_a_stacked: Stacked, lora_b_stacked: Stacked, output_slices: tuple[int, ...]
) -> Product | None:
    """The product of the adapter in `slot`, None where it leaves the module alone; shapes as in `add_lora_linear`."""
    downs, ups, places = [], [], []
    offset = 0
    for a_stacked, b_stacked, size in zip(lora_a_stacked, lora_b_stacked, output_slices, strict=True):
        a, b = a_stacked[slot, 0].float(), b_stacked[slot, 0].float()
        used = (a.any(1) & b.any(0)).nonzero().flatten()
        if len(used):
            downs.append(a[used])
            ups.append(b[:, used])
            places.append(offset)
        offset += size
    if not downs:
        return None
    begin, end = places[0], places[-1] + len(ups[-1])
    ranks = sum(len(down) for down in downs)
    up = torch.zeros(ranks, end - begin)
    rank = 0
    for part, place in zip(ups, places, strict=True):
        up[rank : rank + part.shape[1], place - begin : place - begin + len(part)] = part.T
        rank += part.shape[1]
    return Product(torch.cat(downs).T.contiguous(), up, begin, end)


class GroupedLora(PunicaWrapperCPU):
    """vLLM's wrapper with another way to compute linear layers."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._groups: Groups = []
        self._tokens = 0
        # A module is known by its stacked matrices; they are kept beside the products, so that no id is used twice.
        self._products: dict[int, tuple[Stacked, dict[int, Product | None]]] = {}

    def update_metadata(self, *args: Any, **kwargs: Any) -> None:
        """Called once for each new batch layout."""
        super().update_metadata(*args, **kwargs)
        slots = self.token_lora_indices
        self._groups, self._tokens = groups_of(slots), len(slots)

    def forget(self, lora_a_stacked: Stacked, slot: int) -> None:
        """To be called when the weights in a module's slot change."""
        self._products.get(id(lora_a_stacked), (None, {}))[1].pop(slot, None)

    def add_lora_linear(
        self,
        y: torch.Tensor,
        x: torch.Tensor,
        lora_a_stacked: Stacked,
        lora_b_stacked: Stacked,
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
        if x.shape[0] != self._tokens:
            super().add_lora_linear(y, x, lora_a_stacked, lora_b_stacked, scale, output_slices, **kwargs)
            return
        for slot, rows in self._groups:
            product = self._product(slot, lora_a_stacked, lora_b_stacked, output_slices)
            if product is None:
                continue
            if rows is None:
                product.add(y, x, scale)
            else:
                chosen = y[rows]
                product.add(chosen, x[rows], scale)
                y.index_copy_(0, rows, chosen)

    def _product(
        self, slot: int, lora_a_stacked: Stacked, lora_b_stacked: Stacked, output_slices: tuple[int, ...]
    ) -> Product | None:
        known = self._products.get(id(lora_a_stacked))
        if known is None:
            known = self._products[id(lora_a_stacked)] = lora_a_stacked, {}
        if slot not in known[1]:
            known[1][slot] = product_of(slot, lora_a_stacked, lora_b_stacked, output_slices)
        return known[1][slot]
