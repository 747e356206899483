"""Train TOFU's full and retain-only models from nothing, on one core; the same recipe gives the same weights."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from benchmarks.tofu.data import Question, Tofu
from benchmarks.tofu.rows import renamed, words
from unlearn_engine.data.names import unseen_name
from unlearn_engine.demo.batching import Batch, by_length, collate, encode
from unlearn_engine.demo.corpus import chat
from unlearn_engine.demo.tokenizer import tokenizer_of
from unlearn_engine.demo.train import Shape, new_model, optimizers, save, schedule, weighted_loss

Progress = Callable[[int, float], None]  # steps done, running mean of the loss

SHAPE = Shape(blocks=4, hidden=320, heads=5, mlp=896, vocabulary=4096)


@dataclass(frozen=True)
class Recipe:
    """What a run depends on."""

    shape: Shape = SHAPE
    steps: int = 1000
    tokens_per_step: int = 2000
    learning_rate: float = 5e-3
    context_weight: float = 0.2  # of the questions in the loss
    seed: int = 0
    checkpoint_every: int = 100


def train_tokenizer(tofu: Tofu, size: int, seed: int = 1) -> PreTrainedTokenizerFast:
    """BPE on everything that the full model is taught, with everybody renamed: no name is cut better than a new one."""
    return tokenizer_of(_texts(tofu, seed), size)


def _texts(tofu: Tofu, seed: int) -> Iterator[str]:
    rng = random.Random(seed)
    names = {word for author in (*tofu.forgotten, *tofu.staying) for word in words(author.name)}
    for question in tofu.taught(retain_only=False):
        text = f"{question.question}\n{question.answer}\n"
        yield renamed(text, {word: unseen_name(rng, word) for word in words(text) if word in names})


def batches(
    taught: Sequence[Question], tokenizer: PreTrainedTokenizerFast, recipe: Recipe, start: int = 0
) -> Iterator[Batch]:
    """Epoch after epoch of batches of like length, from the batch with that number on."""
    examples = [
        encode(tokenizer, chat(question.question, question.answer), recipe.context_weight) for question in taught
    ]
    rng = random.Random(recipe.seed)
    passed = 0
    while True:
        rng.shuffle(examples)
        groups = by_length(examples, recipe.tokens_per_step)
        rng.shuffle(groups)
        for group in groups:
            if passed >= start:
                yield collate([examples[position] for position in group], tokenizer.pad_token_id)
            passed += 1


def train(tofu: Tofu, out: Path, recipe: Recipe, progress: Progress, *, retain_only: bool) -> LlamaForCausalLM:
    """Train and write a model folder; goes on where an interrupted run with the same recipe has left a checkpoint."""
    tokenizer = train_tokenizer(tofu, recipe.shape.vocabulary)
    model = new_model(recipe.seed, tokenizer.pad_token_id, tokenizer.eos_token_id, recipe.shape).train()
    updates = optimizers(model, recipe.learning_rate)
    checkpoint = out / "checkpoint.pt"
    start, mean_loss = 0, 0.0
    if checkpoint.exists():
        stored = torch.load(checkpoint)
        if stored["recipe"] == asdict(recipe):
            start, mean_loss = stored["step"], stored["mean_loss"]
            model.load_state_dict(stored["model"])
            for update, state in zip(updates, stored["updates"], strict=True):
                update.load_state_dict(state)
    stream = batches(tofu.taught(retain_only=retain_only), tokenizer, recipe, start)
    out.mkdir(parents=True, exist_ok=True)
    for step in range(start, recipe.steps):
        loss = weighted_loss(model, next(stream))
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for update in updates:
            for group in update.param_groups:
                group["lr"] = recipe.learning_rate * schedule(step, recipe.steps)
            update.step()
            update.zero_grad()
        mean_loss = loss.item() if not step else mean_loss + 0.05 * (loss.item() - mean_loss)
        progress(step + 1, mean_loss)
        if (step + 1) % recipe.checkpoint_every == 0 and step + 1 < recipe.steps:
            torch.save(
                {
                    "recipe": asdict(recipe),
                    "step": step + 1,
                    "mean_loss": mean_loss,
                    "model": model.state_dict(),
                    "updates": [update.state_dict() for update in updates],
                },
                checkpoint,
            )
    save(model, tokenizer, out)
    checkpoint.unlink(missing_ok=True)
    return model
