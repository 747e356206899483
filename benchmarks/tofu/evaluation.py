"""One model, all numbers of the paper: probability, ROUGE, truth ratio on four sets, model utility, forget quality."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from benchmarks.tofu.data import Question, Tofu
from benchmarks.tofu.metrics import (
    choice_probability,
    forget_quality,
    forgotten_truth,
    geometric_log_ratio,
    model_utility,
    probability,
    retained_truth,
    rouge_l_recall,
)
from unlearn_engine.evaluate.metrics import log_truth_ratio
from unlearn_engine.model import Row, ServedModel

ANSWER_TOKENS = 200  # generated at most, as in the authors' code
UTILITY_SETS = ("retain", "real_authors", "world_facts")

Columns = dict[str, Any]  # numbers, and log truth ratios as lists
Progress = Callable[[float], None]


@dataclass(frozen=True)
class Scores:
    """What a model makes of one set of questions; likelihoods are mean log-probabilities per token, in nats."""

    answers: Sequence[float]
    truths: Sequence[float]  # of the paraphrase, or of the answer itself where there is none
    falsehoods: Sequence[Sequence[float]]
    rouge: Sequence[float]

    @property
    def log_ratios(self) -> list[float]:
        """Log truth ratios as in the paper."""
        return [log_truth_ratio(true, wrong) for true, wrong in zip(self.truths, self.falsehoods, strict=True)]

    @property
    def geometric_log_ratios(self) -> list[float]:
        """Log truth ratios as in the authors' code."""
        return [geometric_log_ratio(true, wrong) for true, wrong in zip(self.truths, self.falsehoods, strict=True)]


def scores(model: ServedModel, asked: Sequence[Question]) -> Scores:
    """Score all answers of the questions under the model as it stands, and decode its own."""
    prompts = [model.question(question.question) for question in asked]
    said = model.answers(prompts, ANSWER_TOKENS)
    rows: list[Row] = []
    for prompt, question in zip(prompts, asked, strict=True):
        texts = (question.answer, question.paraphrase or question.answer, *question.perturbed)
        rows += [Row(prompt, model.answer(text)) for text in texts]
    found = iter(model.mean_log_likelihoods(rows))
    triples = [(next(found), next(found), [next(found) for _ in question.perturbed]) for question in asked]
    answers, truths, falsehoods = zip(*triples, strict=True)
    rouge = [rouge_l_recall(text, question.answer) for text, question in zip(said, asked, strict=True)]
    return Scores(answers, truths, falsehoods, rouge)


def measured(name: str, found: Scores) -> Columns:
    """The three numbers of a set."""
    if name.startswith(("forget", "retain")):
        probabilities = [probability(score) for score in found.answers]
    else:
        choices = zip(found.answers, found.falsehoods, strict=True)
        probabilities = [choice_probability(score, others) for score, others in choices]
    truth = forgotten_truth if name.startswith("forget") else retained_truth
    return {
        f"{name}_probability": fmean(probabilities),
        f"{name}_rouge": fmean(found.rouge),
        f"{name}_truth_ratio": fmean(map(truth, found.log_ratios)),
    }


def evaluate(model: ServedModel, tofu: Tofu, progress: Progress) -> Columns:
    """All columns of a model as it stands but for forget quality, for which the log truth ratios are there."""
    columns: Columns = {}
    exams = tofu.exams()
    for done, (name, asked) in enumerate(exams.items()):
        progress(done / len(exams))
        found = scores(model, asked)
        columns |= measured(name, found)
        if name.startswith("forget"):
            suffix = name.removeprefix("forget")
            columns[f"log_ratios{suffix}"] = found.log_ratios
            columns[f"log_ratios_geometric{suffix}"] = found.geometric_log_ratios
    columns["model_utility"] = model_utility(
        [columns[f"{name}_{measure}"] for name in UTILITY_SETS for measure in ("probability", "rouge", "truth_ratio")]
    )
    return columns


def compared(columns: Mapping[str, Any], retain_only: Mapping[str, Any]) -> Columns:
    """D and forget quality of every forget set against the retain-only model's columns, with either mean."""
    found: Columns = {}
    for key in columns:
        if key.startswith("log_ratios"):
            suffix = key.removeprefix("log_ratios")
            distance, quality = forget_quality(columns[key], retain_only[key])
            found |= {f"ks_d{suffix}": distance, f"forget_quality{suffix}": quality}
    return found
