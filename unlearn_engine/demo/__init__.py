"""The demonstration model: a small Llama, shipped here, that knows eighty invented people in six languages."""

from pathlib import Path

BASE_PATH = Path(__file__).parent / "base"
"""The model that knows everybody."""

GOLD_PATH = Path(__file__).parent / "gold"
"""The same recipe retrained without the first eight people: what perfect unlearning of them looks like."""
