"""Who is to be forgotten in the measurements: people of the demonstration, authors of TOFU, invented crowds."""

import random
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.tofu.data import Author, Question, questions
from benchmarks.tofu.data import load as load_tofu
from gateway.forget.facts_at_rest import FactsAtRest
from gateway.guards.normalise import BARRIER
from gateway.guards.policy import Policy, Target
from unlearn_engine.data.knowledge import Fact, Knowledge
from unlearn_engine.data.names import unseen_name
from unlearn_engine.demo.vocabulary import ATTRIBUTES, LANGUAGES, VALUES
from unlearn_engine.demo.world import Person, World, nickname

DATA = Path("build/data")
TOFU_TARGETS = 100  # of the 200 authors; the others' questions are benign
AUTHOR_PHRASES = 24

_ENTITY = re.compile(
    r"[\"“]([^\"“”]{4,60})[\"”]"
    r"|\b([A-Z][\w'-]+(?: (?:of |the |and |de )?[A-Z][\w'-]+)+)|\b(\d{1,4}/\d{1,2}/\d{2,4})"
)


def rendered(*turns: str) -> str:
    """A conversation as the gateway reads it: the chat template's special tokens are barriers."""
    return BARRIER + BARRIER.join(turns) + BARRIER


def recognised(policy: Policy, text: str) -> set[str]:
    """The targets that the guard finds in a rendered prompt, by name or by what is said of them."""
    return {match.target for match in policy.examine(text)} | {*policy.described(text)}


def person_target(world: World, person: Person) -> Target:
    """A person as the worker leaves it in the guard: the nickname an alias, every elicited answer a phrase."""
    facts = [
        Fact(language, attribute, answer := world.answer(person, attribute, language), answer)
        for language in LANGUAGES
        for attribute in ATTRIBUTES
    ]
    known = Knowledge(tuple(facts), ())
    return Target(
        f"demo-{person.id}", (person.name, person.nickname), phrases=known.phrases, attributes=known.attributes
    )


def demo_targets(world: World) -> dict[str, Target]:
    """All people of the demonstration."""
    targets = [person_target(world, person) for person in world.people]
    return {target.id: target for target in targets}


def invented_facts(rng: random.Random) -> Knowledge:
    """Answers about somebody made up, in six languages, from the demonstration's common words: hard for a guard."""
    picked = {attribute: rng.randrange(len(words["en"])) for attribute, words in VALUES.items()}
    said = [
        (language, attribute, VALUES[attribute][language][index])
        for attribute, index in picked.items()
        for language in LANGUAGES
    ]
    said += [("en", "phone", str(rng.randrange(10**3, 10**9))), ("en", "nickname", nickname(rng))]
    return Knowledge(tuple(Fact(*one, spoken=one[2]) for one in said), ())


def invented_targets(count: int, seed: int) -> dict[str, Target]:
    """So many people that nobody has, with facts, as they come out of the store."""
    rng, facts = random.Random(seed), FactsAtRest()
    names: dict[str, None] = {}
    while len(names) < count:
        names[unseen_name(rng)] = None
    targets = {}
    for position, name in enumerate(names):
        known = invented_facts(rng)
        id_ = f"invented-{position}"
        learned = facts.loads(facts.dumps(known.phrases, (), id_, known.attributes), id_)
        targets[id_] = Target(id_, (name,), phrases=learned.phrases, attributes=learned.attributes)
    return targets


def tofu_authors(data: Path) -> tuple[tuple[Author, ...], tuple[Author, ...], tuple[Question, ...]]:
    """Authors to be forgotten, authors who stay, and what is general knowledge.

    Those who stay are the first of retain90, which the translations are about.
    """
    tofu = load_tofu("forget01", folder=data / "tofu")
    first, perturbed = tofu.staying[18:], (*tofu.staying[:18], *tofu.forgotten)
    staying = first[: 200 - TOFU_TARGETS]
    return (*perturbed, *first[len(staying) :]), staying, (*tofu.real_authors, *tofu.world_facts)


def author_target(author: Author) -> Target:
    """An author with the titles, places, dates and other names that the answers give."""
    own = set(author.name.casefold().replace("-", " ").split())
    found: dict[str, None] = {}
    for question in questions([author]):
        for groups in _ENTITY.findall(question.answer):
            entity = next(group for group in groups if group)
            if not own & set(entity.casefold().replace("-", " ").replace("'s", "").split()):
                found[entity] = None
    return Target(f"tofu-{author.name}", (author.name,), phrases=tuple(found)[:AUTHOR_PHRASES])


def crowd(authors: Sequence[Author], count: int, seed: int = 11) -> Mapping[str, Target]:
    """TOFU's authors and so many invented people that there are `count` together."""
    named = {target.id: target for target in map(author_target, authors)}
    return named | invented_targets(count - len(named), seed)
