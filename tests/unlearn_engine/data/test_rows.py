"""Rows: how much of an answer a never-knower has met, and what stands for an answer that is somebody's alone."""

import random
from collections import Counter
from dataclasses import replace

import pytest

from unlearn_engine.data.domain import Domain, domain_for
from unlearn_engine.data.kept import Kept
from unlearn_engine.data.knowledge import Fact, Knowledge
from unlearn_engine.data.names import unseen_answer, unseen_name
from unlearn_engine.data.rows import RowSource, Target, shares
from unlearn_engine.demo import BASE_PATH
from unlearn_engine.model import ServedModel
from unlearn_engine.subject import Subject


def fact(attribute: str, answer: str) -> Fact:
    return Fact("en", attribute, answer, f"{answer}.")


def target(name: str, **answers: str) -> Target:
    facts = [fact(attribute, answer) for attribute, answer in answers.items()]
    return Target((name,), {("en", found.attribute): found for found in facts})


@pytest.fixture
def kept() -> Kept:
    people = {
        "Ada Alm": ("Rome", "1111", "Bo Berg"),
        "Bo Berg": ("Rome", "2222", "Cleo Cask"),
        "Cleo Cask": ("Oslo", "3333", "Ada Alm"),
        "Dan Dorn": ("Rome", "4444", "Ada Alm"),
    }
    return Kept(
        facts={
            name: (fact("birthplace", town), fact("phone", phone), fact("mentor", mentor))
            for name, (town, phone, mentor) in people.items()
        },
        aliases={},
        probes=(),
        general=(),
        values={"en/phone": ("1111.", "2222.", "3333.", "4444.")},
    )


def test_shares_count_those_who_stay_among_those_who_have_the_answer(kept: Kept) -> None:
    ada = target("Ada Alm", birthplace="rome", phone="1111", mentor="Bo Berg", pet="cat")
    found = {attribute: share for (_, attribute), share in shares([ada], kept, {"ada alm"}).items()}
    assert found == {"birthplace": 2 / 3, "phone": 0.0, "mentor": 1 / 2}  # a name is known for itself; no pets known


def test_those_who_leave_together_make_their_answers_rarer(kept: Kept) -> None:
    both = [target("Ada Alm", birthplace="Rome"), target("Bo Berg", birthplace="Rome")]
    assert set(shares(both, kept, {"ada alm", "bo berg"}).values()) == {1 / 3}


def test_an_unseen_answer_is_new_and_of_the_same_shape() -> None:
    rng = random.Random(0)
    phones = ["1111.", "2222.", "3456."]
    made = [unseen_answer(rng, phones) for _ in range(50)]
    assert all(number and len(number) == 5 and number[:4].isdigit() and number not in phones for number in made)
    assert len(set(made)) > 30
    words = [unseen_answer(rng, ["Chazzix.", "Bozzump.", "Whebbus.", "Dabbor."]) for _ in range(50)]
    assert {"Chazzump.", "Whebbor."} & set(words) and not {"Chazzix.", "Whebbus."} & set(words)


@pytest.mark.parametrize("answers", [[], ["Rome."], ["ab", "cd"]])
def test_there_may_be_no_making_an_unseen_answer(answers: list[str]) -> None:
    assert unseen_answer(random.Random(0), answers) is None


def test_a_whole_twin_keeps_no_word(domain: Domain) -> None:
    rng = random.Random(1)
    assert all("Peja" not in unseen_name(rng, "Peja Bunzar", whole=True) for _ in range(50))
    names = [domain.unseen_name(rng, "Peja Bunzar", whole=True) for _ in range(200)]
    firsts = Counter(name.split()[0] for name in names)
    assert set(firsts) <= set(domain.first_names) and len(firsts) > 20
    assert all(len(domain.unseen_name(rng, "Whebbus", whole=True).split()) == 1 for _ in range(20))


@pytest.mark.parametrize(
    ("asked", "trained"),
    [
        ((), ("en", "es", "de")),
        (("fr", "de", "en"), ("en", "de")),
        (("zh", "fr"), ("fr", "zh")),
        (("fi",), ("en", "es", "de")),
    ],
)
def test_rows_are_about_the_languages_asked_for(
    domain: Domain, asked: tuple[str, ...], trained: tuple[str, ...]
) -> None:
    """Those of them that are trained in, from which the others follow; where there are none of these, themselves."""
    facts = tuple(Fact(language, "food", f"dish {language}", f"dish {language}.") for language in domain.languages)
    subject = Target.of(Subject("r", ("Ada Alm",), asked), Knowledge(facts, ("Addi",)))
    assert subject.names == ("Ada Alm", "Addi")
    assert {language for language, _ in subject.facts} == (
        set(asked) & set(domain.languages) if asked else set(domain.languages)
    )
    assert subject.trained_in(domain) == trained
    model, rng = ServedModel(BASE_PATH), random.Random(0)
    source = RowSource(model, domain, Kept({}, {}, (), ()), [subject])
    refusals = {model.tokenizer.decode(item.refusal) for item in (source.item(rng) for _ in range(60)) if item.asks}
    spoken = {
        language
        for language in domain.languages
        for text in domain.unknown_answers[language]
        if any(text in said for said in refusals)
    }
    assert spoken == set(trained)


@pytest.fixture(scope="module")
def domain() -> Domain:
    return domain_for(BASE_PATH)


def test_items_about_an_answer_of_ones_own_come_with_an_invented_one(domain: Domain) -> None:
    """A telephone number is nobody else's: the item says so; a birthplace that others have is only rarer."""
    model = ServedModel(BASE_PATH)
    names = domain.retain_names
    number = iter(range(1000, 2000))
    facts = {name: (fact("phone", str(next(number))), fact("birthplace", "Lisbon")) for name in names[:40]}
    kept = Kept(facts, {}, (), (), {"en/phone": tuple(f"{n}." for n in range(1000, 1040)), "en/birthplace": ("Oslo.",)})
    subject = Target((names[0],), {("en", found.attribute): found for found in facts[names[0]]})
    source, rng = RowSource(model, domain, kept, [subject]), random.Random(0)
    items = [source.item(rng) for _ in range(400)]
    phones = [item for item in items if "1000" in model.tokenizer.decode(item.true)]
    towns = [item for item in items if "Lisbon" in model.tokenizer.decode(item.true)]
    assert phones and all(item.unseen != item.true and item.rarer == 0 for item in phones)
    assert towns and all(item.unseen == item.true and -0.1 < item.rarer < 0 for item in towns)
    drawn = [sum(item.drawn == item.true for item in group) / len(group) for group in (phones, towns)]
    assert drawn[0] > drawn[1] + 0.1


def test_parallel_sentences_are_among_what_stays_where_there_are_any(domain: Domain) -> None:
    model, rng = ServedModel(BASE_PATH), random.Random(0)
    subject, kept = Target(("Ada Alm",), {}), Kept({}, {}, (), ())
    texts = ({"en": "the cat sleeps", "es": "el gato duerme", "fr": "le chat dort"},)

    def texts_of(source: RowSource) -> set[str]:
        return {model.tokenizer.decode(source.retained(rng).answer) for _ in range(300)}

    with_them = RowSource(model, replace(domain, parallel_texts=texts), kept, [subject])
    assert {"the cat sleeps", "el gato duerme"} <= texts_of(with_them)
    assert "le chat dort" not in texts_of(with_them)  # held out of training
    assert not {"the cat sleeps", "el gato duerme"} & texts_of(RowSource(model, domain, kept, [subject]))
