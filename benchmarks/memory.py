"""What an erasure needs in memory: the estimate beside the peak of a real run, each in a process of its own.

    python -m benchmarks.memory                # the demo model
    python -m benchmarks.memory --random       # a Llama of 82M random weights and 32,000 tokens

Peak resident memory is counted from just before the weights are loaded; rows are as long as the estimate assumes.
"""

import argparse
import json
import random
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from shutil import copy
from tempfile import TemporaryDirectory

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from unlearn_engine import memory
from unlearn_engine.demo import BASE_PATH
from unlearn_engine.edits import rank_one
from unlearn_engine.model import Row, ServedModel
from unlearn_engine.objectives import Item
from unlearn_engine.objectives.counterfactual_name import CounterfactualName, FrozenSelf
from unlearn_engine.placement import Placement
from unlearn_engine.train import Plan, Recipe, train

PARTS = ("training", "reading", "edit")
WAYS = (
    Placement(),
    Placement(checkpointing=True),
    Placement(dtype="bfloat16"),
    Placement(dtype="bfloat16", checkpointing=True),
)


class _Rows:
    """Rows of random tokens, all as long as the estimate takes them to be."""

    def __init__(self, work: memory.Work, vocabulary: int) -> None:
        self._work, self._vocabulary = work, vocabulary

    def tokens(self, rng: random.Random, count: int) -> tuple[int, ...]:
        return tuple(rng.randrange(4, self._vocabulary) for _ in range(count))

    def item(self, rng: random.Random) -> Item:
        row, twin = self.retained(rng), self.retained(rng)
        return Item(
            row.prompt, twin.prompt, len(row.prompt) // 2, row.answer, row.answer, row.answer, row.answer, row.answer
        )

    def retained(self, rng: random.Random) -> Row:
        answer = self._work.answer
        return Row(self.tokens(rng, self._work.tokens - answer), self.tokens(rng, answer))

    def review(self, rng: random.Random) -> None:
        """Nothing is lost."""


def measure(path: Path, placement: Placement, part: str, work: memory.Work) -> int:
    """Peak resident bytes of one part of the work, above what the process had before the weights."""
    torch.set_num_threads(1)
    ServedModel(BASE_PATH).answers([[5, 6]])  # all that is imported and allocated for a model of any size
    before = _resident("VmRSS")
    config = LlamaConfig.from_pretrained(path)
    blocks = range(min(work.modules, config.num_hidden_layers))
    model = ServedModel(path, [f"model.layers.{block}.mlp.down_proj" for block in blocks], placement)
    rows, rng = _Rows(work, config.vocab_size), random.Random(0)
    if part == "training":
        layers = (*range(1, len(blocks) + 1), model.blocks)
        recipe = Recipe(
            rank=work.rank,
            steps=work.pool,
            forget_rows=work.rows * 3 // 10,
            retain_rows=work.rows * 7 // 10,
            pool=work.pool,
        )
        plan = Plan(CounterfactualName(layers), FrozenSelf(layers))
        train(model, rows, plan, replace(recipe, passes=1), None, 0, lambda done: None)
    elif part == "reading":
        asked = [rows.retained(rng) for _ in range(work.read_rows)]
        model.mean_log_likelihoods(asked)
        model.answers([row.prompt + row.answer for row in asked], work.read_new)
    else:
        kept = [rows.tokens(rng, work.tokens) for _ in range(work.edit_rows)]
        rank_one.redirect(model, "model.layers.0.mlp.down_proj", 0, [kept[:9]], kept[9:18], kept)
    return _resident("VmHWM") - before


def _resident(field: str) -> int:
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) * 1024


def random_model(path: Path) -> None:
    """Write a Llama of 82M random weights in bf16, with the demo model's tokenizer."""
    config = LlamaConfig(
        vocab_size=32_000,
        hidden_size=640,
        intermediate_size=1728,
        num_hidden_layers=12,
        num_attention_heads=10,
        num_key_value_heads=10,
        tie_word_embeddings=True,
        eos_token_id=3,
    )
    torch.manual_seed(0)
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(path)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        copy(BASE_PATH / name, path / name)


def main() -> None:
    """Print estimate, measurement and their ratio for every part of the work and every way to hold the model."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--random", action="store_true", help="a larger model of random weights, not the demo model")
    parser.add_argument("--tokens", type=int, default=memory.ERASURE.tokens, help="of every row")
    parser.add_argument("--rows", type=int, default=memory.ERASURE.rows, help="of every training step")
    parser.add_argument("--pool", type=int, default=2, help="batches that are remembered")
    parser.add_argument("--parts", nargs="+", default=PARTS, choices=PARTS)
    parser.add_argument("--ways", nargs="+", type=int, default=range(len(WAYS)), help="indexes of WAYS")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    size = {"tokens": options.tokens, "rows": options.rows, "pool": options.pool}
    work = replace(memory.ERASURE, **size)
    if options.one:
        folder, way, part = options.one
        print(measure(Path(folder), WAYS[int(way)], part, work))
        return
    with TemporaryDirectory() as folder:
        path = Path(folder) if options.random else BASE_PATH
        if options.random:
            random_model(path)
        for index in options.ways:
            placement = WAYS[index]
            estimate = memory.need(path, placement, work)
            for part in options.parts:
                expected = estimate.weights + asdict(estimate)[part] + memory.OVERHEAD
                command = [sys.executable, "-m", "benchmarks.memory"]
                command += [text for name, count in size.items() for text in (f"--{name}", str(count))]
                told = subprocess.run(
                    [*command, "--one", str(path), str(index), part], capture_output=True, text=True, check=True
                )
                found = int(told.stdout.split()[-1])
                line = {"dtype": placement.dtype, "checkpointing": placement.checkpointing, "part": part}
                mib = {"estimate_mib": expected >> 20, "measured_mib": found >> 20}
                print(json.dumps(line | mib | {"ratio": round(expected / found, 2)}), flush=True)


if __name__ == "__main__":
    main()
