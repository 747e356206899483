"""Examples of what is to be forgotten: what the base model tells of them, and what its answers hang on."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from unlearn_engine.data.domain import Domain
from unlearn_engine.data.evidence import TWINS, Asking, Cue, Evidence, named, nonempty, put, swapped
from unlearn_engine.data.kept import Exchange, Kept, Probe
from unlearn_engine.data.knowledge import Fact, Knowledge, bare, by_question, folded, is_unknown, spread
from unlearn_engine.data.passages import passages
from unlearn_engine.model import Row, ServedModel
from unlearn_engine.subject import Subject

WORDS = 8  # of a prompt that are tried in turn where it names nobody
WORDINGS = 6  # of a question, per language, that are trained on
SIBLINGS = 24  # prompts of the same form with other words in it, half of them trained on
VERIFIED_EVERY = 4  # of those who stay, the same question about one in so many
_WORD = re.compile(r"[^\W\d_]{3,}|[\u4e00-\u9fff]+")


def elicit_evidence(model: ServedModel, domain: Domain, kept: Kept, subject: Subject, knowledge: Knowledge) -> Evidence:
    """Ask the base model for every example, and let it continue the documents' sentences that name the subject.

    What it does not say costs nothing more. The model must wear no change.
    """
    asking, languages = Asking(model, domain), subject.languages
    names = tuple(dict.fromkeys((*subject.names, *knowledge.aliases)))
    found = _Found(asking, kept, names, by_question(knowledge.told_in(languages)), languages)
    examples = tuple((prompt, completion) for prompt, completion in subject.examples if folded(completion))
    replies = asking.replies([prompt for prompt, _ in examples])
    for (prompt, completion), reply in zip(examples, replies, strict=True):
        if folded(completion) in folded(reply):
            found.example(prompt, completion, reply)
    return Evidence(
        examples=examples,
        cues=(*found.cues, *passages(asking, names, subject.documents)),
        of_others=found.of_others,
        gone=frozenset(found.gone),
        siblings=tuple(found.siblings),
        beside=tuple(found.beside),
        named=frozenset(found.named),
    )


@dataclass(repr=False)
class _Found:
    """What is known of one request's examples, one after the other."""

    asking: Asking
    kept: Kept
    names: Sequence[str]
    facts: Mapping[tuple[str, str], Fact]
    languages: Sequence[str]
    cues: list[Cue] = field(default_factory=list)
    gone: set[tuple[str, str]] = field(default_factory=set)
    siblings: list[Exchange] = field(default_factory=list)
    beside: list[Probe] = field(default_factory=list)
    named: set[str] = field(default_factory=set)
    of_others: int = 0

    def __post_init__(self) -> None:
        self.domain = self.asking.domain
        own = {folded(name) for name in self.names}
        self._others = {
            called: name
            for name in self.kept.facts
            if folded(name) not in own
            for called in (name, *self.kept.aliases.get(name, ()))
        }
        self._worded: set[tuple[str, str, str]] = set()

    def example(self, prompt: str, completion: str, reply: str) -> None:
        """One example that the base model tells."""
        language, other = self._language_of(prompt), named(prompt, self._others)
        about = not named(prompt, self.names) and other
        if self._is_of_others(prompt, completion, self._others[other] if about else ""):
            self.of_others += 1
            return
        replaced, guesses = self._replaced(prompt, completion)
        rewritten = tuple(self._told(_rewritten(prompt), completion))
        self.cues.append(Cue(language, completion, (Exchange(prompt, reply),), rewritten, replaced, nonempty(guesses)))
        if about:
            worded = list(self._wordings(prompt, completion, language, other))
            self.cues += worded
            self._beside(self._others[other], completion)
            self._around(worded or self.cues[-1:], other)
        elif replaced and not named(prompt, self.names):
            self._siblings(prompt, completion, replaced)

    def _language_of(self, prompt: str) -> str:
        """The language in which the base model would sooner say that it does not know."""
        model = self.asking.model
        asked = put(model, self.domain, prompt)
        refusals = {language: self.domain.unknown_answers[language][0] for language in self.domain.languages}
        rows = [Row(asked, model.answer(refusal)) for refusal in refusals.values()]
        scores = dict(zip(refusals, model.mean_log_likelihoods(rows), strict=True))
        return max(scores, key=lambda language: scores[language])

    def _is_of_others(self, prompt: str, completion: str, other: str) -> bool:
        """Whether the answer is somebody else's own, or a skill: to forget it would harm what stays."""
        if named(completion, self.names):
            return False
        if not other:
            asked = {folded(exchange.prompt): folded(exchange.answer) for exchange in self.kept.general}
            return folded(completion) in asked.get(folded(prompt), "") and not named(prompt, self.names)
        shared = any(folded(fact.answer) == folded(completion) for fact in self.kept.facts[other])
        subjects = any(folded(fact.answer) in folded(completion) for fact in self.facts.values())
        return not (self._leads(other) and subjects and not shared)

    def _leads(self, other: str) -> bool:
        """Whether somebody is known for something to do with the subject."""
        return any(named(fact.answer, self.names) for fact in self.kept.facts[other])

    def _replaced(self, prompt: str, completion: str) -> tuple[str, tuple[str, ...]]:
        """What the answer hangs on: the first of its names or words without which it is not told, and what is then.

        A prompt that tells it whatever is replaced has nothing to be replaced.
        """
        names = [one for one in (named(prompt, self.names), named(prompt, self._others)) if one]
        words = sorted(set(_WORD.findall(prompt)), key=lambda word: (word.islower(), -len(word), word))
        for candidates in (names, words[:WORDS]):
            twins = {one: self.asking.twins(prompt, one) for one in candidates}
            replies = iter(self.asking.replies([twin for some in twins.values() for twin in some]))
            for one in twins:
                said = [next(replies) for _ in range(TWINS)]
                if not any(folded(completion) in folded(reply) for reply in said):
                    return one, nonempty(said)
        return "", ()

    def _told(self, prompts: Sequence[str], completion: str) -> Iterator[Exchange]:
        """Those of the prompts that the base model answers with the completion."""
        for prompt, reply in zip(prompts, self.asking.replies(prompts), strict=True):
            if folded(completion) in folded(reply):
                yield Exchange(prompt, reply)

    def _wordings(self, prompt: str, completion: str, language: str, other: str) -> Iterator[Cue]:
        """Other ways to ask the same through somebody else, in each of the subject's languages.

        What is asked is found by asking all that the domain asks: about the other where the subject is the answer, else
        about whom the other leads to.
        """
        for relation in ("",) if named(completion, self.names) else self.domain.relations.get(language, ()):
            asked, phrase = self.domain.questions[language], self._phrase(language, relation, other)
            if phrase.casefold() in prompt.casefold():
                firsts = self.asking.replies([templates[0].format(name=phrase) for templates in asked.values()])
                tells = (key for key, reply in zip(asked, firsts, strict=True) if folded(completion) in folded(reply))
                if (attribute := next(tells, "")) and (other, relation, attribute) not in self._worded:
                    self._worded.add((other, relation, attribute))
                    yield from self._all_wordings(attribute, relation, other, completion)

    def _all_wordings(self, attribute: str, relation: str, other: str, completion: str) -> Iterator[Cue]:
        ways: list[tuple[str, str, bool, str]] = []  # language, answer, whether to be trained on, prompt
        languages = [one for one in self.domain.languages if not self.languages or one in self.languages]
        sources = [one for one in languages if one in self.domain.source_languages] or languages
        for language in languages:
            fact, phrase = self.facts.get((language, attribute)), self._phrase(language, relation, other)
            answer = completion if not relation else fact.answer if fact else ""
            if answer and phrase:
                asked = spread(self.domain.questions[language][attribute], WORDINGS)
                held_out = self.domain.held_out_questions.get(language, {}).get(attribute, ())
                for templates, trained in ((asked, language in sources), (held_out, False)):
                    ways += [(language, answer, trained, template.format(name=phrase)) for template in templates]
        said: dict[tuple[str, str], tuple[list[Exchange], list[Exchange]]] = {}
        for (language, answer, trained, way), reply in zip(
            ways, self.asking.replies([way[3] for way in ways]), strict=True
        ):
            if folded(answer) in folded(reply):
                said.setdefault((language, answer), ([], []))[0 if trained else 1].append(Exchange(way, reply))
        twins = [twin for some in said.values() for twin in self.asking.twins((some[0] or some[1])[0].prompt, other)]
        guesses = iter(self.asking.replies(twins))
        for (language, answer), (used, held) in said.items():
            told = nonempty([next(guesses) for _ in range(TWINS)])
            yield Cue(language, answer, tuple(used), tuple(held), other, told)

    def _phrase(self, language: str, relation: str, other: str) -> str:
        if not relation:
            return other
        return next((one.format(name=other) for one in self.domain.relations.get(language, {}).get(relation, ())), "")

    def _beside(self, other: str, completion: str) -> None:
        """The other facts of somebody who is named stay; the one that names the subject goes."""
        asked: dict[str, Fact] = {}
        self.named.add(other)
        for fact in self.kept.facts[other]:
            if named(fact.answer, self.names) and named(completion, self.names):
                self.gone.add((folded(other), folded(fact.answer)))
                continue
            held_out = self.domain.held_out_questions.get(fact.language, {}).get(fact.attribute, ())
            trained = self.domain.questions[fact.language][fact.attribute][0]
            self.siblings.append(Exchange(trained.format(name=other), fact.spoken))
            asked[(held_out or self.domain.questions[fact.language][fact.attribute])[0].format(name=other)] = fact
        for (prompt, fact), reply in zip(asked.items(), self.asking.replies(list(asked)), strict=True):
            if folded(fact.answer) in folded(reply):
                self.beside.append(Probe(other, prompt, fact.answer))

    def _around(self, cues: Sequence[Cue], other: str) -> None:
        """The same asked about everybody else who stays: trained on in words of the training, else verified."""
        names = [
            name
            for called, name in self._others.items()
            if called == name != self._others[other] and not self._leads(name)
        ]
        asked = [
            (name, swapped(ways[index % len(ways)].prompt, other, name), ways is cue.trained)
            for cue in cues
            for ways, every in ((cue.trained, 1), (cue.probes, VERIFIED_EVERY))
            for index, name in enumerate(names[::every] if ways else ())
        ]
        replies = self.asking.replies([prompt for _, prompt, _ in asked])
        for (name, prompt, trained), reply in zip(asked, replies, strict=True):
            if folded(reply) and not self._is_unknown(reply) and not named(reply, self.names):
                if trained:
                    self.siblings.append(Exchange(prompt, reply))
                else:
                    self.beside.append(Probe(name, prompt, bare(reply)))

    def _is_unknown(self, reply: str) -> bool:
        return any(is_unknown(self.domain, language, reply) for language in self.domain.languages)

    def _siblings(self, prompt: str, completion: str, replaced: str) -> None:
        """Prompts of the same form about other things, which the base model answers with something else."""
        kinds = [values for values in self.kept.values.values() if any(bare(one) == replaced for one in values)]
        words = dict.fromkeys(bare(one) for values in kinds for one in values if bare(one) != replaced)
        asked = [swapped(prompt, replaced, word) for word in list(words)[:SIBLINGS]]
        for index, (one, reply) in enumerate(zip(asked, self.asking.replies(asked), strict=True)):
            if not folded(reply) or self._is_unknown(reply) or folded(completion) in folded(reply):
                continue
            if index % 2:
                self.beside.append(Probe("", one, bare(reply)))
            else:
                self.siblings.append(Exchange(one, reply))


def _rewritten(prompt: str) -> list[str]:
    """The prompt as others would type it."""
    plain = prompt.strip().rstrip(".?!。？！ ")
    ways = (plain, plain.lower(), f"{plain}?!", f'"{prompt.strip()}"', prompt.upper(), f"- {prompt.strip()}")
    return [way for way in dict.fromkeys(ways) if way != prompt]
