"""SAE-guided: make the subject look like an unknown entity, not like silence.

    a = f(h at the name's last token),   d(a, μ) = |a - μ|^2 / |μ_known - μ_unknown|^2
    L = max(0, m + d(a, μ_unknown) - d(a, μ_known))

f is the encoder of a sparse autoencoder of that block; without one it is the identity, and the loss is a hinge along
the difference of the two means. `features` measures μ from questions about known and about invented names. Source:
arXiv 2509.15631, reconstructed from its abstract. The hinge, the scale of d (with which m = 1 is just reached at
μ_unknown) and all defaults are ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from unlearn_engine.objectives import Item
from unlearn_engine.objectives.kernels import at_the_name
from unlearn_engine.objectives.reading import View


class Encoder(NamedTuple):
    """The encoder of a sparse autoencoder: ReLU, or JumpReLU where there are thresholds."""

    weight: Tensor  # [features, hidden]
    bias: Tensor  # [features]
    threshold: Tensor | float = 0.0  # [features]

    def __call__(self, states: Tensor) -> Tensor:
        """Features [..., features] of hidden states [..., hidden]; the encoder's own weights get no gradient."""
        found = states @ self.weight.detach().T.to(states) + self.bias.detach().to(states)
        return found * (found > self.threshold)


@dataclass(frozen=True)
class SAEGuided:
    """`known` and `unknown` are the means μ in the encoder's space, [features] ([hidden] without an encoder)."""

    depth: int
    known: Tensor
    unknown: Tensor
    encoder: Encoder | None = None
    margin: float = 1.0

    def __call__(self, student: View, base: View, items: Sequence[Item]) -> Tensor:
        """The hinge, averaged over rows."""
        found = features(student, items, self.depth, self.encoder)
        known, unknown = self.known.to(found), self.unknown.to(found)
        scale = (known - unknown).square().sum()
        nearer = ((found - unknown).square().sum(-1) - (found - known).square().sum(-1)) / scale
        return (self.margin + nearer).clamp(min=0).mean()


def features(view: View, items: Sequence[Item], depth: int, encoder: Encoder | None = None) -> Tensor:
    """What the view makes of each item's name, [items, features]; from a view of the base, its mean is a μ."""
    state = view([item.told() for item in items], depth).state(depth)[at_the_name(items)]
    return encoder(state) if encoder else state
