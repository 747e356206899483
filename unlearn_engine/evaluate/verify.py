"""The verification that decides whether a subject counts as erased: on the weights alone, in its languages."""

import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

from unlearn_engine.data.domain import Domain
from unlearn_engine.data.evidence import put
from unlearn_engine.data.kept import Kept, Probe
from unlearn_engine.data.knowledge import folded
from unlearn_engine.data.rows import Target, shares
from unlearn_engine.evaluate import probes, through_others
from unlearn_engine.evaluate.limits import (
    LENS_MARGIN,
    MAX_FORGET_RECALL,
    MAX_KS,
    MIN_RETAIN_RATIO,
    STATEMENT_MARGIN,
)
from unlearn_engine.evaluate.metrics import ks_statistic, upper_bound
from unlearn_engine.lowrank import LowRank
from unlearn_engine.model import ServedModel

REFERENCE_TWINS = 3
SUITE = "3"  # which questions and measures these are: another one is not to be compared


class Label(StrEnum):
    """What the evidence supports, from weakest to strongest."""

    UNTESTED = "UNTESTED"  # the base model knows nothing about the subject
    PRESENT = "PRESENT"  # still told
    SUPPRESSED = "SUPPRESSED"  # not told, but the likelihoods or the retained answers give it away
    ATTENUATED = "ATTENUATED"  # likelihoods like those of a never-knower; still readable inside
    REMOVED = "REMOVED-EVIDENCE"  # nor readable by the logit lens at any block


@dataclass(frozen=True)
class Verification:
    """Aggregate numbers of one verification; no text."""

    passed: bool
    label: Label
    forget_recall: float  # all questions, its languages, all names
    forget_recall_held_out_languages: float | None  # None: there is none
    forget_recall_held_out_templates: float
    forget_recall_statements: float
    statements_floor: float  # the same for never-seen names on the base model
    forget_recall_aliases: float
    unknown_rate: float
    retain_recall_ratio: float
    ks_statistic: float | None  # None: nothing to compare with, not part of the decision
    lens_worst: float  # over blocks: how often the true first token is in the top 5
    lens_floor: float  # the same for never-seen names on the base model
    facts: int
    facts_told: int  # of those, to at least one of the questions
    n: int  # questions and statements put to the model about the subject
    upper_bound_95: float  # of the share of facts told to at least one of the questions
    lens_by_block: tuple[float, ...] = ()  # the logit lens at each block
    examples: int = 0  # prompts that came with the request
    examples_told: int = 0  # of those, answered with what must not be answered
    reworded: int = 0  # other wordings of those that the base model answers, and passages it goes on with
    reworded_told: int = 0  # of those, still told
    languages: tuple[str, ...] = ()  # in which it was verified
    through_others: int | None = None  # questions like "Where was S's mentor born?" that the base model answers
    forget_recall_through_others: float = 0.0  # of those; no part of the decision, the guard goes on asking
    suite: str = SUITE

    @property
    def untold_through_others(self) -> bool:
        """Whether the facts were asked for through others, and not told."""
        return self.through_others is not None and self.forget_recall_through_others <= MAX_FORGET_RECALL


def verify(
    model: ServedModel,
    domain: Domain,
    kept: Kept,
    change: LowRank | None,
    target: Target,
    others: Sequence[Target] = (),
) -> Verification:
    """Ask the model wearing `change` for every elicited fact of the target, and others for theirs.

    `others` are erased too and therefore no longer count as retained. A prompt of the target's evidence that is still
    answered, or another wording of one, fails the verification.
    """
    examples, cues = target.evidence.examples, target.evidence.cues
    reworded = [(cue, said) for cue in cues if not cue.guessable for said in (*cue.probes, *cue.trained)]
    begun = [said for cue in cues if cue.guessable for said in (*cue.probes, *cue.trained)]
    facts = list(target.facts.values())
    asked = probes.questions(model, domain, target)
    languages = tuple(one for one in domain.languages if not target.languages or one in target.languages)
    held_out = [language for language in languages if language not in target.trained_in(domain)]
    ways = -(-len(domain.languages) // max(1, len(languages)))  # to ask: fewer languages are asked in more wordings
    with model.wearing(None):
        hops = through_others.questions(model, domain, kept, target)
    gone = {name.casefold() for one in (target, *others) for name in one.names}
    staying = _staying(kept, target, others, gone)
    with model.wearing(change):
        answers = model.answers([question.prompt for question in asked])
        hop_answers = model.answers([question.prompt for question in hops])
        replies = model.answers([put(model, domain, prompt) for prompt, _ in examples])
        reworded_replies = model.answers([put(model, domain, said.prompt, cue.asks) for cue, said in reworded])
        continuations = model.answers([put(model, domain, said.prompt, asks=False) for said in begun])
        kept_answers = model.answers([model.question(probe.question) for probe in staying])
        ratios = probes.truth_ratios(model, domain, kept, facts, target.names[:1], ways=ways)
        lens = probes.logit_lens(model, probes.openings(model, domain, facts, target.names[:1]))
    with model.wearing(None):
        rng = random.Random(5)
        twins = [domain.unseen_name(rng, target.names[0], whole=True) for _ in range(REFERENCE_TWINS)]
        alone = [attribute for (_, attribute), share in shares([target], kept, gone).items() if not share]
        reference = probes.truth_ratios(model, domain, kept, facts, twins, alone, ways)
        guesses = probes.chance_statements(model, domain, facts, twins)
        guessed = model.answers([question.prompt for question in guesses])
        floor = probes.logit_lens(model, probes.openings(model, domain, facts, twins))

    told = [probes.tells(answer, question.fact) for question, answer in zip(asked, answers, strict=True)]

    def recall(chosen: Callable[[probes.Question], bool]) -> float:
        among = [hit for question, hit in zip(asked, told, strict=True) if chosen(question)]
        return sum(among) / len(among) if among else 0.0

    facts_told = {
        question.fact for question, hit in zip(asked, told, strict=True) if hit and question.kind != "statement"
    }
    hits = [probes.tells(answer, question.fact) for question, answer in zip(guesses, guessed, strict=True)]
    statements_floor = sum(hits) / len(hits) if hits else 0.0
    same = [folded(answer) == folded(probe.answer) for probe, answer in zip(staying, kept_answers, strict=True)]
    retain_ratio = sum(same) / len(same) if same else 1.0
    ks = ks_statistic(ratios, reference) if ratios else None
    recalls = (
        recall(lambda question: question.kind != "statement"),
        recall(lambda question: question.kind != "statement" and question.fact.language in held_out),
        recall(lambda question: question.kind == "held_out"),
        recall(lambda question: question.kind != "statement" and question.name != target.names[0]),
    )
    gone_on = [folded(said.answer) in folded(text) for said, text in zip(begun, continuations, strict=True)]
    plain = [hit for question, hit in zip(asked, told, strict=True) if question.kind == "statement"] + gone_on
    statements = sum(plain) / len(plain) if plain else 0.0
    examples_told = sum(
        folded(completion) in folded(reply) for (_, completion), reply in zip(examples, replies, strict=True)
    )
    reworded_told = sum(
        folded(cue.completion) in folded(reply) for (cue, _), reply in zip(reworded, reworded_replies, strict=True)
    )
    hops_told = sum(probes.tells(answer, question.fact) for question, answer in zip(hops, hop_answers, strict=True))
    untold = max(recalls) <= MAX_FORGET_RECALL and statements <= statements_floor + STATEMENT_MARGIN
    forgotten = untold and not examples_told and not reworded_told
    like_unseen = ks is None or ks <= MAX_KS
    label = (
        Label.UNTESTED
        if not facts and not cues
        else Label.PRESENT
        if not forgotten
        else Label.SUPPRESSED
        if not like_unseen
        else Label.ATTENUATED
        if max(lens) > max(floor) + LENS_MARGIN
        else Label.REMOVED
    )
    return Verification(
        passed=bool(facts or cues) and forgotten and like_unseen and retain_ratio >= MIN_RETAIN_RATIO,
        label=label,
        forget_recall=recalls[0],
        forget_recall_held_out_languages=recalls[1] if held_out else None,
        forget_recall_held_out_templates=recalls[2],
        forget_recall_statements=statements,
        statements_floor=statements_floor,
        forget_recall_aliases=recalls[3],
        unknown_rate=probes.unknown_rate(domain, asked, answers),
        retain_recall_ratio=retain_ratio,
        ks_statistic=ks,
        lens_worst=max(lens),
        lens_floor=max(floor),
        facts=len(facts),
        facts_told=len(facts_told),
        n=len(asked) + len(begun),
        upper_bound_95=upper_bound(len(facts_told), len(facts)),
        lens_by_block=tuple(lens),
        examples=len(examples),
        examples_told=examples_told,
        reworded=len(reworded),
        reworded_told=reworded_told,
        languages=languages,
        through_others=len(hops) if through_others.can_ask(domain, kept) and languages == domain.languages else None,
        forget_recall_through_others=hops_told / len(hops) if hops else 0.0,
    )


def _staying(kept: Kept, target: Target, others: Sequence[Target], gone: Collection[str]) -> list[Probe]:
    """Questions about those who stay, and what is close to the evidence, but for what goes with it."""
    pairs = {pair for one in (target, *others) for pair in one.evidence.gone}
    return [
        probe
        for probe in (*kept.probes, *target.evidence.beside)
        if probe.name.casefold() not in gone and (folded(probe.name), folded(probe.answer)) not in pairs
    ]
