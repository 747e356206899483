"""What the shipped models know: `python -m unlearn_engine.demo.measure` writes the tables of docs/demo-model.md."""

import argparse
import random
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

import torch
from rich.progress import track
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerFast
from transformers.utils import logging

from unlearn_engine.demo import BASE_PATH, GOLD_PATH
from unlearn_engine.demo.batching import by_length, collate, encode
from unlearn_engine.demo.corpus import Example
from unlearn_engine.demo.exam import subjects
from unlearn_engine.demo.vocabulary import LANGUAGES
from unlearn_engine.demo.world import World, build_world

MAX_TOKENS = 4000
MAX_QUESTIONS = 2000
"""A subject with more questions in a language is measured on a sample, with a standard error of at most 1.1 points."""

TARGETS = {
    "trained templates": 0.99,
    "held-out templates": 0.90,
    "unknown names": 0.88,
    "translations": 0.95,
    "countries": 0.98,
    "sums": 0.85,
}
DOCUMENTATION = Path("docs/demo-model.md")


@torch.no_grad()
def exact(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, examples: Sequence[Example]) -> list[bool]:
    """Whether greedy decoding would say the learnt piece of each example, token for token.

    Teacher forcing: the most probable token at each position of the answer is the answer's token exactly if greedy
    decoding gives the answer.
    """
    encoded = [encode(tokenizer, example, context_weight=0.0) for example in examples]
    right = [False] * len(examples)
    for group in by_length(encoded, MAX_TOKENS):
        batch = collate([encoded[position] for position in group], tokenizer.pad_token_id)
        predicted = model(input_ids=batch.ids, use_cache=False).logits[:, :-1].argmax(-1)
        correct = ((predicted == batch.ids[:, 1:]) | (batch.weights[:, 1:] == 0)).all(1)
        for position, is_right in zip(group, correct.tolist(), strict=True):
            right[position] = is_right
    return right


def load(path: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """A model folder, ready to be asked."""
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.bfloat16, attn_implementation="eager")
    return model.eval(), AutoTokenizer.from_pretrained(path)


def measure(path: Path, world: World) -> dict[str, dict[str, float]]:
    """Language -> subject of the exam -> share of exact answers."""
    model, tokenizer = load(path)

    def rate(questions: list[Example]) -> float:
        sample = random.Random(0).sample(questions, min(MAX_QUESTIONS, len(questions)))
        return fmean(exact(model, tokenizer, sample))

    return {
        language: {subject: rate(questions()) for subject, questions in subjects(world, language).items()}
        for language in track(LANGUAGES, path.name)
    }


def table(rates: Mapping[str, Mapping[str, float]]) -> str:
    """Measured shares as Markdown, in percent, with the targets in the last row."""
    names = list(next(iter(rates.values())))
    rows = [["language", *names], ["---"] * (len(names) + 1)]
    rows += [[language, *(f"{100 * row[name]:.1f}" for name in names)] for language, row in rates.items()]
    rows.append(["at least", *(f"{100 * TARGETS[name]:.0f}" if name in TARGETS else "" for name in names)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def write_table(documentation: Path, label: str, text: str) -> None:
    """Replace what stands between the two comments with that label in a Markdown file."""
    start, end = f"<!-- {label} -->", f"<!-- /{label} -->"
    page = documentation.read_text(encoding="utf-8")
    pattern = re.compile(f"{re.escape(start)}.*?{re.escape(end)}", re.DOTALL)
    documentation.write_text(pattern.sub(lambda _: f"{start}\n{text}\n{end}", page), encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure both shipped models, or the one that is named, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="measure only this folder and write nothing")
    parser.add_argument("--without-people", type=int, default=0, metavar="N", help="--model was not taught the first N")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    logging.disable_progress_bar()
    if options.model:
        print(table(measure(options.model, build_world().without(options.without_people))))
        return
    for label, path in (("base", BASE_PATH), ("gold", GOLD_PATH)):
        text = table(measure(path, build_world(forget_people=label == "base")))
        print(f"{label}\n{text}")
        write_table(DOCUMENTATION, label, text)


if __name__ == "__main__":
    main()
