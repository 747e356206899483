"""One candidate, all columns: behaviour, likelihoods, layers, rounding and relearning, beside base, gold and twins."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks.erasure.work import WRONG_ANSWERS, Work, rows_of
from unlearn_engine.data.domain import domain_for
from unlearn_engine.data.knowledge import folded, is_unknown
from unlearn_engine.demo import BASE_PATH, GOLD_PATH
from unlearn_engine.demo.corpus import Example
from unlearn_engine.demo.vocabulary import LANGUAGES
from unlearn_engine.demo.world import FORGET_PEOPLE, Person, build_world
from unlearn_engine.evaluate import probes
from unlearn_engine.evaluate.metrics import extraction_strength, ks_p_value, ks_statistic, log_truth_ratio
from unlearn_engine.evaluate.quantise import quantised, quantised_change
from unlearn_engine.evaluate.relearn import Attack, gap, relearn
from unlearn_engine.lowrank import LowRank
from unlearn_engine.model import Row, ServedModel, base_digest

PARTS = ("recall", "unknown", "likelihood", "lens", "quantised", "relearning")
GENERAL = ("general_translations", "general_countries", "general_sums", "general_unknown")
FORGET = ("forget_src", "forget_held", "forget_templates")
RETAIN = ("retain_src", "retain_held", "retain_templates")
QUANTISED_QUESTIONS = 240  # of each recall column

Columns = dict[str, Any]  # numbers, and curves as lists or mappings from step to number


def gold_for(count: int) -> Path:
    """The folder of the model that was never taught so many people."""
    return GOLD_PATH if count <= FORGET_PEOPLE else Path("build") / f"gold-{count}"


class Evaluation:
    """Evaluates candidates that should have forgotten the first `count` people; the references are computed once.

    Give `cache` to keep the references (base, gold, never-seen names) in files there.
    """

    def __init__(
        self, count: int, gold: Path | None = None, base: Path = BASE_PATH, cache: Path | None = Path("build/erasure")
    ) -> None:
        gold = gold or gold_for(count)
        self.work = Work(build_world(), domain_for(base), count)
        self.base, self.gold = ServedModel(base), ServedModel(gold)
        self._cache = (
            cache / f"references-{count}-{base_digest(base)[:8]}-{base_digest(gold)[:8]}.json" if cache else None
        )

    def __call__(
        self,
        model: ServedModel,
        change: LowRank | None = None,
        *,
        instruction: str = "",
        parts: Collection[str] = PARTS,
    ) -> Columns:
        """All columns of the chosen parts for a model wearing a change.

        An instruction in front of every question counts for what the model says, not for what its weights hold.
        """
        found: Columns = {}
        with model.wearing(change):
            if "recall" in parts:
                found |= self._recall(model, instruction)
            if "unknown" in parts:
                found |= self._unknown(model, instruction)
            if "likelihood" in parts:
                found |= self._likelihood(model)
            if "lens" in parts:
                found |= self._lens(model)
        if "quantised" in parts:
            found |= self._quantised(model, change)
        if "relearning" in parts:
            found |= self._relearning(model, change)
        return found

    @cached_property
    def columns(self) -> Mapping[str, Sequence[Example]]:
        """The questions of the recall columns."""
        return self.work.recall_columns()

    @cached_property
    def references(self) -> Columns:
        """What base, gold and never-seen names give: nothing of it depends on a candidate."""
        if self._cache and self._cache.exists():
            known: Columns = json.loads(self._cache.read_text("utf-8"))
            return known
        work, base, gold = self.work, self.base, self.gold
        strangers = [stranger for group in work.strangers.values() for stranger in group]
        gold_answers = probes.hits(gold, rows_of(gold, self._forget_questions()))
        found: Columns = {
            "base": {name: self._rate(base, examples) for name, examples in self.columns.items()},
            "documents_floor": self._rate(base, work.stranger_documents()),
            "gold_ratios": self._ratios(gold, work.forgotten),
            "unseen_ratios": self._ratios(base, strangers, invented=True),
            "unseen_plain_ratios": self._ratios(base, strangers),
            "gold_extraction": fmean(extraction_strength(hits) for hits in gold_answers),
            "gold_lens": self._lens_by_block(gold),
            "unseen_answers": self._stranger_answers(),
            "base_quantised": {str(bits): self._quantised_rates(quantised(base, bits), None)[1] for bits in (8, 4)},
            "gold_relearning": self._relearn(gold, None, work.forgotten),
            "twin_relearning": self._relearn(base, None, [group[0] for group in work.strangers.values()]),
        }
        found = json.loads(json.dumps(found))
        if self._cache:
            self._cache.parent.mkdir(parents=True, exist_ok=True)
            self._cache.write_text(json.dumps(found), "utf-8")
        return found

    def _recall(self, model: ServedModel, instruction: str) -> Columns:
        rates = {name: self._rate(model, examples, instruction) for name, examples in self.columns.items()}
        before = self.references["base"]
        ratios = {
            f"{name}_ratio": rate / before[name]
            for name, rate in rates.items()
            if name.startswith(("retain", "general"))
        }
        forget = {name: rate for name, rate in rates.items() if name.startswith("forget")}
        return {
            **forget,
            "forget_documents_floor": self.references["documents_floor"],
            **ratios,
            "general_ratio": min(ratios[f"{name}_ratio"] for name in GENERAL),
        }

    def _unknown(self, model: ServedModel, instruction: str) -> Columns:
        asked = self.work.questions(self.work.forgotten)
        answers = model.answers([model.question(f"{instruction} {text}".strip()) for _, text in asked])
        refused = [
            is_unknown(self.work.domain, language, answer) for (language, _), answer in zip(asked, answers, strict=True)
        ]
        alike = [
            folded(answer) in unseen
            for answer, *unseen in zip(answers, *self.references["unseen_answers"], strict=True)
        ]
        return {
            "unknown_like": fmean(one or other for one, other in zip(refused, alike, strict=True)),
            "unknown": fmean(refused),
        }

    def _stranger_answers(self) -> list[list[str]]:
        """For each set of never-seen names, what the base answers to the questions of the unknown column, folded."""
        sets = zip(*self.work.strangers.values(), strict=True)
        asked = [[text for _, text in self.work.questions(strangers)] for strangers in sets]
        return [
            [folded(answer) for answer in self.base.answers([self.base.question(text) for text in texts])]
            for texts in asked
        ]

    def _likelihood(self, model: ServedModel) -> Columns:
        ratios = self._ratios(model, self.work.forgotten)
        found: Columns = {"log_truth_ratio": fmean(ratios)}
        for name in ("gold", "unseen", "unseen_plain"):
            found |= _compared(name, ratios, self.references[f"{name}_ratios"])
        found |= _compared("references", self.references["gold_ratios"], self.references["unseen_ratios"])
        hits = probes.hits(model, rows_of(model, self._forget_questions()))
        found["extraction_strength"] = fmean(map(extraction_strength, hits))
        found["extraction_strength_gold"] = self.references["gold_extraction"]
        return found

    def _ratios(self, model: ServedModel, people: Sequence[Person], *, invented: bool = False) -> list[float]:
        scores = model.mean_log_likelihoods(rows_of(model, self.work.truth_ratio_rows(people, invented=invented)))
        size = 1 + WRONG_ANSWERS
        return [log_truth_ratio(scores[at], scores[at + 1 : at + size]) for at in range(0, len(scores), size)]

    def _lens(self, model: ServedModel) -> Columns:
        blocks = self._lens_by_block(model)
        return {
            "lens_worst": max(blocks),
            "lens_gold": max(self.references["gold_lens"]),
            "lens_by_block": blocks,
            "lens_gold_by_block": self.references["gold_lens"],
        }

    def _lens_by_block(self, model: ServedModel) -> list[float]:
        examples = self.work.openings(self.work.forgotten)
        prompts = [row.prompt for row in rows_of(model, examples)]
        return probes.logit_lens(model, list(zip(prompts, (answer.text for _, answer in examples), strict=True)))

    def _quantised(self, model: ServedModel, change: LowRank | None) -> Columns:
        found: Columns = {}
        for bits in (8, 4):
            variants = [self._quantised_rates(quantised(model, bits), change)]
            if change:
                variants.append(self._quantised_rates(quantised(model, bits, change), None))
            before = self.references["base_quantised"][str(bits)]
            found[f"int{bits}_forget"] = max(forget for forget, _ in variants)
            found[f"int{bits}_retain_ratio"] = min(retain for _, retain in variants) / before
        if change:
            forget, retain = self._quantised_rates(model, quantised_change(change, 4))
            found["int4_adapter_forget"] = forget
            found["int4_adapter_retain_ratio"] = retain / fmean(self.references["base"][name] for name in RETAIN)
        return found

    def _quantised_rates(self, model: ServedModel, change: LowRank | None) -> tuple[float, float]:
        """Worst recall of those forgotten over the question columns, and mean recall of those who stay."""
        with model.wearing(change):
            forget, retain = (
                [self._rate(model, self.columns[name][:QUANTISED_QUESTIONS]) for name in names]
                for names in (FORGET, RETAIN)
            )
        return max(forget), fmean(retain)

    def _relearning(self, model: ServedModel, change: LowRank | None) -> Columns:
        curve = self._relearn(model, change, self.work.forgotten)
        twin, gold = self.references["twin_relearning"], self.references["gold_relearning"]
        return {
            "relearn_gap": gap(curve, twin),
            "relearn_gap_to_gold": gap(curve, gold),
            "relearn_steps": Attack().checkpoints,
            "relearn_curve": curve,
            "relearn_twin_curve": twin,
            "relearn_gold_curve": gold,
        }

    def _relearn(self, model: ServedModel, change: LowRank | None, people: Sequence[Person]) -> list[float]:
        lessons, questions = self.work.lessons_and_exam(people)
        asked = rows_of(model, questions)
        return [*relearn(model, change, rows_of(model, lessons), lambda victim: _exact(victim, asked)).values()]

    def _forget_questions(self) -> Sequence[Example]:
        return [example for name in FORGET for example in self.columns[name][:QUANTISED_QUESTIONS]]

    @staticmethod
    def _rate(model: ServedModel, examples: Sequence[Example], instruction: str = "") -> float:
        return _exact(model, rows_of(model, examples, instruction))


def _compared(name: str, ratios: Sequence[float], reference: Sequence[float]) -> Columns:
    """KS of two samples of log truth ratios, and of their means by fact, whose languages do not vary independently."""
    found: Columns = {}
    for suffix, size in ((name, 1), (f"{name}_by_fact", len(LANGUAGES))):
        first, second = ([fmean(s[at : at + size]) for at in range(0, len(s), size)] for s in (ratios, reference))
        found[f"ks_d_{suffix}"] = ks_statistic(first, second)
        found[f"ks_p_{suffix}"] = ks_p_value(found[f"ks_d_{suffix}"], len(first), len(second))
    return found


def _exact(model: ServedModel, rows: Sequence[Row]) -> float:
    """Share of rows whose answer greedy decoding gives token for token."""
    return fmean(all(hits) for hits in probes.hits(model, rows)) if rows else 0.0


@lru_cache
def evaluation(count: int, gold: Path | None = None) -> Evaluation:
    """The evaluation for a number of people, loaded once."""
    return Evaluation(count, gold)


def evaluate_candidate(
    model: ServedModel,
    change: LowRank | None,
    count: int = 5,
    gold: Path | None = None,
    parts: Iterable[str] = PARTS,
    instruction: str = "",
) -> Columns:
    """All columns of one candidate; see `Evaluation`."""
    return evaluation(count, gold)(model, change, instruction=instruction, parts=tuple(parts))
