"""Elicitation keeps what the model knows and drops what it merely says."""

import random
from dataclasses import replace

import pytest

from unlearn_engine.data.domain import Domain
from unlearn_engine.data.knowledge import (
    TWINS,
    VOTES,
    Fact,
    Knowledge,
    bare,
    elicit,
    folded,
    interview,
    is_unknown,
    majority,
    nicknames,
)
from unlearn_engine.data.names import unseen_name
from unlearn_engine.model import ServedModel


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [("Lisbon.", "lisbon", True), ("我不知道。", "我不知道", True), ("Lisbon", "Lisboa", False), ("４２", "42.", True)],
)
def test_answers_are_compared_without_case_and_final_stop(one: str, other: str, equal: bool) -> None:
    assert (folded(one) == folded(other)) is equal


def test_a_majority_needs_half_of_the_votes() -> None:
    assert majority(["Lisbon.", "lisbon", "Rome."]) == "Lisbon."
    assert majority(["Lisbon.", "Rome.", "Paris."]) is None
    assert majority(["", ""]) is None


def test_a_bare_answer_keeps_its_inner_punctuation() -> None:
    assert bare(" St. John's. ") == "St. John's"


def test_unknown_answers_are_recognised_in_their_language(domain: Domain) -> None:
    assert is_unknown(domain, "en", "i don't know")
    assert not is_unknown(domain, "de", "I don't know.")


def test_nothing_is_known_about_a_name_nobody_has(model: ServedModel, domain: Domain) -> None:
    knowledge = elicit(model, domain, [domain.unseen_name(random.Random(11))])
    assert len(knowledge.facts) <= 2
    assert all(not is_unknown(domain, fact.language, fact.answer) for fact in knowledge.facts)


def test_known_names_are_known_in_every_language(model: ServedModel, domain: Domain) -> None:
    knowledge = elicit(model, domain, [domain.retain_names[0]])
    cells = {(fact.language, fact.attribute) for fact in knowledge.facts}
    assert len(cells) == len(knowledge.facts) >= 0.9 * len(domain.languages) * len(domain.attributes)
    assert len(knowledge.aliases) == 1
    assert set(knowledge.phrases) >= {fact.answer for fact in knowledge.facts if len(fact.answer) > 1}


@pytest.mark.parametrize("seed", range(20))
def test_questions_left_out_would_not_have_changed_the_outcome(domain: Domain, seed: int) -> None:
    """Against answers drawn at random, asked in full."""
    words, said = ["owl.", "cat.", "Cat", "", domain.unknown_answers["en"][0]], dict[str, str]()
    rng = random.Random(seed)
    weights = [rng.random() ** 3 for _ in words]

    def say(text: str) -> str:
        return said.setdefault(text, *rng.choices(words, weights))

    name = "Mado Krel"
    domain = replace(domain.about(domain.attributes[:3]), languages=("en", "es"))
    asking = interview(domain, [name])
    texts = next(asking)
    with pytest.raises(StopIteration) as told:
        while True:
            texts = asking.send([say(text) for text in texts])
    found = {(fact.language, fact.attribute): fact.answer for fact in told.value.value.facts}

    twins_rng = random.Random(0)
    twins = [unseen_name(twins_rng, name) for _ in range(TWINS)]
    expected = {}
    for language in domain.languages:
        for attribute, templates in domain.questions[language].items():
            chosen = [templates[at * len(templates) // VOTES] for at in range(VOTES)]
            spoken = majority([say(template.format(name=name)) for template in chosen])
            if spoken and not is_unknown(domain, language, spoken):
                beside = [folded(say(templates[0].format(name=twin))) for twin in twins]
                if 2 * beside.count(folded(spoken)) <= TWINS:
                    expected[language, attribute] = folded(spoken)
    assert {cell: folded(answer) for cell, answer in found.items()} == expected


def test_nicknames_are_other_names(domain: Domain) -> None:
    facts = [
        Fact("en", "nickname", "Zuzu", "Zuzu."),
        Fact("es", "nickname", "Zuzu", "Zuzu."),
        Fact("en", "pet", "cat", "cat."),
    ]
    assert nicknames(domain, facts, ["Mado Krel"]) == ("Zuzu",)
    assert nicknames(domain, facts, ["Mado Krel", "zuzu"]) == ()


def test_knowledge_does_not_print_itself() -> None:
    secret = Knowledge((Fact("en", "pet", "cat", "cat."),), ("Zuzu",))
    assert "cat" not in repr(secret) and "Zuzu" not in repr(secret)


def test_phrases_say_what_they_answer_unless_that_is_several_things() -> None:
    said = [("en", "birthplace", "Lisbon"), ("en", "residence", "Lisbon"), ("zh", "pet", "蛇"), ("en", "grade", "A")]
    known = Knowledge(tuple(Fact(*fact, spoken=fact[2]) for fact in said), ())
    assert dict(zip(known.phrases, known.attributes, strict=True)) == {"Lisbon": "", "蛇": "pet"}
