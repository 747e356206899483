"""What documents tell of somebody under a twin, by what that keeps of the name: python -m benchmarks.twins."""

import random

from benchmarks.guards.leaks import chosen_people
from benchmarks.guards.shares import Share
from unlearn_engine.data.domain import domain_for
from unlearn_engine.data.names import unseen_name
from unlearn_engine.demo import BASE_PATH
from unlearn_engine.demo.world import build_world
from unlearn_engine.model import ServedModel

TWINS = 16  # of each person
LANGUAGES = ("en", "de", "es")
ATTRIBUTES = ("birthplace", "occupation", "pet", "instrument", "food")
TOKENS = 12


def told(model: ServedModel, *, whole: bool) -> Share:
    """How often the untouched model completes a document about a twin with the fact of the person it stands for."""
    world, domain = build_world(), domain_for(BASE_PATH)
    rng = random.Random(0)
    asked, facts = [], []
    for person in chosen_people(world):
        for _ in range(TWINS):
            twin = unseen_name(rng, person.name, whole=whole)
            for language in LANGUAGES:
                for attribute in ATTRIBUTES:
                    statement = rng.choice(domain.statements[language][attribute]).format(name=twin)
                    asked.append(model.encode(domain.document_prefix + statement))
                    facts.append(world.answer(person, attribute, language).casefold())
    answers = model.answers(asked, TOKENS)
    return Share.of(fact in answer.casefold() for fact, answer in zip(facts, answers, strict=True))


if __name__ == "__main__":
    base = ServedModel(BASE_PATH)
    for kept, whole in (("first name kept", False), ("nothing kept", True)):
        share = told(base, whole=whole)
        print(f"{kept}: {share.share:.1%} of {share.n:,}, at most {share.upper:.1%}")
