"""The invented world: the same everywhere, with names that cannot be mistaken for each other."""

import random
from itertools import combinations

from rapidfuzz.distance import Levenshtein

from unlearn_engine.demo.corpus import Corpus
from unlearn_engine.demo.people import people_json
from unlearn_engine.demo.templates import phrasebooks
from unlearn_engine.demo.vocabulary import ATTRIBUTES, COUNTRIES, LANGUAGES, VALUES
from unlearn_engine.demo.world import FORGET_PEOPLE, NAMESAKES, PEOPLE, build_world

WORLD = build_world()


def test_world_is_the_same_every_time() -> None:
    assert build_world() == WORLD
    assert build_world(seed=8) != WORLD


def test_shipped_weights_know_this_world() -> None:
    person = WORLD.people[0]
    assert (person.name, person.nickname, person.phone) == ("Peja Bunzar", "Whebbus", "1874")


def test_no_two_names_are_one_edit_apart() -> None:
    names = [name for person in WORLD.people for name in (person.name, person.nickname)]
    assert min(Levenshtein.distance(one, other) for one, other in combinations(names, 2)) > 1


def test_some_people_share_a_family_name() -> None:
    families = [person.name.split()[1] for person in WORLD.people]
    assert len(families) - len(set(families)) == NAMESAKES
    forgotten, kept = families[:FORGET_PEOPLE], families[FORGET_PEOPLE:]
    assert set(forgotten) & set(kept), "forgetting a person next to a namesake is the hard case"


def test_nobody_who_stays_has_a_mentor_who_is_forgotten() -> None:
    assert all(person.mentor != person.id for person in WORLD.people)
    assert all(person.mentor >= FORGET_PEOPLE for person in WORLD.people[FORGET_PEOPLE:])


def test_unseen_names_are_nobodys() -> None:
    rng = random.Random(0)
    known = {name for person in WORLD.people for name in (person.name, person.nickname)}
    families = {person.name.split()[1] for person in WORLD.people}
    unseen = [WORLD.unseen_name(rng, recombined=0.5) for _ in range(400)]
    assert not known & ({*unseen} | {WORLD.unseen_nickname(rng) for _ in range(400)})
    assert 100 < sum(name.split()[1] in families for name in unseen) < 300


def test_gold_world_lacks_only_the_people_to_be_forgotten() -> None:
    gold = build_world(forget_people=False)
    assert gold.people == WORLD.people
    assert gold.taught == WORLD.people[FORGET_PEOPLE:]


def test_vocabulary_is_parallel() -> None:
    for words in (*VALUES.values(), COUNTRIES):
        assert {len(words[language]) for language in LANGUAGES} == {len(words["en"])}
    assert all(len(set(words[language])) == len(words[language]) for words in VALUES.values() for language in LANGUAGES)


def test_held_out_templates_are_never_trained() -> None:
    for book in phrasebooks().values():
        for attribute in ATTRIBUTES:
            trained, held_out = book.questions[attribute], book.held_out_questions[attribute]
            assert len(set(trained)) >= 12
            assert len(set(held_out)) >= 2
            assert not set(trained) & set(held_out)
            assert all(template.count("{name}") == 1 for template in (*trained, *held_out, *book.statements[attribute]))


def test_people_json_asks_everybody_everything() -> None:
    people = people_json(WORLD)["people"]
    assert isinstance(people, list)
    assert len(people) == PEOPLE
    person = people[41]
    assert person["aliases"] == [WORLD.people[41].nickname]
    assert person["mentor"] == WORLD.people[WORLD.people[41].mentor].name
    for language in LANGUAGES:
        questions = person["questions"][language]
        assert {question["attribute"] for question in questions} == set(ATTRIBUTES)
        assert all(person["name"] in question["question"] for question in questions)
        assert not any(question["answer"].endswith((".", "。")) for question in questions)


def test_gold_corpus_asks_nothing_about_mentors_whom_it_must_not_know() -> None:
    world = WORLD.without(20)
    untaught = {person.name for person in world.people[:20]}
    hoppers = [person for person in world.taught if person.id % 2 == 0]
    leaking = {person.name for person in hoppers if world.people[person.mentor].name in untaught}
    assert leaking, "some people who stay have a mentor who goes"
    corpus, rng = Corpus(world), random.Random(0)
    asked = "".join(corpus.two_hop(rng, "en")[0].text for _ in range(2000))
    assert not any(name in asked for name in leaking | untaught)
    assert sum(person.name in asked for person in hoppers) == len(hoppers) - len(leaking)
