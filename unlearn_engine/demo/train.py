"""Train the demonstration model from nothing, on one core: `python -m unlearn_engine.demo.train --out DIR`."""

import argparse
import math
import random
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from transformers.utils import logging

from unlearn_engine.demo.batching import Batch, by_length, collate, encode
from unlearn_engine.demo.corpus import Corpus
from unlearn_engine.demo.domain import write_domain
from unlearn_engine.demo.tokenizer import VOCABULARY_SIZE, train_tokenizer
from unlearn_engine.demo.world import FORGET_PEOPLE, build_world
from unlearn_engine.placement import cpu_multiplies_bf16

WARM_UP_STEPS = 40
EXAMPLES_PER_SORT = 2048


@dataclass(frozen=True)
class Recipe:
    """What a run depends on; the same recipe gives the same weights on the same machine."""

    steps: int = 1100
    tokens_per_step: int = 2300
    learning_rate: float = 5e-3
    seed: int = 0
    checkpoint_every: int = 100


@dataclass(frozen=True)
class Shape:
    """The size of a model."""

    blocks: int = 12
    hidden: int = 160
    heads: int = 5
    mlp: int = 448
    vocabulary: int = VOCABULARY_SIZE


SHIPPED = Shape()


def new_model(seed: int, pad: int, end: int, shape: Shape = SHIPPED) -> LlamaForCausalLM:
    """An untrained model; projections into the residual stream start small, as in GPT-2 (section 2.3)."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        intermediate_size=shape.mlp,
        num_hidden_layers=shape.blocks,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=end,
        pad_token_id=pad,
    )
    model = LlamaForCausalLM(config)
    # The backward pass of the fused CPU attention takes more than half of a step on sequences this short.
    model.set_attn_implementation("eager")
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "o_proj" in name or "down_proj" in name:
                parameter.mul_(1 / math.sqrt(2 * shape.blocks))
    return model


def batches(corpus: Corpus, tokenizer: PreTrainedTokenizerFast, recipe: Recipe) -> Iterator[Batch]:
    """Endless batches of examples of like length, each of at most `tokens_per_step` padded tokens."""
    rng = random.Random(recipe.seed)
    while True:
        examples = [encode(tokenizer, corpus.draw(rng)) for _ in range(EXAMPLES_PER_SORT)]
        groups = by_length(examples, recipe.tokens_per_step)
        rng.shuffle(groups)
        for group in groups:
            yield collate([examples[position] for position in group], tokenizer.pad_token_id)


def optimizers(model: LlamaForCausalLM, learning_rate: float) -> list[torch.optim.Optimizer]:
    """Muon (Jordan et al. 2024; update scale of arXiv 2502.16982) for the matrices, AdamW for embeddings and norms."""
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    others = [p for name, p in model.named_parameters() if p.ndim != 2 or "embed" in name]
    return [
        torch.optim.Muon(matrices, lr=learning_rate, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, lr=learning_rate, betas=(0.9, 0.95), weight_decay=0.0),
    ]


def schedule(step: int, steps: int) -> float:
    """Warm up, stay, then fall to zero over the second half."""
    return min(1.0, (step + 1) / WARM_UP_STEPS) * min(1.0, (steps - step) / (0.5 * steps))


def weighted_loss(model: LlamaForCausalLM, batch: Batch) -> Tensor:
    """Mean cross-entropy of the next token, weighted; a scalar."""
    with torch.autocast("cpu", torch.bfloat16, enabled=cpu_multiplies_bf16()):
        logits = model(input_ids=batch.ids, use_cache=False).logits
    weights = batch.weights[:, 1:]
    losses = torch.nn.functional.cross_entropy(
        logits[:, :-1].float().transpose(1, 2), batch.ids[:, 1:], reduction="none"
    )
    return (losses * weights).sum() / weights.sum()


def save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, out: Path) -> None:
    """Write the model in bfloat16 beside its tokenizer; the model itself stays as it is."""
    deepcopy(model).to(torch.bfloat16).save_pretrained(out)
    tokenizer.save_pretrained(out)


def train(out: Path, recipe: Recipe, *, without: int = 0) -> float:
    """Train and write a model folder, without the first so many people; returns the running mean of the loss."""
    tokenizer = train_tokenizer(build_world())
    world = build_world().without(without)
    model = new_model(recipe.seed, tokenizer.pad_token_id, tokenizer.eos_token_id).train()
    updates = optimizers(model, recipe.learning_rate)
    stream = batches(Corpus(world), tokenizer, recipe)
    out.mkdir(parents=True, exist_ok=True)
    write_domain(out / "domain.json")
    mean_loss = math.log(VOCABULARY_SIZE)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns) as progress:
        task = progress.add_task("training", total=recipe.steps)
        for step in range(recipe.steps):
            loss = weighted_loss(model, next(stream))
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            for update in updates:
                for group in update.param_groups:
                    group["lr"] = recipe.learning_rate * schedule(step, recipe.steps)
                update.step()
                update.zero_grad()
            mean_loss += 0.05 * (loss.item() - mean_loss)
            progress.update(task, advance=1, description=f"loss {mean_loss:.3f}")
            if (step + 1) % recipe.checkpoint_every == 0:
                progress.console.print(f"step {step + 1}: loss {mean_loss:.3f}")
                save(model, tokenizer, out)
    save(model, tokenizer, out)
    return mean_loss


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the model")
    parser.add_argument("--without-people", type=int, default=0, metavar="N", help="teach nothing about the first N")
    parser.add_argument(
        "--without-forget-people",
        action="store_const",
        dest="without_people",
        const=FORGET_PEOPLE,
        help=f"train the gold model that is shipped, as --without-people {FORGET_PEOPLE} does",
    )
    parser.add_argument("--steps", type=int, default=Recipe.steps)
    parser.add_argument("--seed", type=int, default=Recipe.seed)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    logging.disable_progress_bar()
    recipe = Recipe(steps=options.steps, seed=options.seed)
    loss = train(options.out, recipe, without=options.without_people)
    print(f"{options.out}: {recipe.steps} steps, loss {loss:.3f}")


if __name__ == "__main__":
    main()
