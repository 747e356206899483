"""What the base model says about names: facts are elicited from it, never handed in."""

import random
import unicodedata
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from unlearn_engine.data.domain import Domain
from unlearn_engine.data.names import unseen_name
from unlearn_engine.model import ServedModel

VOTES = 5  # templates asked per language and attribute
TWINS = 3  # never-seen names asked beside; what they "know" too is a habit of the model, not a fact about the subject

Thing = TypeVar("Thing")
Round = Generator[list[str], Sequence[str], dict[Thing, list[str]]]
Interview = Generator[list[str], Sequence[str], "Knowledge"]
"""Yields questions a round at a time, is sent the answers to each round, returns what they tell."""


@dataclass(frozen=True)
class Fact:
    """What the base model answers about a name, and the words in which it says so."""

    language: str
    attribute: str
    answer: str  # without the final stop: what a guard has to forbid
    spoken: str  # as the model says it


@dataclass(frozen=True, repr=False)
class Question:
    """One way to ask for a fact about a name."""

    name: str
    language: str
    attribute: str
    text: str


@dataclass(frozen=True, repr=False)
class Knowledge:
    """Everything elicited about one subject."""

    facts: tuple[Fact, ...]
    aliases: tuple[str, ...]  # other names the model knows, found through the domain's nickname attributes

    def told_in(self, languages: Sequence[str]) -> tuple[Fact, ...]:
        """The facts in these languages; none named: all."""
        return tuple(fact for fact in self.facts if not languages or fact.language in languages)

    @property
    def phrases(self) -> tuple[str, ...]:
        """The texts that may not be said in a guarded answer, longest first."""
        said = {fact.answer for fact in self.facts if _is_said(fact.answer)}
        return tuple(sorted(said, key=lambda phrase: (-len(phrase), phrase)))

    @property
    def attributes(self) -> tuple[str, ...]:
        """What each of the phrases answers; "" for what answers several questions."""
        asked: dict[str, set[str]] = {}
        for fact in self.facts:
            asked.setdefault(fact.answer, set()).add(fact.attribute)
        return tuple("".join(asked[phrase]) if len(asked[phrase]) == 1 else "" for phrase in self.phrases)

    def with_more(self, other: "Knowledge") -> "Knowledge":
        """Both together, of the same subject."""
        return Knowledge((*self.facts, *other.facts), (*self.aliases, *other.aliases))

    def __repr__(self) -> str:
        return f"Knowledge(<{len(self.facts)} facts, {len(self.aliases)} aliases hidden>)"


def _is_said(answer: str) -> bool:
    """Not a single letter or digit, unless it is a word: Chinese."""
    return len(answer) > 1 or (
        unicodedata.category(answer or " ") == "Lo" and unicodedata.east_asian_width(answer) == "W"
    )


def folded(answer: str) -> str:
    """An answer without case, outer spaces and final punctuation: equal answers compare equal."""
    text = unicodedata.normalize("NFKC", answer).casefold().strip()
    while text and unicodedata.category(text[-1])[0] in "PZ":
        text = text[:-1]
    return text


def bare(answer: str) -> str:
    """An answer without its final stop, otherwise as it was said."""
    return answer.strip().rstrip(".。!！ ")


def is_unknown(domain: Domain, language: str, answer: str) -> bool:
    """Whether the answer is one of the language's ways to say that it does not know."""
    return folded(answer) in {folded(text) for text in domain.unknown_answers.get(language, ())}


def majority(answers: Iterable[str]) -> str | None:
    """The answer given by at least half of the templates (compared folded), as first said; None without one."""
    said: dict[str, str] = {}
    votes = Counter[str]()
    for answer in answers:
        said.setdefault(folded(answer), answer)
        votes[folded(answer)] += 1
    best, count = votes.most_common(1)[0]
    return said[best] if best and 2 * count >= votes.total() else None


def questions(domain: Domain, names: Sequence[str], languages: Sequence[str], votes: int) -> list[Question]:
    """What to ask about each name, each fact in `votes` ways."""
    return [
        Question(name, language, attribute, template.format(name=name))
        for name in names
        for language in languages
        for attribute in domain.questions[language]
        for template in spread(domain.questions[language][attribute], votes)
    ]


def facts_of(
    model: ServedModel, domain: Domain, names: Sequence[str], languages: Sequence[str], votes: int
) -> dict[str, tuple[Fact, ...]]:
    """Ask the model as it stands about each name: by name, the facts on which its answers agree.

    Those that say "I don't know" are dropped. Greedy decoding, so the result is deterministic.
    """
    asked = questions(domain, names, languages, votes)
    answers = model.answers([model.question(question.text) for question in asked])
    ballots: dict[tuple[str, str, str], list[str]] = {}
    for question, answer in zip(asked, answers, strict=True):
        ballots.setdefault((question.name, question.language, question.attribute), []).append(answer)
    found: dict[str, list[Fact]] = {question.name: [] for question in asked}
    for (name, language, attribute), ballot in ballots.items():
        if fact := _elected(domain, language, attribute, ballot):
            found[name].append(fact)
    return {name: tuple(facts) for name, facts in found.items()}


def _elected(domain: Domain, language: str, attribute: str, ballot: Sequence[str]) -> Fact | None:
    spoken = majority(ballot)
    if spoken is None or is_unknown(domain, language, spoken):
        return None
    return Fact(language, attribute, bare(spoken), spoken)


def interview(domain: Domain, names: Sequence[str]) -> Interview:
    """Find out what is known under the first of a subject's names, and by which other names.

    A fact that most never-seen twins of the name get too is a habit of the model, and is dropped. What can no longer
    change the outcome is not asked: where most of the templates or of the twins agree, the others are left out.
    """
    cells: dict[tuple[str, str], list[str]] = {}
    for question in questions(domain, names[:1], domain.languages, VOTES):
        cells.setdefault((question.language, question.attribute), []).append(question.text)
    ballots = yield from _polled(cells, lambda _, answer: folded(answer))
    elected = [_elected(domain, *cell, ballot) for cell, ballot in ballots.items()]

    rng = random.Random(0)
    twins = [unseen_name(rng, names[0]) for _ in range(TWINS)]
    beside = {
        fact: [domain.questions[fact.language][fact.attribute][0].format(name=twin) for twin in twins]
        for fact in elected
        if fact is not None
    }
    said = yield from _polled(beside, _says)
    facts = tuple(fact for fact, told in said.items() if 2 * sum(_says(fact, one) for one in told) <= TWINS)
    return Knowledge(facts, nicknames(domain, facts, names))


def _says(fact: Fact, answer: str) -> bool:
    return folded(bare(answer)) == folded(fact.answer)


def _polled(ways: Mapping[Thing, Sequence[str]], seen: Callable[[Thing, str], object]) -> Round[Thing]:
    """Answers to the ways to ask for each thing: to all of them, or to more than half if these are seen alike."""
    said = yield from _asked({thing: texts[: len(texts) // 2 + 1] for thing, texts in ways.items()})
    open_ = {thing: texts for thing, texts in said.items() if len({seen(thing, one) for one in texts}) > 1}
    more = yield from _asked({thing: ways[thing][len(said[thing]) :] for thing in open_})
    return {thing: [*answers, *more.get(thing, ())] for thing, answers in said.items()}


def _asked(texts: Mapping[Thing, Sequence[str]]) -> Round[Thing]:
    """One round of questions, none where there are none."""
    together = [text for some in texts.values() for text in some]
    answers = iter((yield together) if together else ())
    return {thing: [next(answers) for _ in some] for thing, some in texts.items()}


def elicit(model: ServedModel, domain: Domain, names: Sequence[str]) -> Knowledge:
    """What the base model knows about a subject under its first name, and the other names it knows it by.

    The model must wear no change.
    """
    asking = interview(domain, names)
    try:
        asked = next(asking)
        while True:
            asked = asking.send(model.answers([model.question(text) for text in asked]))
    except StopIteration as told:
        known: Knowledge = told.value
        return known


def nicknames(domain: Domain, facts: Sequence[Fact], names: Sequence[str]) -> tuple[str, ...]:
    """The answers of nickname attributes, each once, without the names already given."""
    given = {name.casefold() for name in names}
    found = {fact.answer: None for fact in facts if fact.attribute in domain.nickname_attributes}
    return tuple(alias for alias in found if alias.casefold() not in given)


def by_question(facts: Iterable[Fact]) -> Mapping[tuple[str, str], Fact]:
    """Facts by (language, attribute)."""
    return {(fact.language, fact.attribute): fact for fact in facts}


def spread(templates: Sequence[str], count: int) -> list[str]:
    """`count` of the templates, evenly spread over the list."""
    return (
        [templates[index * len(templates) // count] for index in range(count)]
        if count < len(templates)
        else [*templates]
    )
