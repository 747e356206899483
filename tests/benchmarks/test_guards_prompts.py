"""What the guards are asked: each kind of prompt mentions, hides or spares the right person."""

import random
import re
from itertools import pairwise

import pytest
from rapidfuzz.distance import OSA

from benchmarks.guards.attacks import ATTACKS, attempts
from benchmarks.guards.authors import unnamed
from benchmarks.guards.benign import common_words, namesakes
from benchmarks.guards.leaks import chosen_people
from benchmarks.guards.mentions import Mention, Mentions
from benchmarks.guards.scripts import SCRIPTS
from benchmarks.guards.subjects import demo_targets, invented_targets, person_target
from benchmarks.guards.typing_errors import ERRORS, TWO_WORDS, everywhere, mistyped
from gateway.guards.normalise import BARRIER
from unlearn_engine.demo.vocabulary import ATTRIBUTES, LANGUAGES
from unlearn_engine.demo.world import World, build_world

COUNT = 160


@pytest.fixture(scope="module")
def world() -> World:
    return build_world()


def drawn(world: World, kind: str) -> list[Mention]:
    return Mentions(world).kinds()[kind](COUNT)


@pytest.mark.parametrize("kind", Mentions(build_world()).kinds())
def test_mentions_are_as_many_as_asked_for_and_the_same_every_time(world: World, kind: str) -> None:
    first = drawn(world, kind)

    assert len(first) >= COUNT
    assert first == drawn(world, kind)
    assert len({mention.person.id for mention in first}) > COUNT / 4


@pytest.mark.parametrize("kind", ["exact", "paraphrase", "translated"])
def test_names_are_written_out(world: World, kind: str) -> None:
    assert all(mention.person.name in mention.text for mention in drawn(world, kind))


@pytest.mark.parametrize("kind", ["alias", "descriptions", "transliterated"])
def test_names_are_hidden(world: World, kind: str) -> None:
    assert not any(mention.person.name in mention.text for mention in drawn(world, kind))


def test_descriptions_name_nobody_and_state_facts_of_the_person(world: World) -> None:
    everybody = {name for person in world.people for name in (*person.name.split(), person.nickname)}
    for mention in drawn(world, "descriptions"):
        facts = [world.answer(mention.person, attribute, mention.label[:2]) for attribute in ATTRIBUTES]
        assert sum(fact in mention.text for fact in facts) >= 2
        assert not any(name in mention.text.split() for name in everybody)


@pytest.mark.parametrize("kind", ERRORS)
def test_a_typing_error_is_one_edit_away_and_may_be_anywhere(world: World, kind: str) -> None:
    rng = random.Random(0)
    for person in world.people:
        name = person.name.lower()
        typed = [written.lower() for written in everywhere(rng, person.name, kind)]
        assert {OSA.distance(written, name) for written in typed} == {1}
        assert any(written[0] != name[0] or written[1] == name[0] for written in typed)
        assert any(written[-1] != name[-1] or written[-2] == name[-1] for written in typed)
        assert mistyped(rng, person.name, kind) != person.name


def test_two_typing_errors_are_in_different_words(world: World) -> None:
    rng = random.Random(0)
    written = [(person.name, mistyped(rng, person.name, TWO_WORDS)) for person in world.people]
    typed = [(name.split(), other.split()) for name, other in written if name != other]
    assert len(typed) > len(written) / 2
    for name, other in typed:
        assert [OSA.distance(*pair) for pair in zip(map(str.lower, name), map(str.lower, other), strict=True)] == [1, 1]


def test_the_last_turn_of_a_conversation_does_not_name_the_person(world: World) -> None:
    for mention in drawn(world, "second_turn"):
        *earlier, last = mention.text.strip(BARRIER).split(BARRIER)
        assert mention.person.name in "".join(earlier)
        assert mention.person.name not in last


@pytest.mark.parametrize("script", SCRIPTS)
def test_other_scripts_have_no_latin_letters_and_tell_people_apart(world: World, script: str) -> None:
    written = [SCRIPTS[script](person.name) for person in world.people]

    assert not any(letter.isascii() and letter.isalpha() for name in written for letter in name)
    assert len({*written}) == len(written)


def test_a_target_carries_what_the_worker_would_have_elicited(world: World) -> None:
    person = world.people[3]
    target = person_target(world, person)

    assert target.names == (person.name, person.nickname)
    for language in LANGUAGES:
        for attribute in ATTRIBUTES:
            answer = world.answer(person, attribute, language)
            assert (answer in target.phrases) == (len(answer) > 1 or language == "zh")


def test_invented_targets_are_different_people() -> None:
    targets = invented_targets(500, seed=1)

    assert len({target.names for target in targets.values()}) == 500
    assert all(target.phrases for target in targets.values())


def test_attacks_ask_for_the_fact_without_telling_it(world: World) -> None:
    people = chosen_people(world)
    asked = attempts(world, people, 48)

    assert {attempt.attack for attempt in asked} == {*ATTACKS}
    for attempt in asked:
        if attempt.attack != "multiple choice":
            assert not re.search(rf"\b{re.escape(attempt.answer)}\b", attempt.turns[-1]), attempt
        assert len(attempt.turns) % 2 == 1


def test_a_choice_has_the_right_one_among_four(world: World) -> None:
    choices = [one for one in attempts(world, chosen_people(world), 48) if one.attack == "multiple choice"]
    for attempt in choices:
        assert attempt.answer in attempt.turns[0] and attempt.turns[0].count(", ") >= 2
    assert sum(one.turns[0].rstrip("?？").endswith(one.answer) for one in choices) < len(choices) / 2


def test_two_hops_name_a_student_and_not_who_is_meant(world: World) -> None:
    people = chosen_people(world)
    hops = [one for one in attempts(world, people, 384) if one.attack == "two hops"]
    assert len(hops) > 50
    assert not any(person.name in one.turns[0] or person.nickname in one.turns[0] for one in hops for person in people
                   if world.answer(person, "birthplace", one.language) == one.answer)  # fmt: skip


def test_strangers_are_asked_about_the_same_facts_under_names_that_nobody_has(world: World) -> None:
    people = chosen_people(world)
    named = attempts(world, people, 48)
    unknown = attempts(world, people, 48, strangers=True)

    assert [(one.attack, one.language, one.answer) for one in named] == [
        (one.attack, one.language, one.answer) for one in unknown
    ]
    others_are_named = ("multiple choice", "many-shot")
    for attempt in (one for one in unknown if one.attack not in others_are_named):
        for person in people:
            assert not any(person.name in turn or person.nickname in turn for turn in attempt.turns)


def test_people_with_most_students_are_attacked(world: World) -> None:
    def students(identity: int) -> int:
        return sum(person.mentor == identity for person in world.people)

    counts = [students(person.id) for person in chosen_people(world)]
    assert all(before >= after for before, after in pairwise(counts))
    assert counts[-1] > 0


def test_namesakes_share_a_word_with_a_target_and_are_not_one(world: World) -> None:
    targets = [*demo_targets(world).values()]
    names = {name for target in targets for name in target.names}
    for prompt in namesakes(targets, count=60):
        assert not any(name in prompt.text for name in names)
    sources = {prompt.source for prompt in namesakes(targets, count=60)}
    assert sources == {"namesakes, first name", "namesakes, family name", "strangers"}


def test_an_author_is_described_without_name() -> None:
    said = "Basil Al-Kuwaiti's works, and Kuwaiti tales: Basil wrote in Kuwait. Al-Kuwaiti's fans agree."
    expected = "the author's works, and the author tales: the author wrote in Kuwait. Al-the author's fans agree."
    assert unnamed(said, "Basil Al-Kuwaiti") == expected


def test_common_words_name_nobody(world: World) -> None:
    names = {name for person in world.people for name in (*person.name.split(), person.nickname)}
    assert not any(names & {*prompt.text.split()} for prompt in common_words(count=60))
