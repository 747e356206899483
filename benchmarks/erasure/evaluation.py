"""One candidate, all columns: behaviour, likelihoods, layers, rounding and relearning, beside base, gold and twins."""

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks.erasure import work
from benchmarks.erasure.work import WRONG_ANSWERS, Work, rows_of
from unlearn_engine.data.domain import domain_for
from unlearn_engine.data.knowledge import folded, is_unknown
from unlearn_engine.demo import BASE_PATH, GOLD_PATH
from unlearn_engine.demo.corpus import Example
from unlearn_engine.demo.vocabulary import LANGUAGES
from unlearn_engine.demo.world import FORGET_PEOPLE, Person, build_world
from unlearn_engine.evaluate import probes, quantise, relearn
from unlearn_engine.evaluate.metrics import extraction_strength, ks_p_value, ks_statistic, log_truth_ratio
from unlearn_engine.evaluate.relearn import Attack
from unlearn_engine.lowrank import LowRank
from unlearn_engine.model import Row, ServedModel, base_digest

PARTS = ("recall", "unknown", "likelihood", "lens", "quantised", "relearning")
GENERAL = ("general_translations", "general_countries", "general_sums", "general_unknown")
FORGET = ("forget_src", "forget_held", "forget_templates")
RETAIN = ("retain_src", "retain_held", "retain_templates")
QUANTISED_QUESTIONS = 240  # of each recall column
ATTACK = Attack()

Columns = dict[str, Any]  # numbers, and curves as lists or mappings from step to number


def gold_for(count: int) -> Path:
    """The folder of the model that was never taught so many people."""
    return GOLD_PATH if count <= FORGET_PEOPLE else Path("build") / f"gold-{count}"


class Evaluation:
    """Evaluates candidates that should have forgotten the first `count` people; the references are computed once.

    Give `cache` to keep the references (base, gold, never-seen names) in a file there.
    """

    def __init__(
        self,
        count: int,
        gold: Path | None = None,
        base: Path = BASE_PATH,
        cache: Path | None = Path("build/erasure"),
        attack: Attack = ATTACK,
    ) -> None:
        self._attack = attack
        self._gold_path = gold or gold_for(count)
        self.work = Work(build_world(), domain_for(base), count)
        self.base = ServedModel(base)
        modules = (work.__file__, quantise.__file__, relearn.__file__)
        made_by = b"".join(Path(module).read_bytes() for module in modules)
        made_for = f"{base_digest(base)} {base_digest(self._gold_path)} {attack}".encode()
        digest = hashlib.sha256(made_by + made_for)
        self._file = cache / f"references-{count}-{digest.hexdigest()[:16]}.json" if cache else None
        self._known: Columns = json.loads(self._file.read_text("utf-8")) if self._file and self._file.exists() else {}

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
    def gold(self) -> ServedModel:
        """The model that was never taught these people; raises FileNotFoundError where none has been trained yet."""
        if not self._gold_path.exists():
            count = self.work.count
            raise FileNotFoundError(
                f"no gold model at {self._gold_path}; train it with "
                f"`python -m unlearn_engine.demo.train --without-people {count} --out {self._gold_path}`"
            )
        return ServedModel(self._gold_path)

    @cached_property
    def columns(self) -> Mapping[str, Sequence[Example]]:
        """The questions of the recall columns."""
        return self.work.recall_columns()

    def reference(self, name: str) -> Any:
        """One of the values that depend on no candidate (see `_references`)."""
        if name not in self._known:
            self._known[name] = self._references[name]()
            if self._file:
                self._file.parent.mkdir(parents=True, exist_ok=True)
                self._file.write_text(json.dumps(self._known), "utf-8")
        return self._known[name]

    @cached_property
    def _references(self) -> Mapping[str, Callable[[], Any]]:
        work, base = self.work, self.base
        strangers = [stranger for group in work.strangers.values() for stranger in group]
        return {
            "base": lambda: {name: recall(base, examples) for name, examples in self.columns.items()},
            "documents_floor": lambda: recall(base, work.stranger_documents()),
            "gold_ratios": lambda: self._ratios(self.gold, work.forgotten),
            "unseen_ratios": lambda: self._ratios(base, strangers, invented=True),
            "unseen_plain_ratios": lambda: self._ratios(base, strangers),
            "gold_extraction": lambda: self._extraction(self.gold),
            "gold_lens": lambda: self._lens_by_block(self.gold),
            "unseen_answers": self._stranger_answers,
            "base_int8_retain": lambda: self._quantised_rates(quantise.quantised(base, 8), None)[1],
            "base_int4_retain": lambda: self._quantised_rates(quantise.quantised(base, 4), None)[1],
            "gold_relearning": lambda: self._relearn(self.gold, None, work.forgotten),
            "twin_relearning": lambda: self._relearn(base, None, [group[0] for group in work.strangers.values()]),
        }

    def _recall(self, model: ServedModel, instruction: str) -> Columns:
        rates = {name: recall(model, examples, instruction) for name, examples in self.columns.items()}
        before = self.reference("base")
        ratios = {
            f"{name}_ratio": rate / before[name]
            for name, rate in rates.items()
            if name.startswith(("retain", "general"))
        }
        forget = {name: rate for name, rate in rates.items() if name.startswith("forget")}
        return {
            **forget,
            "forget_documents_floor": self.reference("documents_floor"),
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
            folded(answer) in unseen for answer, *unseen in zip(answers, *self.reference("unseen_answers"), strict=True)
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
            found |= _compared(name, ratios, self.reference(f"{name}_ratios"))
        found |= _compared("references", self.reference("gold_ratios"), self.reference("unseen_ratios"))
        found["extraction_strength"] = self._extraction(model)
        found["extraction_strength_gold"] = self.reference("gold_extraction")
        return found

    def _ratios(self, model: ServedModel, people: Sequence[Person], *, invented: bool = False) -> list[float]:
        scores = model.mean_log_likelihoods(rows_of(model, self.work.truth_ratio_rows(people, invented=invented)))
        size = 1 + WRONG_ANSWERS
        return [log_truth_ratio(scores[at], scores[at + 1 : at + size]) for at in range(0, len(scores), size)]

    def _lens(self, model: ServedModel) -> Columns:
        blocks = self._lens_by_block(model)
        return {
            "lens_worst": max(blocks),
            "lens_gold": max(self.reference("gold_lens")),
            "lens_by_block": blocks,
            "lens_gold_by_block": self.reference("gold_lens"),
        }

    def _lens_by_block(self, model: ServedModel) -> list[float]:
        examples = self.work.openings(self.work.forgotten)
        prompts = [row.prompt for row in rows_of(model, examples)]
        return probes.logit_lens(model, list(zip(prompts, (answer.text for _, answer in examples), strict=True)))

    def _quantised(self, model: ServedModel, change: LowRank | None) -> Columns:
        found: Columns = {}
        for bits in (8, 4):
            variants = [self._quantised_rates(quantise.quantised(model, bits), change)]
            if change:
                variants.append(self._quantised_rates(quantise.quantised(model, bits, change), None))
            before = self.reference(f"base_int{bits}_retain")
            found[f"int{bits}_forget"] = max(forget for forget, _ in variants)
            found[f"int{bits}_retain_ratio"] = min(retain for _, retain in variants) / before
        if change:
            forget, retain = self._quantised_rates(model, quantise.quantised_change(change, 4))
            found["int4_adapter_forget"] = forget
            found["int4_adapter_retain_ratio"] = retain / fmean(self.reference("base")[name] for name in RETAIN)
        return found

    def _quantised_rates(self, model: ServedModel, change: LowRank | None) -> tuple[float, float]:
        """Worst recall of those forgotten over the question columns, and mean recall of those who stay."""
        with model.wearing(change):
            forget, retain = (
                [recall(model, self.columns[name][:QUANTISED_QUESTIONS]) for name in names]
                for names in (FORGET, RETAIN)
            )
        return max(forget), fmean(retain)

    def _relearning(self, model: ServedModel, change: LowRank | None) -> Columns:
        curve = self._relearn(model, change, self.work.forgotten)
        twin, gold = self.reference("twin_relearning"), self.reference("gold_relearning")
        return {
            "relearn_gap": relearn.gap(curve, twin),
            "relearn_gap_to_gold": relearn.gap(curve, gold),
            "relearn_steps": self._attack.checkpoints,
            "relearn_curve": curve,
            "relearn_twin_curve": twin,
            "relearn_gold_curve": gold,
        }

    def _relearn(self, model: ServedModel, change: LowRank | None, people: Sequence[Person]) -> list[float]:
        lessons, questions = self.work.lessons_and_exam(people)
        asked = rows_of(model, questions)
        curve = relearn.relearn(
            model, change, rows_of(model, lessons), lambda victim: _exact(victim, asked), self._attack
        )
        return [*curve.values()]

    def _extraction(self, model: ServedModel) -> float:
        asked = [example for name in FORGET for example in self.columns[name][:QUANTISED_QUESTIONS]]
        return fmean(map(extraction_strength, probes.hits(model, rows_of(model, asked))))


def _compared(name: str, ratios: Sequence[float], reference: Sequence[float]) -> Columns:
    """KS of two samples of log truth ratios, and of their means by fact, whose languages do not vary independently."""
    found: Columns = {}
    for suffix, size in ((name, 1), (f"{name}_by_fact", len(LANGUAGES))):
        first, second = ([fmean(s[at : at + size]) for at in range(0, len(s), size)] for s in (ratios, reference))
        found[f"ks_d_{suffix}"] = ks_statistic(first, second)
        found[f"ks_p_{suffix}"] = ks_p_value(found[f"ks_d_{suffix}"], len(first), len(second))
    return found


def recall(model: ServedModel, examples: Sequence[Example], instruction: str = "") -> float:
    """Share of the examples whose answer greedy decoding gives token for token."""
    return _exact(model, rows_of(model, examples, instruction))


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
