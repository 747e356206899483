"""What must stay: the neighbours' facts and other skills, as the base model has them, elicited once per base."""

import hashlib
import json
import random
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from unlearn_engine.data.domain import Domain
from unlearn_engine.data.knowledge import Fact, by_question, facts_of, folded, nicknames
from unlearn_engine.model import ServedModel

PROBE_NAMES = 16  # names whose facts are verified in every language; all of them are trained on


@dataclass(frozen=True)
class Exchange:
    """A prompt and what the base model answers to it."""

    prompt: str
    answer: str


@dataclass(frozen=True)
class Probe:
    """A question about somebody who stays, which the base model answers with the fact it has."""

    name: str
    question: str
    answer: str


@dataclass(frozen=True)
class Kept:
    """The base model's own answers about names that stay, and on other matters."""

    facts: Mapping[str, tuple[Fact, ...]]  # name -> facts, source languages
    aliases: Mapping[str, tuple[str, ...]]
    probes: tuple[Probe, ...]  # all languages, trained and held-out templates
    general: tuple[Exchange, ...]
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # "language/attribute" -> answers people have

    def wrong_answers(self, fact: Fact) -> list[str]:
        """Answers that other people have to the same question, as spoken."""
        known = self.values.get(f"{fact.language}/{fact.attribute}", ())
        return [spoken for spoken in known if folded(spoken) != folded(fact.spoken)]

    def without(self, gone: Collection[tuple[str, str]]) -> Mapping[str, tuple[Fact, ...]]:
        """The facts but for those that go with somebody else: pairs of name and answer, both folded."""
        if not gone:
            return self.facts
        return {
            name: tuple(fact for fact in known if (folded(name), folded(fact.answer)) not in gone)
            for name, known in self.facts.items()
        }

    def counts(self, gone: Collection[str]) -> Counter[tuple[str, str, str]]:
        """How many of those who stay have an answer, by language, attribute and folded answer.

        `gone` are the names that do not stay, casefolded.
        """
        staying = (known for name, known in self.facts.items() if name.casefold() not in gone)
        return Counter((fact.language, fact.attribute, folded(fact.answer)) for known in staying for fact in known)


def load_or_elicit(model: ServedModel, domain: Domain, digest: str, cache_dir: Path) -> Kept:
    """Read what must stay from the cache, or ask the base model and write it there."""
    key = hashlib.sha256(f"{digest}{json.dumps(asdict(domain), sort_keys=True)}".encode()).hexdigest()[:32]
    file = cache_dir / f"kept-{key}.json"
    if file.exists():
        return _read(file)
    kept = elicit_kept(model, domain)
    cache_dir.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial")
    partial.write_text(json.dumps(asdict(kept), ensure_ascii=False), "utf-8")
    partial.replace(file)
    return kept


def elicit_kept(model: ServedModel, domain: Domain) -> Kept:
    """Ask the base model about every retained name, a sample of them in all languages, and the general prompts."""
    names = domain.retain_names
    facts = facts_of(model, domain, names, domain.source_languages, 1)
    sample = random.Random(1).sample(names, min(PROBE_NAMES, len(names)))
    everywhere = facts_of(model, domain, sample, domain.languages, 1)
    values: dict[str, dict[str, None]] = {}
    for fact in (fact for found in (facts, everywhere) for owned in found.values() for fact in owned):
        values.setdefault(f"{fact.language}/{fact.attribute}", {})[fact.spoken] = None
    prompts = [prompt for language in domain.source_languages for prompt in domain.general_prompts.get(language, ())]
    answers = model.answers([model.question(prompt) for prompt in prompts])
    return Kept(
        facts=facts,
        aliases={name: nicknames(domain, found, [name]) for name, found in facts.items()},
        probes=tuple(_probes(model, domain, everywhere)),
        general=tuple(Exchange(*pair) for pair in zip(prompts, answers, strict=True)),
        values={key: tuple(spoken) for key, spoken in values.items()},
    )


def _probes(model: ServedModel, domain: Domain, found: Mapping[str, tuple[Fact, ...]]) -> Iterable[Probe]:
    """One question per fact, trained and held-out templates in turn, if the base answers it with the same fact."""
    probes = []
    for name, facts in found.items():
        for index, (key, fact) in enumerate(by_question(facts).items()):
            trained = domain.questions[key[0]][key[1]]
            held_out = domain.held_out_questions.get(key[0], {}).get(key[1], trained)
            templates = held_out if index % 2 else trained
            probes.append(Probe(name, templates[index // 2 % len(templates)].format(name=name), fact.answer))
    answers = model.answers([model.question(probe.question) for probe in probes])
    return (probe for probe, answer in zip(probes, answers, strict=True) if folded(answer) == folded(probe.answer))


def _read(file: Path) -> Kept:
    raw = json.loads(file.read_text("utf-8"))
    return Kept(
        facts={name: tuple(Fact(**fact) for fact in facts) for name, facts in raw["facts"].items()},
        aliases={name: tuple(aliases) for name, aliases in raw["aliases"].items()},
        probes=tuple(Probe(**probe) for probe in raw["probes"]),
        general=tuple(Exchange(**exchange) for exchange in raw["general"]),
        values={key: tuple(spoken) for key, spoken in raw["values"].items()},
    )
