"""Where to change a model: selectors, one short file each, from measures of its blocks to names of its modules."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from torch import Tensor, nn

from unlearn_engine.errors import UnsupportedModel
from unlearn_engine.lowrank import LowRankLinear
from unlearn_engine.model import Row, ServedModel

DOWN_PROJ = ("mlp.down_proj",)

Scores = Mapping[str, tuple[float, ...]]  # name of the measure -> value by block


@dataclass(frozen=True)
class Selection:
    """The chosen blocks (from 0) and modules (full names), and the scores by which they were chosen."""

    blocks: tuple[int, ...]
    modules: tuple[str, ...]
    scores: Scores


class Layers(Protocol):
    """What the study of a base model knows about its blocks (see `unlearn_engine.layers.LayerMap`)."""

    @property
    def cka(self) -> tuple[float, ...]: ...
    @property
    def lrds(self) -> tuple[float, ...]: ...
    @property
    def lens(self) -> tuple[float, ...]: ...
    @property
    def recognition(self) -> tuple[float, ...]: ...


class Told(NamedTuple):
    """A question with its true answer, and which of the question's tokens are the subject's name."""

    row: Row
    subject: range


@dataclass(frozen=True)
class Calibration:
    """What a selector may look at. Only SLUG needs the losses, and only causal tracing what is told.

    The losses are called with the model's own frozen weights requiring a gradient, so they must not be computed under
    `no_grad`: with a `View(model, {}, 0, {})` as the student, an objective is such a loss.
    """

    model: ServedModel
    layers: Layers
    told: Sequence[Told] = ()
    forget: Callable[[], Tensor] | None = field(default=None, repr=False)
    retain: Callable[[], Tensor] | None = field(default=None, repr=False)


class Selector(Protocol):
    """Chooses where a method may change the model."""

    def __call__(self, calibration: Calibration) -> Selection: ...


def linears_of(model: ServedModel, block: int) -> dict[str, nn.Linear]:
    """The linear layers of a block by full name, wrapped or not."""
    prefix = f"model.layers.{block}"
    return {
        f"{prefix}.{name.removesuffix('.frozen')}": module
        for name, module in model.submodule(prefix).named_modules()
        if isinstance(module, nn.Linear)
    }


def modules_in(model: ServedModel, blocks: Sequence[int], linears: Sequence[str], scores: Scores) -> Selection:
    """The selection of these linear layers (names within a block) in these blocks.

    Raises UnsupportedModel when the model has no such linear layer.
    """
    chosen = tuple(f"model.layers.{block}.{linear}" for block in sorted(set(blocks)) for linear in linears)
    for name in chosen:
        if not isinstance(model.submodule(name), nn.Linear | LowRankLinear):
            raise UnsupportedModel(f"{name} is not a linear layer of this model")
    return Selection(tuple(sorted(set(blocks))), chosen, scores)
