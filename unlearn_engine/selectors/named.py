"""Selections that need no measuring: modules by name, all blocks, and the depths that a benchmark compares."""

from dataclasses import dataclass
from typing import Literal

from unlearn_engine.selectors import DOWN_PROJ, Calibration, Selection, modules_in
from unlearn_engine.selectors.mute import agnostic_region


@dataclass(frozen=True)
class Explicit:
    """These modules, by full name."""

    modules: tuple[str, ...]

    def __call__(self, calibration: Calibration) -> Selection:
        """Raises UnsupportedModel when the model lacks one of them."""
        for name in self.modules:
            calibration.model.submodule(name)
        return Selection(tuple(sorted({int(name.split(".")[2]) for name in self.modules})), self.modules, {})


@dataclass(frozen=True)
class AllBlocks:
    """The same linear layers in every block."""

    linears: tuple[str, ...] = DOWN_PROJ

    def __call__(self, calibration: Calibration) -> Selection:
        """Select without measuring."""
        return modules_in(calibration.model, range(calibration.model.blocks), self.linears, {})


@dataclass(frozen=True)
class Depth:
    """As many blocks as Λ has (or `width`): the first ones, the last ones, or Λ itself."""

    place: Literal["shallow", "region", "deep"]
    width: int | None = None
    linears: tuple[str, ...] = DOWN_PROJ

    def __call__(self, calibration: Calibration) -> Selection:
        """Select at equal size, so that the place alone differs."""
        found, total = calibration.layers, calibration.model.blocks
        region = agnostic_region(found.cka, found.lrds)
        width = min(self.width or len(region), total)
        centred = max(0, min(total - width, (region[0] + region[-1] + 1 - width) // 2))
        first = {"shallow": 0, "region": centred, "deep": total - width}[self.place]
        scores = {"cka": found.cka, "lrds": found.lrds}
        return modules_in(calibration.model, range(first, first + width), self.linears, scores)
