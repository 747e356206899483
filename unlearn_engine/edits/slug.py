"""SLUG's step: one gradient of the loss, on the modules of one block, followed exactly once.

arXiv 2407.11867. The gradient of a linear layer's weight is a sum over tokens, G = Σ_t (∂L/∂y_t) x_tᵀ, so the step -G
is low-rank as it stands: A holds the inputs, B the negative output gradients of the tokens that have any. Nothing is
lost until the rank exceeds what the server has. How far to go, W - λ G, is found afterwards by a binary search over λ,
which is the adapter's scale. Deviation: the published search alternates between two goals; here λ is the smallest that
forgets, because what it costs elsewhere grows with it.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from unlearn_engine.lowrank import Factors, recompress

EVALUATIONS = 10


def step(modules: Mapping[str, nn.Module], loss: Callable[[], Tensor]) -> dict[str, Factors]:
    """-∂loss/∂W of linear modules (by full name) as a lossless change of least rank.

    `loss` runs the model with gradients enabled; passes without gradients (of a reference) are not counted. The modules
    may be frozen. Raises RuntimeError when the loss does not depend on a module.
    """
    seen: dict[str, list[tuple[Tensor, Tensor]]] = {name: [] for name in modules}

    def watch(name: str) -> Callable[[nn.Module, tuple[Any, ...], Tensor], Tensor | None]:
        def hook(_: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Tensor | None:
            if not torch.is_grad_enabled():
                return None
            probe = torch.zeros_like(output, requires_grad=True)
            seen[name].append((inputs[0].detach(), probe))
            return output + probe

        return hook

    handles = [module.register_forward_hook(watch(name)) for name, module in modules.items()]
    try:
        value = loss()
    finally:
        for handle in handles:
            handle.remove()
    probes = [probe for calls in seen.values() for _, probe in calls]
    gradients = iter(torch.autograd.grad(value, probes))
    return {name: _descent([(inputs, next(gradients)) for inputs, _ in calls]) for name, calls in seen.items()}


def smallest_scale(forgets: Callable[[float], bool], start: float, evaluations: int = EVALUATIONS) -> float | None:
    """The smallest λ with which `forgets`, to the precision that so many evaluations afford; None if none was found.

    From `start` (say, where ‖λ G‖ is a hundredth of ‖W‖) by factors of two to a bracket, then by halving it; `forgets`
    is to stay true beyond where it begins.
    """
    low, high, scale = 0.0, None, start
    for _ in range(evaluations):
        if forgets(scale):
            high = scale
        else:
            low = scale
        scale = 2 * low if high is None else (low + high) / 2
    return high


def _descent(calls: list[tuple[Tensor, Tensor]]) -> Factors:
    inputs = torch.cat([tokens.flatten(0, -2) for tokens, _ in calls])
    gradients = torch.cat([gradient.flatten(0, -2) for _, gradient in calls])
    told = gradients.any(dim=1)
    dtype = torch.promote_types(gradients.dtype, torch.float32)
    whole = Factors(inputs[told].to(dtype), -gradients[told].T.to(dtype))
    return recompress({"": whole})[0][""] if told.any() else whole
