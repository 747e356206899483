"""Training rows: counterfactual pairs about the subjects, and rows about everything that stays."""

import math
import random
import unicodedata
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from unlearn_engine.data.domain import Domain
from unlearn_engine.data.evidence import NO_EVIDENCE, Cue, Evidence, put, swapped
from unlearn_engine.data.kept import Kept
from unlearn_engine.data.knowledge import Fact, Knowledge, bare, by_question, folded
from unlearn_engine.data.names import unseen_answer
from unlearn_engine.data.parallel import parallel_pair
from unlearn_engine.model import Row, ServedModel
from unlearn_engine.objectives import Item
from unlearn_engine.subject import Subject

REHEARSAL_SHARE = 0.5  # of the forget rows, when earlier subjects have to stay forgotten
EVIDENCE_SHARE = 0.08  # of the rows about somebody of whom evidence came that the model tells
SIBLING_SHARE = 0.45  # of the rows of what stays, where something stays that is much like the evidence
FULL_NAME_SHARE = 0.6  # of the rows about somebody who has aliases too
DOCUMENT_SHARE = 0.3
TRUE_SHARE, WRONG_SHARE = 0.6, 0.25  # of the questions; the rest are answered "I don't know"
UNSHARED_TRUE_SHARE = 0.88  # where the true one is the subject's alone, and has to become less likely as such
NAMESAKE_WEIGHT = 4.0  # of people who share a word of their name with a subject, against 1 for the others
SUFFERING_WEIGHT = 20.0  # per nat of mean loss on what is known about a person
REVIEW_ROWS = 2  # per retained person and review
RETAIN_MIX = {"facts": 0.58, "unknown": 0.11, "documents": 0.08, "general": 0.16, "texts": 0.07, "parallel": 0.05}


@dataclass(frozen=True, repr=False)
class Target:
    """A subject with everything it is known by and for."""

    names: tuple[str, ...]
    facts: Mapping[tuple[str, str], Fact]
    languages: tuple[str, ...] = ()  # in which it is to be forgotten; none: all
    evidence: Evidence = NO_EVIDENCE

    @classmethod
    def of(cls, subject: Subject, knowledge: Knowledge, evidence: Evidence = NO_EVIDENCE) -> "Target":
        """The subject's names with the elicited aliases added, and what is known in the languages it is about."""
        names = tuple(dict.fromkeys((*subject.names, *knowledge.aliases)))
        return cls(names, by_question(knowledge.told_in(subject.languages)), subject.languages, evidence)

    def trained_in(self, domain: Domain) -> tuple[str, ...]:
        """Its languages among those in which the domain is trained, from which the others follow; else its own."""
        own = tuple(language for language in domain.languages if language in self.languages)
        return (
            tuple(language for language in domain.source_languages if language in own) or own or domain.source_languages
        )


class RowSource:
    """Draws rows for one training run; everything random comes from the generator passed in.

    What is to be forgotten is about one of `new`, or with REHEARSAL_SHARE about one of `earlier`, forgotten before.
    """

    def __init__(
        self,
        model: ServedModel,
        domain: Domain,
        kept: Kept,
        new: Sequence[Target],
        earlier: Sequence[Target] = (),
    ) -> None:
        self._model, self._domain, self._kept, self._new, self._earlier = model, domain, kept, new, earlier
        erased = {name.casefold() for target in (*new, *earlier) for name in target.names}
        words = {word for name in erased for word in name.split()}
        given = [target.evidence for target in (*new, *earlier)]
        self._facts = kept.without({pair for evidence in given for pair in evidence.gone})
        self._siblings = [exchange for evidence in given for exchange in evidence.siblings]
        named = {name for evidence in given for name in evidence.named}
        self._names = [name for name in domain.retain_names if name.casefold() not in erased and self._facts.get(name)]
        self._weights = [
            NAMESAKE_WEIGHT if words & set(name.casefold().split()) or name in named else 1.0 for name in self._names
        ]
        self._attributes = domain.attributes
        self._mix = {kind: share for kind, share in RETAIN_MIX.items() if kind != "parallel" or domain.parallel_texts}
        self._shared = shares((*new, *earlier), kept, erased)

    def item(self, rng: random.Random) -> Item:
        """One question or opening of a sentence about a subject, next to its never-seen twin, with its answers."""
        rehearse = self._earlier and rng.random() < REHEARSAL_SHARE
        target = rng.choice(self._earlier if rehearse else self._new)
        cues = [cue for cue in target.evidence.cues if cue.trained]
        if cues and rng.random() < EVIDENCE_SHARE:
            return self._told_by_evidence(rng, target, rng.choice(cues))
        full = len(target.names) == 1 or rng.random() < FULL_NAME_SHARE
        name = target.names[0] if full else rng.choice(target.names[1:])
        twin = self._domain.unseen_name(rng, name, whole=True)
        language, attribute = rng.choice(target.trained_in(self._domain)), rng.choice(self._attributes)
        fact = target.facts.get((language, attribute))
        others = self._kept.wrong_answers(fact or Fact(language, attribute, "", ""))
        statements = self._statements(language, attribute)
        asks = not (fact and others and statements and rng.random() < DOCUMENT_SHARE)
        template = rng.choice(self._domain.questions[language][attribute] if asks else statements)
        prompts = [self.prompt(template.format(name=who), asks) for who in (name, twin)]

        def answer(text: str) -> tuple[int, ...]:
            return self._model.answer(text) if asks else self._model.encode(continuation(template, bare(text)))

        refusal = rng.choice(self._domain.unknown_answers[language])
        true = fact.spoken if fact else refusal
        wrong = rng.choice(others) if others else refusal
        shared = self._shared.get((target.names, attribute), 1.0) if fact else 1.0
        unseen = None if shared else unseen_answer(rng, others)
        draw = rng.random()
        true_share = TRUE_SHARE if unseen is None else UNSHARED_TRUE_SHARE
        drawn = true if draw < true_share else wrong if draw < true_share + WRONG_SHARE or not asks else refusal
        return Item(
            prompt=prompts[0],
            twin=prompts[1],
            shared=shared_suffix(*prompts),
            true=answer(true),
            wrong=answer(wrong),
            refusal=answer(refusal if asks else wrong),
            unseen=answer(unseen or true),
            drawn=answer(drawn),
            rarer=math.log(shared) if shared else 0.0,
            asks=asks,
        )

    def _told_by_evidence(self, rng: random.Random, target: Target, cue: Cue) -> Item:
        """One prompt that the base model answers with what the client wants forgotten, next to its counterpart.

        Where nothing in it can be replaced, the counterpart is a question about a name nobody has.
        """
        said = rng.choice(cue.trained)
        unseen = self._domain.unseen_name(rng, cue.replaced, whole=True) if cue.replaced else ""
        twin = swapped(said.prompt, cue.replaced, unseen) if unseen else self._question_about_nobody(rng, cue.language)
        prompts = [put(self._model, self._domain, prompt, cue.asks) for prompt in (said.prompt, twin)]

        def answer(text: str) -> tuple[int, ...]:
            return self._model.answer(text) if cue.asks else self._model.encode(continuation(said.prompt, bare(text)))

        refusal = rng.choice(self._domain.unknown_answers[cue.language]) if cue.asks else said.answer
        wrong = rng.choice(cue.guesses) if cue.guesses else refusal
        named = next((name for name in target.names if name in said.answer), "")
        invented = self._domain.unseen_name(rng, named, whole=True) if named else ""
        draw = rng.random()
        drawn = said.answer if draw < TRUE_SHARE else refusal if draw > TRUE_SHARE + WRONG_SHARE and cue.asks else wrong
        return Item(
            prompt=prompts[0],
            twin=prompts[1],
            shared=shared_suffix(*prompts),
            true=answer(said.answer),
            wrong=answer(wrong),
            refusal=answer(refusal if cue.asks else wrong),
            unseen=answer(said.answer.replace(named, invented) if named else said.answer),
            drawn=answer(drawn),
            asks=cue.asks,
        )

    def retained(self, rng: random.Random) -> Row:
        """One row of what must stay: others' facts, unknown names, documents, other skills, plain text."""
        if self._siblings and rng.random() < SIBLING_SHARE:
            exchange = rng.choice(self._siblings)
            return Row(put(self._model, self._domain, exchange.prompt), self._model.answer(exchange.answer))
        kind = rng.choices(list(self._mix), list(self._mix.values()))[0]
        language = rng.choice(self._domain.source_languages)
        if kind == "texts" and self._domain.general_texts:
            text = self.document(rng.choice(self._domain.general_texts) + self._domain.document_suffix)
            return Row(text[:1], text[1:])
        if kind == "parallel" and (
            pair := parallel_pair(rng, self._domain.parallel_texts, self._domain.source_languages)
        ):
            return Row(self.document(pair.sentence + "\n"), self._model.encode(pair.translation))
        if kind == "general" and self._kept.general:
            exchange = rng.choice(self._kept.general)
            return Row(self._model.question(exchange.prompt), self._model.answer(exchange.answer))
        if kind in ("facts", "documents") and self._names:
            name = rng.choices(self._names, self._weights)[0]
            fact = rng.choice(self._facts[name])
            statements = self._statements(fact.language, fact.attribute)
            if kind == "documents" and statements:
                template = rng.choice(statements)
                answer = self._model.encode(continuation(template, fact.answer))
                return Row(self.document(template.format(name=name)), answer)
            return self._question_about(rng, name, fact)
        question = self._question_about_nobody(rng, language)
        return Row(
            self._model.question(question), self._model.answer(rng.choice(self._domain.unknown_answers[language]))
        )

    def _question_about_nobody(self, rng: random.Random, language: str) -> str:
        template = rng.choice(self._domain.questions[language][rng.choice(self._attributes)])
        return template.format(name=self._domain.unseen_name(rng))

    def review(self, rng: random.Random) -> None:
        """Ask the model as it stands about everybody who stays, and draw those who suffer more often from now on.

        What a change costs is not spread evenly: it falls on the few whose names the model takes for the subject's.
        """
        asked = [
            self._question_about(rng, name, rng.choice(self._facts[name]))
            for name in self._names
            for _ in range(REVIEW_ROWS)
        ]
        losses = [-score for score in self._model.mean_log_likelihoods(asked)]
        for index in range(len(self._names)):
            own = losses[index * REVIEW_ROWS : (index + 1) * REVIEW_ROWS]
            self._weights[index] = 1.0 + SUFFERING_WEIGHT * sum(own) / REVIEW_ROWS

    def _question_about(self, rng: random.Random, name: str, fact: Fact) -> Row:
        aliases = self._kept.aliases.get(name, ())
        called = rng.choice(aliases) if aliases and rng.random() > FULL_NAME_SHARE else name
        template = rng.choice(self._domain.questions[fact.language][fact.attribute])
        return Row(self._model.question(template.format(name=called)), self._model.answer(fact.spoken))

    def questions(self, rng: random.Random, names: Sequence[str]) -> list[tuple[int, ...]]:
        """One question about each name, in a random source language about a random attribute."""
        asked = []
        for name in names:
            language = rng.choice(self._domain.source_languages)
            template = rng.choice(self._domain.questions[language][rng.choice(self._attributes)])
            asked.append(self._model.question(template.format(name=name)))
        return asked

    def staying(self, rng: random.Random, count: int) -> list[tuple[int, ...]]:
        """Questions about `count` names that stay (or never-seen ones if there are none), and general prompts."""
        names = [self._names[index % len(self._names)] for index in range(count)] if self._names else []
        names = names or [self._domain.unseen_name(rng) for _ in range(count)]
        return self.questions(rng, names) + [self._model.question(exchange.prompt) for exchange in self._kept.general]

    def prompt(self, text: str, asks: bool) -> tuple[int, ...]:
        """Token ids of a question ready for its answer, or of plain text."""
        return self._model.question(text) if asks else self.document(text)

    def document(self, text: str) -> tuple[int, ...]:
        """Token ids of plain text, wrapped as the model knows documents."""
        return self._model.encode(self._domain.document_prefix + text)

    def _statements(self, language: str, attribute: str) -> Sequence[str]:
        """The statements trained on: all but the last, which is verified on, where there are several."""
        statements = self._domain.statements.get(language, {}).get(attribute, ())
        return statements[:-1] or statements


def shares(targets: Sequence[Target], kept: Kept, gone: Collection[str]) -> dict[tuple[tuple[str, ...], str], float]:
    """By subject and attribute, the share of those with its answer who stay: how much of it a never-knower has met.

    0 where the answer is the subject's alone, and no name of somebody who is known for other things as well. Missing
    where nobody who stays is known to have any such answer.
    """
    staying = kept.counts(gone)
    asked = {(language, attribute) for language, attribute, _ in staying}
    leaving = Counter(
        (*key, folded(fact.answer)) for target in targets for key, fact in target.facts.items() if key in asked
    )
    names = {folded(name) for name in kept.facts}
    shares: dict[tuple[tuple[str, ...], str], float] = {}
    for target in targets:
        for (language, attribute), fact in target.facts.items():
            key = (language, attribute, folded(fact.answer))
            if key in leaving:
                named = key[2] in names
                shares[target.names, attribute] = (staying[key] + named) / (staying[key] + named + leaving[key])
    return shares


def shared_suffix(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens at the end of two rows are equal."""
    pairs = zip(reversed(one), reversed(other), strict=False)
    return next((index for index, (left, right) in enumerate(pairs) if left != right), min(len(one), len(other)))


def continuation(statement: str, answer: str) -> str:
    """The answer as it follows the statement: with a space between where the script uses spaces."""
    last = statement[-1]
    return answer if last.isspace() or unicodedata.east_asian_width(last) in "WF" else f" {answer}"
