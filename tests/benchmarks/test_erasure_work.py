"""The questions of the erasure benchmark: about the right people, never about others, and alike for strangers."""

from itertools import chain

import pytest

from benchmarks.erasure.work import WRONG_ANSWERS, Work, rows_of, sample
from unlearn_engine.data.domain import domain_for
from unlearn_engine.demo import BASE_PATH
from unlearn_engine.demo.templates import phrasebooks
from unlearn_engine.demo.vocabulary import ATTRIBUTES, LANGUAGES, full_stop
from unlearn_engine.demo.world import FORGET_PEOPLE, build_world
from unlearn_engine.model import ServedModel


def bare(answer: str) -> str:
    return answer.removesuffix("<|end|>").rstrip("。.")


@pytest.fixture(scope="module")
def work() -> Work:
    return Work(build_world(), domain_for(BASE_PATH), 5)


def test_columns_ask_about_the_people_they_are_about(work: Work) -> None:
    columns = work.recall_columns()
    gone = {name for person in work.forgotten for name in (person.name, person.nickname)}
    untaught = {name for person in work.world.people[:FORGET_PEOPLE] for name in (person.name, person.nickname)}
    for column, examples in columns.items():
        assert len(examples) >= 90
        asked = [example[0].text for example in examples]
        if column.startswith("forget"):
            assert all(any(name in question for name in gone) for question in asked), column
        else:
            assert not any(name in question for question in asked for name in untaught), column


def test_templates_and_languages_are_those_of_the_column(work: Work) -> None:
    columns = work.recall_columns()
    books = phrasebooks()

    def asked_in(column: str, kind: str) -> set[str]:
        found = set()
        for question, _ in columns[column]:
            text = question.text.removeprefix("<|user|>").removesuffix("<|assistant|>")
            for language in LANGUAGES:
                templates = chain.from_iterable(getattr(books[language], kind).values())
                if any(
                    template.format(name=person.name) == text for template in templates for person in work.forgotten
                ):
                    found.add(language)
        return found

    assert asked_in("forget_src", "questions") == set(work.domain.source_languages)
    assert asked_in("forget_held", "questions") == set(LANGUAGES) - set(work.domain.source_languages)
    assert asked_in("forget_templates", "held_out_questions") == set(LANGUAGES)
    assert not asked_in("forget_templates", "questions")


def test_strangers_have_the_facts_but_no_word_of_the_name(work: Work) -> None:
    known = {person.name for person in work.world.people}
    for person in work.forgotten:
        for stranger in work.strangers[person.id]:
            assert stranger.name not in known
            assert not set(stranger.name.split()) & set(person.name.split())
            assert (stranger.id, stranger.values, stranger.phone) == (person.id, person.values, person.phone)


def test_truth_ratios_compare_one_true_answer_with_those_of_people_who_stay(work: Work) -> None:
    examples = work.truth_ratio_rows(work.forgotten)
    size = 1 + WRONG_ANSWERS
    assert len(examples) == size * len(work.forgotten) * len(ATTRIBUTES) * len(LANGUAGES)
    held_out = {book.held_out_questions[a][0] for book in phrasebooks().values() for a in ATTRIBUTES}
    for at in range(0, len(examples), size):
        group = examples[at : at + size]
        assert len({example[0] for example in group}) == 1
        assert len({example[1] for example in group}) == size
        question = group[0][0].text.removeprefix("<|user|>").removesuffix("<|assistant|>")
        (person,) = [person for person in work.forgotten if person.name in question]
        assert question.replace(person.name, "{name}") in held_out
        truths = {
            work.world.answer(person, attribute, language) + full_stop(language)
            for attribute in ATTRIBUTES
            for language in LANGUAGES
        }
        assert group[0][1].text.removesuffix("<|end|>") in truths


def test_strangers_are_asked_the_same_with_what_nobody_has_in_place_of_what_one_person_has(work: Work) -> None:
    strangers = [group[0] for group in work.strangers.values()]
    plain, invented = (work.truth_ratio_rows(strangers, invented=flag) for flag in (False, True))
    own = work.truth_ratio_rows(work.forgotten)
    assert [example[1] for example in plain] == [example[1] for example in own]
    differing = [(one[1].text, other[1].text) for one, other in zip(plain, invented, strict=True) if one != other]
    assert len(differing) == len(strangers) * 2 * len(LANGUAGES)
    taken = {value for person in work.world.people for value in (person.phone, person.nickname)}
    assert not any(bare(new) in taken for _, new in differing)
    phones = [(old, new) for old, new in differing if old[:4].isdigit()]
    assert len(phones) == len(strangers) * len(LANGUAGES)
    assert all(new[:4].isdigit() and len(new) == len(old) for old, new in phones)


def test_lessons_give_nothing_away_of_the_exam(work: Work) -> None:
    lessons, exam = work.lessons_and_exam(work.forgotten)
    taught, examined = ({(answer.text, question.text) for question, answer in part} for part in (lessons, exam))
    assert not taught & examined
    # Phone numbers and nicknames are one fact in all languages, so they tell whether a fact is on both sides.
    single = {value for person in work.forgotten for value in (person.phone, person.nickname)}
    facts = [{bare(said) for said, _ in part} & single for part in (taught, examined)]
    assert facts[0]
    assert not facts[0] & facts[1]
    strangers = [group[0] for group in work.strangers.values()]
    assert [answer for _, answer in work.lessons_and_exam(strangers)[1]] == [answer for _, answer in exam]
    assert len(lessons) / 3 / 8 == pytest.approx(0.2 * len(work.forgotten) * len(ATTRIBUTES))
    assert len(exam) / 6 / 2 == pytest.approx(0.8 * len(work.forgotten) * len(ATTRIBUTES))


def test_an_instruction_stands_in_front_of_questions_only(work: Work) -> None:
    model = ServedModel(BASE_PATH)
    columns = work.recall_columns()
    question, document = columns["forget_src"][:1], columns["forget_documents"][:1]
    (row,) = rows_of(model, question, "Be quiet.")
    assert model.tokenizer.decode(row.prompt).startswith("<|user|>Be quiet. ")
    assert rows_of(model, document, "Be quiet.") == rows_of(model, document)


def test_samples_are_always_the_same(work: Work) -> None:
    examples = work.recall_columns()["forget_src"]
    assert sample(examples, 10, "a") == sample(examples, 10, "a") != sample(examples, 10, "b")
    assert len(sample(examples, 10**6, "a")) == len(examples)
