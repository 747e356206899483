"""Task vectors: learn the forget data by heart, then walk the other way.

arXiv 2212.04089, θ = θ₀ - α (θ_reinforced - θ₀). When the reinforcement was trained as a low-rank change, the result is
that change with a negative scale: exact, of the same rank, and undone by adding it back.
"""

from unlearn_engine.lowrank import Factors, LowRank, scaled


def negate(reinforcement: LowRank, strength: float = 1.0) -> dict[str, Factors]:
    """The change that leads away from the reinforcement; `strength` is α."""
    return scaled(reinforcement, -strength)
