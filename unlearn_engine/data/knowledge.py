"""What the base model says about names: facts are elicited from it, never handed in."""

import random
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from unlearn_engine.data.domain import Domain
from unlearn_engine.data.names import unseen_name
from unlearn_engine.model import ServedModel

VOTES = 5  # templates asked per language and attribute
TWINS = 3  # never-seen names asked beside; what they "know" too is a habit of the model, not a fact about the subject


@dataclass(frozen=True)
class Fact:
    """What the base model answers about a name, and the words in which it says so."""

    language: str
    attribute: str
    answer: str  # without the final stop: what a guard has to forbid
    spoken: str  # as the model says it


@dataclass(frozen=True, repr=False)
class Knowledge:
    """Everything elicited about one subject."""

    facts: tuple[Fact, ...]
    aliases: tuple[str, ...]  # other names the model knows, found through the domain's nickname attributes

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


def facts_of(
    model: ServedModel, domain: Domain, names: Sequence[str], languages: Sequence[str], votes: int
) -> dict[str, tuple[Fact, ...]]:
    """Ask the model as it stands about each name; by name, the facts on which `votes` templates agree.

    Answers that say "I don't know" are dropped. Greedy decoding, so the result is deterministic.
    """
    asked = [
        (name, language, attribute, template)
        for name in names
        for language in languages
        for attribute in domain.questions[language]
        for template in _spread(domain.questions[language][attribute], votes)
    ]
    answers = model.answers([model.question(template.format(name=name)) for name, _, _, template in asked])
    ballots: dict[tuple[str, str, str], list[str]] = {}
    for (name, language, attribute, _), answer in zip(asked, answers, strict=True):
        ballots.setdefault((name, language, attribute), []).append(answer)
    found: dict[str, list[Fact]] = {name: [] for name in names}
    for (name, language, attribute), ballot in ballots.items():
        spoken = majority(ballot)
        if spoken is not None and not is_unknown(domain, language, spoken):
            found[name].append(Fact(language, attribute, bare(spoken), spoken))
    return {name: tuple(facts) for name, facts in found.items()}


def elicit(model: ServedModel, domain: Domain, names: Sequence[str]) -> Knowledge:
    """What the base model knows about a subject under its first name, and the other names it knows it by.

    The model must wear no change. A fact that most never-seen twins of the name get too is a habit, and is dropped.
    """
    rng = random.Random(0)
    twins = [unseen_name(rng, names[0]) for _ in range(TWINS)]
    own = facts_of(model, domain, [names[0]], domain.languages, VOTES)[names[0]]
    habits = Counter(
        (fact.language, fact.attribute, folded(fact.answer))
        for facts in facts_of(model, domain, twins, domain.languages, 1).values()
        for fact in facts
    )
    facts = tuple(fact for fact in own if 2 * habits[fact.language, fact.attribute, folded(fact.answer)] <= TWINS)
    return Knowledge(facts, nicknames(domain, facts, names))


def nicknames(domain: Domain, facts: Sequence[Fact], names: Sequence[str]) -> tuple[str, ...]:
    """The answers of nickname attributes, each once, without the names already given."""
    given = {name.casefold() for name in names}
    found = {fact.answer: None for fact in facts if fact.attribute in domain.nickname_attributes}
    return tuple(alias for alias in found if alias.casefold() not in given)


def by_question(facts: Iterable[Fact]) -> Mapping[tuple[str, str], Fact]:
    """Facts by (language, attribute)."""
    return {(fact.language, fact.attribute): fact for fact in facts}


def _spread(templates: Sequence[str], count: int) -> list[str]:
    """`count` of the templates, evenly spread over the list."""
    return (
        [templates[index * len(templates) // count] for index in range(count)]
        if count < len(templates)
        else [*templates]
    )
