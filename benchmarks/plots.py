"""How the plots of the documentation begin."""

from typing import Any


def empty_axes(x: str, y: str) -> tuple[Any, Any]:
    """An empty figure; matplotlib is imported here because only plots need it."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), dpi=120, layout="tight")
    axes = figure.subplots()
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(alpha=0.3)
    return figure, axes
