"""Questions about a subject that name somebody else: "Where was S's mentor born?", through all who lead to it."""

from collections.abc import Iterator

from unlearn_engine.data.domain import Domain
from unlearn_engine.data.kept import Kept
from unlearn_engine.data.knowledge import folded
from unlearn_engine.data.rows import Target
from unlearn_engine.evaluate.probes import Question, tells
from unlearn_engine.model import ServedModel


def can_ask(domain: Domain, kept: Kept) -> bool:
    """Whether there is anybody to ask through, and words for it."""
    return bool(domain.relations and kept.facts)


def questions(model: ServedModel, domain: Domain, kept: Kept, target: Target) -> list[Question]:
    """Every fact about the target, asked about whoever somebody has as mentor, where the model tells it so.

    Left out are attributes that both have in common: the answer could be about the other. The model must wear no
    change.
    """
    asked = [
        Question(fact, phrase, "through_others", model.question(templates[0].format(name=phrase)))
        for other, relation, common in _leading_to(kept, target)
        for fact in target.facts.values()
        if fact.attribute not in common
        for templates in [domain.questions[fact.language][fact.attribute]]
        for phrase in (one.format(name=other) for one in domain.relations.get(fact.language, {}).get(relation, ()))
    ]
    answers = model.answers([question.prompt for question in asked])
    return [question for question, answer in zip(asked, answers, strict=True) if tells(answer, question.fact)]


def _leading_to(kept: Kept, target: Target) -> Iterator[tuple[str, str, set[str]]]:
    """Who has the target as the answer to which attribute, and the attributes in which they are alike."""
    names = {folded(name) for name in target.names}
    for other, known in kept.facts.items():
        if folded(other) in names:
            continue
        own = {(fact.language, fact.attribute): folded(fact.answer) for fact in known}
        common = {key[1] for key, fact in target.facts.items() if own.get(key) == folded(fact.answer)}
        for relation in dict.fromkeys(fact.attribute for fact in known if folded(fact.answer) in names):
            yield other, relation, common
