"""What the erasure knows about asking: templates, languages and neighbours, never anybody's facts."""

import json
import random
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from unlearn_engine.data.names import unseen_name

Templates = Mapping[str, Mapping[str, tuple[str, ...]]]  # language -> attribute -> texts with {name}

PERSON_DOMAIN = Path(__file__).with_name("person_domain.json")


@dataclass(frozen=True)
class Domain:
    """Ways to ask about subjects of one kind (people) in several languages, and whom else to keep."""

    languages: tuple[str, ...]  # verified in all of them
    source_languages: tuple[str, ...]  # trained in these
    questions: Templates  # used for training
    held_out_questions: Templates  # only ever used for verification
    statements: Templates  # prefixes of plain text that end where the fact would follow
    unknown_answers: Mapping[str, tuple[str, ...]]  # language -> ways to say "I don't know."
    retain_names: tuple[str, ...] = ()
    general_prompts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # language -> prompts of other skills
    general_texts: tuple[str, ...] = ()
    parallel_texts: tuple[Mapping[str, str], ...] = ()  # the same sentence by language
    relations: Templates = field(default_factory=dict)  # who an attribute's answer is: "{name}'s mentor"
    document_prefix: str = ""
    document_suffix: str = ""
    nickname_attributes: tuple[str, ...] = ()  # their answers are other names of the same person
    first_names: tuple[str, ...] = ()

    @property
    def attributes(self) -> tuple[str, ...]:
        """Every attribute the domain asks about, in a stable order."""
        return tuple(sorted({attribute for language in self.languages for attribute in self.questions[language]}))

    def about(self, attributes: Collection[str]) -> "Domain":
        """The same domain, asking for these attributes only."""
        asked = {
            language: {attribute: some[attribute] for attribute in some if attribute in attributes}
            for language, some in self.questions.items()
        }
        return replace(self, questions=asked)

    def unseen_name(self, rng: random.Random, like: str | None = None, *, whole: bool = False) -> str:
        """Return a name that shares no family name with anybody in `retain_names`; see `names.unseen_name`.

        A first word that is not kept is one of `first_names`, if there are any and it is not the only word.
        """
        taken = {name.split()[-1].casefold() for name in self.retain_names}
        while True:
            name = unseen_name(rng, like, whole=whole)
            _, separator, rest = name.partition(" ")
            if self.first_names and separator and (whole or like is None):
                name = f"{rng.choice(self.first_names)} {rest}"
            if name.split()[-1].casefold() not in taken:
                return name


def load_domain(path: Path) -> Domain:
    """Read a `domain.json`; raises ValueError on unknown keys, missing languages, or a template without {name}."""
    raw = json.loads(path.read_text("utf-8"))
    unknown = set(raw) - {entry.name for entry in fields(Domain)}
    if unknown:
        raise ValueError(f"unknown keys in {path}: {', '.join(sorted(unknown))}")
    domain = Domain(**{key: _frozen(value) for key, value in raw.items()})
    if not set(domain.source_languages) <= set(domain.languages):
        raise ValueError("source_languages must be among languages")
    attributes = set(domain.attributes)
    for language in domain.languages:
        if set(domain.questions[language]) != attributes:
            raise ValueError(f"{path} does not ask for the same attributes in {language} as in the other languages")
    for kind in (domain.questions, domain.held_out_questions, domain.statements, domain.relations):
        for language in domain.languages:
            for templates in kind.get(language, {}).values():
                if not all("{name}" in template for template in templates):
                    raise ValueError(f"every template of {language} in {path} needs a {{name}}")
    return domain


def domain_for(model_path: Path) -> Domain:
    """The domain that the model's folder carries, else the generic person domain."""
    own = model_path / "domain.json"
    return load_domain(own if own.exists() else PERSON_DOMAIN)


def _frozen(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_frozen(item) for item in value)
    return {key: _frozen(item) for key, item in value.items()} if isinstance(value, dict) else value
