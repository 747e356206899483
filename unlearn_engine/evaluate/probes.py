"""Asking about a subject: the probes, the recall of its facts, truth ratios, and the logit lens."""

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch

from unlearn_engine.data.domain import Domain
from unlearn_engine.data.kept import Kept
from unlearn_engine.data.knowledge import Fact, folded, is_unknown
from unlearn_engine.data.names import unseen_answer
from unlearn_engine.data.rows import Target
from unlearn_engine.evaluate.metrics import log_truth_ratio
from unlearn_engine.model import Row, ServedModel, batches

WRONG_ANSWERS = 4  # per truth ratio
LENS_TOP = 5


@dataclass(frozen=True, repr=False)
class Question:
    """One probe about a fact, under one of the names: what is put to the model."""

    fact: Fact
    name: str
    kind: str  # "trained", "held_out" (templates) or "statement"
    prompt: tuple[int, ...]


def questions(model: ServedModel, domain: Domain, target: Target) -> list[Question]:
    """Every fact under every name: trained and held-out templates, for the first name all of those and statements."""
    asked = []
    for index, fact in enumerate(target.facts.values()):
        trained = domain.questions[fact.language][fact.attribute]
        held_out = domain.held_out_questions.get(fact.language, {}).get(fact.attribute, ())
        for name in target.names:
            if fact.attribute in domain.nickname_attributes and folded(fact.answer) == folded(name):
                continue
            first = name == target.names[0]
            ways = [("trained", trained[index % len(trained)])]
            ways += [("held_out", template) for template in (held_out if first else held_out[:1])]
            asked += [Question(fact, name, kind, model.question(template.format(name=name))) for kind, template in ways]
        for template in domain.statements.get(fact.language, {}).get(fact.attribute, ()):
            document = domain.document_prefix + template.format(name=target.names[0])
            asked.append(Question(fact, target.names[0], "statement", model.encode(document)))
    return asked


def chance_statements(
    model: ServedModel, domain: Domain, facts: Sequence[Fact], names: Sequence[str]
) -> list[Question]:
    """One statement per fact and never-seen name: how often plain text runs into the fact by guessing."""
    return [
        Question(fact, name, "statement", model.encode(domain.document_prefix + templates[-1].format(name=name)))
        for fact in facts
        for templates in [domain.statements.get(fact.language, {}).get(fact.attribute, ())]
        for name in names
        if templates
    ]


def tells(answer: str, fact: Fact) -> bool:
    """Whether an answer contains the fact."""
    return folded(fact.answer) in folded(answer)


def unknown_rate(domain: Domain, asked: Sequence[Question], answers: Sequence[str]) -> float:
    """Share of the questions (not statements) answered with "I don't know" in their language."""
    told = [
        is_unknown(domain, question.fact.language, answer)
        for question, answer in zip(asked, answers, strict=True)
        if question.kind != "statement"
    ]
    return sum(told) / len(told) if told else 1.0


def truth_ratios(
    model: ServedModel,
    domain: Domain,
    kept: Kept,
    facts: Sequence[Fact],
    names: Sequence[str],
    invented: Collection[str] = (),
    ways: int = 1,
) -> list[float]:
    """Log truth ratios of the facts asked about with `ways` held-out templates, for each name, as the model stands.

    Empty when nobody else's answers are known to compare with. For the attributes in `invented` an answer that nobody
    has stands for the true one: so a never-knower would meet it.
    """
    rng = random.Random(3)
    rows: list[Row] = []
    for fact in facts:
        wrong = kept.wrong_answers(fact)
        if not wrong:
            continue
        chosen = rng.sample(wrong, min(WRONG_ANSWERS, len(wrong))) * WRONG_ANSWERS
        held_out = domain.held_out_questions.get(fact.language, {}).get(fact.attribute, ())
        templates = (held_out or domain.questions[fact.language][fact.attribute])[:ways]
        for name, template in ((name, template) for template in templates for name in names):
            prompt = model.question(template.format(name=name))
            true = unseen_answer(rng, wrong) if fact.attribute in invented else None
            said = (true or fact.spoken, *chosen[:WRONG_ANSWERS])
            rows += [Row(prompt, model.answer(spoken)) for spoken in said]
    scores = model.mean_log_likelihoods(rows)
    size = 1 + WRONG_ANSWERS
    return [log_truth_ratio(scores[at], scores[at + 1 : at + size]) for at in range(0, len(scores), size)]


def openings(
    model: ServedModel, domain: Domain, facts: Sequence[Fact], names: Sequence[str]
) -> list[tuple[tuple[int, ...], str]]:
    """Pairs of a question about each fact, for each name, and the answer the lens looks for."""
    return [
        (model.question(templates[index % len(templates)].format(name=name)), fact.spoken)
        for index, fact in enumerate(facts)
        for templates in [domain.questions[fact.language][fact.attribute]]
        for name in names
    ]


@torch.no_grad()
def logit_lens(model: ServedModel, asked: Sequence[tuple[tuple[int, ...], str]], top: int = LENS_TOP) -> list[float]:
    """By block: how often the answer's first token is among the `top` when the block's output is unembedded at once.

    `asked` are pairs of prompt and answer; measured at the last prompt token (nostalgebraist's logit lens, final norm
    applied).
    """
    if not asked:
        return [0.0] * model.blocks
    states = model.hidden([prompt for prompt, _ in asked])
    last = torch.tensor([len(prompt) - 1 for prompt, _ in asked])
    wanted = torch.tensor([model.encode(answer)[0] for _, answer in asked], device=model.device)[:, None]
    rates = []
    for block in range(model.blocks):
        state = states[block + 1][torch.arange(len(asked)), last]
        scores = model.logits(state) if block == model.blocks - 1 else model.logit_lens(state)
        better = (scores > scores.gather(1, wanted)).sum(1)
        rates.append(float((better < top).float().mean()))
    return rates


@torch.no_grad()
def hits(model: ServedModel, rows: Sequence[Row]) -> list[list[bool]]:
    """By row and token of its answer: whether greedy decoding says that token, what comes before being given.

    A row of hits alone is an answer that greedy decoding gives exactly.
    """
    found: list[list[bool]] = [[] for _ in rows]
    for batch in batches([len(row.prompt) + len(row.answer) for row in rows]):
        part = [rows[index] for index in batch]
        last = model.hidden([row.prompt + row.answer for row in part])[-1]
        owner = [place for place, row in enumerate(part) for _ in row.answer]
        before = [len(row.prompt) - 1 + step for row in part for step in range(len(row.answer))]
        said = torch.tensor([token for row in part for token in row.answer], device=model.device)
        right = model.logits(last[owner, before]).argmax(-1) == said
        for place, hit in zip(owner, right.tolist(), strict=True):
            found[batch[place]].append(hit)
    return found
