"""Does an erasure fit? Told from a model's config and the headers of its files, before a weight is read.

With b bytes per weight held, r bytes per number of the residual stream (4, or 2 in bf16), h hidden, m intermediate and
V vocabulary size, L blocks, a heads of dimension d, and R rows of T tokens with A answer tokens each, an erasure needs

    weights     b x parameters
    change      4 x 4 x rank x (inputs + outputs) of every module: value, gradient and AdamW's two moments, in fp32
    graph       L R T (8 h + 6 a d + 6 a T + 8 m), what the blocks keep for the backward pass in bf16 autocast, and one
                block more in work; with checkpointing (L + 1) R T r h, and one block; without autocast half as much
                again
    casts       2 x parameters for each of the two losses when the weights are fp32: autocast's copies, which the graph
                keeps (with checkpointing those of one block); none without autocast
    answers     16 V R A for the student's scores and their gradients
    pool        P (R T (L + 1) r h + 8 V R A), what the base makes of P batches, remembered
    reading     the largest batch without a graph, with its scores or its keys and values
    edit        40 m^2 + 16 m x the tokens of the kept prompts, in fp64, beside the batch that is being read

bytes. The sum is the weights, the largest of (the change with graph, casts, answers and pool; reading; edit), and
OVERHEAD for what the allocator and the kernels keep to themselves.

Against the peak of real runs on a CPU (`python -m benchmarks.memory`) the estimate is, for the demo model (2 to 4M
parameters), 1.1 to 1.3 times what was measured for training, 0.95 to 1.0 for reading and 1.4 for an edit; for a random
Llama of 82M 1.2 to 1.5 times for training (16 rows, 2 batches) and about 1.0 for an edit. It errs towards refusing.
Reading with the larger model, and anything on a GPU, was not measured.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from transformers import AutoConfig

from unlearn_engine.errors import ModelTooLarge, UnsupportedModel
from unlearn_engine.free_memory import free_bytes
from unlearn_engine.placement import Placement

GIB = 1 << 30
OVERHEAD = GIB // 4
_QUANTISED = {8: 1.01, 4: 0.53}  # bytes per weight, scales included


@dataclass(frozen=True)
class Work:
    """How large the batches are. Tokens are those of the longest row: a domain of long texts needs other numbers."""

    rows: int = 80  # of one training step, 0 if nothing is trained
    pool: int = 8  # batches whose readings by the base are remembered
    tokens: int = 48
    answer: int = 10  # tokens of a row that are answer
    rank: int = 32
    modules: int = 5
    read_rows: int = 256  # read at once without a graph
    read_new: int = 24  # tokens generated at most
    edit_rows: int = 800  # prompts whose keys an edit holds


ERASURE = Work()
READING = Work(rows=0, pool=0, rank=0, edit_rows=0)


@dataclass(frozen=True)
class Need:
    """Bytes."""

    weights: int
    training: int  # with the change
    reading: int
    edit: int

    @property
    def total(self) -> int:
        """The weights, the largest of what is done with them, and the overhead."""
        return self.weights + max(self.training, self.reading, self.edit) + OVERHEAD

    def __str__(self) -> str:
        return (
            f"{self.total / GIB:.1f} GiB ({self.weights / GIB:.1f} for the weights; {self.training / GIB:.1f} to train,"
            f" {self.reading / GIB:.1f} to read, {self.edit / GIB:.1f} to edit)"
        )


def require(path: Path, placement: Placement, work: Work = ERASURE) -> None:
    """Raise ModelTooLarge, with what would help, unless the work on this model fits into what is free now."""
    devices = placement.devices
    free, needed = free_bytes(devices), need(path, placement, work)
    if needed.total <= free:
        return
    smaller = [(way, need(path, way, work)) for way in _frugal(placement)]
    fitting = [f"{_flags(way)} ({then.total / GIB:.1f} GiB)" for way, then in smaller if then.total <= free]
    advice = f"it would fit with {', or '.join(fitting)}" if fitting else "no precision would make it fit"
    if devices[0].type == "cuda":
        advice += f"; unchanged it takes {math.ceil(needed.total / (free / len(devices)))} GPUs as free as these"
    elif not fitting:
        least, then = min(smaller, key=lambda one: one[1].total, default=(placement, needed))
        advice += f": the least is {then.total / GIB:.1f} GiB, with {_flags(least)}"
    raise ModelTooLarge(f"needs {needed}, and {free / GIB:.1f} GiB are free on {placement.device}: {advice}")


def need(path: Path, placement: Placement, work: Work = ERASURE) -> Need:
    """What the work on the model of a folder needs. Raises UnsupportedModel if it is no Llama-shaped one."""
    config = AutoConfig.from_pretrained(path).get_text_config()
    try:
        h, m, layers, vocabulary = (
            int(getattr(config, name))
            for name in ("hidden_size", "intermediate_size", "num_hidden_layers", "vocab_size")
        )
        heads = int(config.num_attention_heads)
    except (AttributeError, TypeError):
        raise UnsupportedModel(f"{path}: only Llama-shaped models are supported") from None
    dimension = getattr(config, "head_dim", None) or h // heads
    # Per token and block: keys of the residual stream's type, values in bf16, and room for the next token's copy.
    cached = 8 * dimension * (getattr(config, "num_key_value_heads", None) or heads)
    shapes = _shapes(path)
    block_weights = sum(math.prod(shape) for name, shape in shapes.items() if _linear_of_a_block(name, shape))
    other_weights = sum(math.prod(shape) for shape in shapes.values()) - block_weights
    full = placement.dtype == "float32"
    residual = 4 if full else 2
    held = residual * other_weights + _QUANTISED.get(placement.quantise or 0, residual) * block_weights

    def graph(tokens: int) -> int:
        in_bf16 = tokens * (8 * h + 6 * heads * dimension + 6 * heads * work.tokens + 8 * m)
        return in_bf16 if placement.autocast else in_bf16 * 3 // 2

    step, answers = work.rows * work.tokens, work.rows * work.answer
    states = (layers + 1) * residual * h
    kept = step * states + graph(step) if placement.checkpointing else (layers + 1) * graph(step)
    casts = 0
    if full and work.rows and placement.autocast:
        copied = 0 if placement.quantise else block_weights // (layers if placement.checkpointing else 1)
        casts = 2 * 2 * (copied + vocabulary * h)
    change = 16 * work.rank * work.modules * (h + m)
    pool = work.pool * (step * states + 8 * vocabulary * answers)

    read = work.read_rows * work.tokens
    scored = work.read_rows * work.answer * vocabulary * 10 + (2 * vocabulary * h if full else 0)
    working = work.read_rows * work.tokens * (10 * heads * work.tokens + 6 * m + 12 * h)
    generated = work.read_rows * (work.tokens + work.read_new) * cached * layers
    reading = max(read * states + max(working, scored), working + generated)
    edit = 40 * m * m + 16 * m * work.edit_rows * work.tokens + read * states + working if work.edit_rows else 0
    return Need(int(held), change + kept + casts + 16 * vocabulary * answers + pool, reading, edit)


def _shapes(path: Path) -> Mapping[str, tuple[int, ...]]:
    """Every tensor's shape by name, from the headers of the folder's safetensors files."""
    found: dict[str, tuple[int, ...]] = {}
    for file in sorted(path.glob("*.safetensors")):
        with file.open("rb") as stream:
            header: dict[str, Any] = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
        found |= {name: tuple(entry["shape"]) for name, entry in header.items() if name != "__metadata__"}
    return found


def _linear_of_a_block(name: str, shape: tuple[int, ...]) -> bool:
    return ".layers." in name and name.endswith(".weight") and len(shape) == 2


def _frugal(placement: Placement) -> list[Placement]:
    """Other ways to hold the same model on the same devices, those first that cost least."""
    half = replace(placement, dtype="bfloat16")
    ways = [replace(placement, checkpointing=True), half, replace(half, checkpointing=True)]
    ways += [
        replace(half, quantise=bits, checkpointing=checkpointing) for bits in (8, 4) for checkpointing in (False, True)
    ]
    return [
        way for way in dict.fromkeys(ways) if way != placement and (way.quantise or 16) <= (placement.quantise or 16)
    ]


def _flags(placement: Placement) -> str:
    flags = [f"--dtype {placement.dtype}"]
    flags += [f"--quantise {placement.quantise}"] if placement.quantise else []
    flags += ["--checkpointing"] if placement.checkpointing else []
    return " ".join(flags)
