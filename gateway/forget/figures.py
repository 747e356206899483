"""What a verification measured, with limits, floors and bounds, as reports and certificates tell it."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field

from unlearn_engine.evaluate.limits import (
    LENS_MARGIN,
    MAX_FORGET_RECALL,
    MAX_KS,
    MIN_RETAIN_RATIO,
    STATEMENT_MARGIN,
)

LABELS: Mapping[str, str] = {
    "UNTESTED": "The base model told nothing about the subject: there was nothing to erase, and nothing to measure.",
    "PRESENT": "The weights still tell facts about the subject.",
    "SUPPRESSED": "The weights tell no facts any more, but their likelihoods still differ from those of a model that "
    "never knew: the knowledge is hidden, not shown to be gone.",
    "ATTENUATED": "The weights tell no facts, and their likelihoods are like those of a model that never knew; inside, "
    "at some block, the facts can still be read more often than by chance.",
    "REMOVED-EVIDENCE": "The weights tell no facts, their likelihoods are like those of a model that never knew, and "
    "no block shows the facts more often than chance: no evidence of the knowledge was found.",
}

RECALLS: Mapping[str, str] = {
    "forget_recall": "questions about the subject answered with the fact: all its languages, wordings and names",
    "forget_recall_held_out_languages": "the same, in languages not trained on",
    "forget_recall_held_out_templates": "the same, in wordings not trained on",
    "forget_recall_aliases": "the same, under other names",
}


class Figure(BaseModel):
    """One measure of the weights alone, guards off. Shares are from 0 to 1; null: not measured, or there is none."""

    name: str
    meaning: str
    before: float | None = Field(default=None, description="the same on the base model; of facts_told 1, by selection")
    after: float | None
    upper_bound_95: float | None = Field(default=None, description="one-sided, exact (Clopper-Pearson)")
    floor: float | None = Field(default=None, description="what names that nobody has get, by chance")
    limit: float | None = Field(default=None, description="beyond it `after` fails; for lens_worst: weakens the label")
    n: int | None = Field(default=None, description="how many facts, prompts or questions")


def figures(verification: Mapping[str, Any]) -> list[Figure]:
    """The measures of one verification, as `unlearn_engine.evaluate.verify` recorded them."""
    get = verification.get
    examples = get("examples") or None
    facts, told, kept = get("facts"), get("facts_told"), get("retain_recall_ratio")
    statements_floor, lens_floor = _rounded(get("statements_floor")), _rounded(get("lens_floor"))
    return [
        Figure(
            name="facts_told",
            meaning="facts told to at least one question, of those that the base model told when it was asked",
            before=1.0 if facts else None,
            after=_rounded(told / facts) if facts and told is not None else None,
            upper_bound_95=_rounded(get("upper_bound_95")),
            n=facts,
        ),
        *(
            Figure(name=name, meaning=meaning, after=_rounded(get(name)), limit=MAX_FORGET_RECALL)
            for name, meaning in RECALLS.items()
        ),
        Figure(
            name="forget_recall_through_others",
            meaning='asked through somebody else ("Where was S\'s mentor born?"), of what the base model answered so; '
            "while anything is told, the guard asks the model whom such questions mean",
            before=1.0 if get("through_others") else None,
            after=_rounded(get("forget_recall_through_others")) if get("through_others") else None,
            n=get("through_others"),
        ),
        Figure(
            name="examples_told",
            meaning="of the prompts that came with the request, those still answered with what must not be",
            after=_rounded(get("examples_told", 0) / examples) if examples else None,
            limit=0.0,
            n=examples,
        ),
        Figure(
            name="evidence_reworded_told",
            meaning="of the evidence's prompts in other words and languages, and of its documents' sentences, those "
            "still told, of what the base model tells",
            before=1.0 if get("reworded") else None,
            after=_rounded(get("reworded_told", 0) / get("reworded")) if get("reworded") else None,
            limit=0.0,
            n=get("reworded") or None,
        ),
        Figure(
            name="forget_recall_statements",
            meaning="sentences about the subject continued with the fact, in plain text",
            after=_rounded(get("forget_recall_statements")),
            floor=statements_floor,
            limit=_sum(statements_floor, STATEMENT_MARGIN),
        ),
        Figure(
            name="ks_statistic",
            meaning="distance of the truth ratios from those of names that nobody has (Kolmogorov-Smirnov)",
            after=_rounded(get("ks_statistic")),
            limit=MAX_KS,
        ),
        Figure(
            name="lens_worst",
            meaning="how often the fact's first token is among the top 5 of the logit lens, at the worst block",
            after=_rounded(get("lens_worst")),
            floor=lens_floor,
            limit=_sum(lens_floor, LENS_MARGIN),
        ),
        Figure(
            name="retain_loss",
            meaning="answers about others that changed",
            after=None if kept is None else _rounded(1 - kept),
            limit=_rounded(1 - MIN_RETAIN_RATIO),
        ),
    ]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 6)


def _sum(floor: float | None, margin: float) -> float | None:
    return None if floor is None else _rounded(floor + margin)
