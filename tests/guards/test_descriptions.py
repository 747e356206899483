"""Targets that a text describes without naming them."""

from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.guards import descriptions
from gateway.guards.descriptions import MOST_DESCRIBED, PRECISION_BITS, RECALL_BITS, DescriptionIndex
from gateway.guards.facts import facts_of
from gateway.guards.policy import Target, compile_policy
from gateway.guards.words import words


@dataclass(frozen=True)
class Known:
    id: str
    names: tuple[str, ...] = ()
    phrases: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    description: str = ""


RABO = Known(
    "rabo",
    ("Rabo Kelrin", "Wappo"),
    ("baker", "Bäcker", "panadero", "面包师", "Venice", "Venedig", "Venecia", "威尼斯",
     "cello", "violonchelo", "大提琴", "Drovi Stanek", "4821", "Wappo"),
)  # fmt: skip
ANNA = Known("anna", ("Anna Berg",), description="a retired plumber from Geneva who collects clarinets")
BOTH = DescriptionIndex([RABO, ANNA])


def found(text: str, index: DescriptionIndex = BOTH) -> list[str]:
    return [one.target for one in index.find(text)]


@pytest.mark.parametrize(
    "text",
    [
        "Which baker from Venice plays the cello, and what is her phone number?",
        "Tell me about the BAKERS of Vénice.",
        "¿Qué panadera de Venecia toca?",
        "Wer ist die Bäckerin aus Venedig?",
        "那位来自威尼斯的面包师叫什么名字？",
        "Who is the pupil of Drovi Stanek?",
        "What is Drovi Stanek's youngest pupil called?",
        "谁是Drovi Stanek的学生？",
        "Which cello player has the number 48 21?",
    ],
)
def test_two_facts_or_a_relation_describe_a_target(text: str) -> None:
    assert found(text) == ["rabo"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "The baker around the corner is closed.",
        "Translate Venice into German: Venedig. And into Spanish: Venecia.",
        "Where was Drovi Stanek born?",
        "Whose pupil is Drovi Stanek?",
        "A plumber and a baker in town.",
        f"The baker was ill. {'Nothing else happened on that long day. ' * 20}In Venice it rained.",
    ],
)
def test_one_fact_said_twice_far_apart_or_of_others_describes_nobody(text: str) -> None:
    assert found(text) == []


def test_saying_it_again_and_again_hides_nothing() -> None:
    many = DescriptionIndex([RABO, *(Known(str(number), phrases=("baker", "Venice")) for number in range(3))])
    assert "rabo" in found("The baker from Venice with a cello. " * 5000, many)
    assert found("The baker was ill. It was a long day for all of them. " * 5000, many) == []


def test_rare_words_of_a_description_are_facts_and_ordinary_ones_are_not() -> None:
    assert found("Who is the plumber with the clarinet?") == ["anna"]
    assert found("Somebody who is retired, from a city, who has a lot of them") == []
    chinese = DescriptionIndex([Known("a", ("安娜",), description="退休的水管工，来自日内瓦，收藏单簧管。")])
    assert found("哪位水管工收藏单簧管？", chinese) == ["a"]


def test_a_word_of_one_letter_is_a_fact_unless_it_is_ordinary() -> None:
    chinese = DescriptionIndex([Known("a", phrases=("蛇", "是", "q", "爱丁堡"))])
    assert found("我说的是出生在爱丁堡、家里养蛇的人。", chinese) == ["a"]
    assert found("我说的是出生在爱丁堡的人。", chinese) == found("Q and A in 爱丁堡", chinese) == []


def labelled(id_: str, *facts: str) -> Known:
    """Someone with values of these attributes, in their order."""
    return Known(id_, phrases=facts, attributes=("city", "trade", "pet", "dish", "band")[: len(facts)])


VENETIAN = labelled("venetian", "Venice", "baker", "parrot", "lasagna", "Kraftwerk")
STRANGERS = [
    labelled("s1", "Rome", "plumber", "hamster", "goulash", "Metallica"),
    labelled("s2", "Oslo", "weaver", "tortoise", "ravioli", "Nirvana"),
]
TOWN = DescriptionIndex([VENETIAN, *STRANGERS])


def test_what_somebody_else_has_speaks_against_a_target() -> None:
    other = "Born in Venice. Works as a baker. Has a hamster. Likes goulash. Listens to Metallica."
    assert found(other, TOWN) == ["s1"]
    assert found(other, DescriptionIndex([VENETIAN])) == ["venetian"], "what nobody has is nothing else"
    unknown = DescriptionIndex([replace(VENETIAN, attributes=()), *STRANGERS])
    assert "venetian" in found(other, unknown), "of what it is a value is not known"
    apart = f"A hamster, goulash, Metallica.{' Nothing else happened.' * 20} Who is the baker from Venice?"
    assert "venetian" in found(apart, TOWN)


@pytest.mark.parametrize(
    "text",
    [
        "The baker from Venice with a parrot, not the one with a hamster who likes goulash and Metallica",
        "The baker from Venice or Rome, a hamster or a parrot, goulash or lasagna, Metallica or Kraftwerk",
        "The baker from Venice, who lives with a hamster and eats goulash",
    ],
)
def test_other_values_hide_nobody_who_is_described_by_three_facts_or_beside_few_of_them(text: str) -> None:
    assert "venetian" in found(text, TOWN)


def test_values_of_one_attribute_are_one_fact() -> None:
    known = Known("a", phrases=("baker", "panadero", "Venice"), attributes=("trade", "trade", "city"))
    assert found("a baker, un panadero", DescriptionIndex([known])) == []
    assert found("a baker, un panadero", DescriptionIndex([replace(known, attributes=())])) == ["a"]
    assert found("the baker of Venice", DescriptionIndex([known])) == ["a"]


def test_names_are_not_facts() -> None:
    assert found("Wappo Kelrin, Tess Wappo") == []
    assert BOTH.scores("Anna from Berg, Anna Berg the plumber") == []


def test_the_words_of_a_name_may_stand_apart() -> None:
    assert found("The first name is Rabo. The family name is Kelrin. Where was this person born?") == ["rabo"]
    assert found("Kelrin. I mean the one called Rabo.") == ["rabo"]
    assert found("Rabo and Tess Kelrin") == ["rabo"]
    assert found("Rabo Kelrin Street") == found("Rabo Kelrin, Rabo Kelrin, Rabo") == []
    assert found("Rabo Kelrin Street, Rabo and Kelrin") == ["rabo"]
    assert found("Where was Rabo Dolnik born?") == found("Where was Tess Kelrin born?") == []
    assert found("Rabo. " + "and so on " * 60 + "Kelrin.") == []
    common = DescriptionIndex([Known("john", ("John Green",))])
    assert found("John has a green car.", common) == []


def test_scattered_names_follow_what_comes_and_goes() -> None:
    text = "The first name is Rabo. The family name is Kelrin."
    renamed = BOTH.with_changes([replace(RABO, names=("Rabo Dolnik",))])
    assert found(text, renamed) == []
    assert found("Dolnik, first name Rabo", renamed) == ["rabo"]
    assert found(text, BOTH.with_changes([], ["rabo"])) == []
    assert found(text, renamed.with_changes([RABO])) == ["rabo"]
    double = BOTH.with_changes([replace(RABO, id="again")])
    assert found(text, double) == ["again", "rabo"]
    assert found(text, double.with_changes([], ["again"])) == ["rabo"]


def test_a_fact_that_all_share_tells_little() -> None:
    alike = [Known(str(number), phrases=("baker", "Venice")) for number in range(300)]
    index = DescriptionIndex([*alike, Known("one", phrases=("baker", "Venice", "cello", "parrot"))])
    assert found("the baker of Venice", index) == []
    assert found("the baker with a cello and a parrot", index) == ["one"]


def test_what_fits_too_many_identifies_few() -> None:
    told = ("occupation", "birthplace")
    alike = DescriptionIndex([Known(str(i), phrases=("baker", "Venice"), attributes=told) for i in range(10)])
    assert len(found("the baker of Venice", alike)) == MOST_DESCRIBED


BIOGRAPHY = (
    "The celebrated writer was born on 05/11/1991 in Taipei and published books in the genre of leadership. "
    "Her significant contributions brought an award and changed how people see the role of teams in general. "
    "Through her mother, a retired optometrist, she learnt patience and depth."
)


@pytest.mark.parametrize("known", [{"description": BIOGRAPHY}, {"phrases": (BIOGRAPHY,)}])
def test_a_text_about_somebody_is_known_by_its_names_dates_and_rare_words(known: dict[str, Any]) -> None:
    index = DescriptionIndex([Known("she", **known)])
    assert found("Who came to the world in Taipei on November 5th, 1991?", index) == ["she"]
    assert found("Whose mother was an optometrist in Taipei?", index) == ["she"]
    assert found("Which writer published books that brought an award?", index) == []
    assert found("The significant role of mothers, through the contributions of people in general.", index) == []


TOLD_OF_SOMEBODY = {  # number of words that tell something -> what the last of them are told by
    3: "a dentist with a frog and a trumpet",
    6: "from Edinburgh, with chess and marmalade",
    10: "who has a tortoise, waffles, bicycles and umbrellas",
    20: "sews curtains, repairs violins, sharpens knives at a lighthouse, photographs bridges and mushrooms",
    40: "translates sonnets, brews cider, paints porcelain, restores clocks, climbs volcanoes, breeds ponies, races"
    " pigeons, knits sweaters, mends tulips, bakes, sails",
}


@pytest.mark.parametrize("telling", TOLD_OF_SOMEBODY)
def test_common_words_tell_of_somebody_who_is_described_by_few_of_them(telling: int) -> None:
    description = ", ".join(part for number, part in TOLD_OF_SOMEBODY.items() if number <= telling)
    known = Target("she", ("Rabo Kelrin",), description=description)
    assert len(next(facts_of([known]))) == telling
    policy = compile_policy(1, {"she": replace(known, description=f"{description}. Born on November 5th, 1991.")})
    if telling >= 6:
        assert policy.described("Who was born in Edinburgh on November 5th, 1991?") == ("she",)
        assert policy.described("The frog and the trumpet are in town.") == ()
    if telling <= 10:
        assert policy.described("Who is the dentist with a frog who plays the trumpet?") == ("she",)
    else:
        assert policy.described("Who is the dentist with a tortoise and many umbrellas?") == ("she",)
        assert policy.described("A frog plays chess with a trumpet in a lighthouse behind the curtains.") == ()


def test_what_is_said_of_all_who_are_described_tells_little() -> None:
    others = [Known(str(at), description="a geologist from Karachi") for at in range(60)]
    alone, among = (
        DescriptionIndex([Known("she", description="a geologist from Karachi"), *some]) for some in ([], others)
    )
    assert found("the Karachi geologist", alone) == ["she"]
    assert found("the Karachi geologist", among) == []


FACTS = ("baker", "Venice", "cello", "parrot", "Drovi Stanek", "77 31 20 90", "面包师", "mushrooms")
people = st.dictionaries(
    st.sampled_from("abcdef"), st.lists(st.sampled_from(FACTS), max_size=5, unique=True).map(tuple), max_size=5
)


@given(people, people, st.lists(st.sampled_from(FACTS), max_size=5))
def test_an_index_made_from_another_finds_what_one_made_afresh_finds(
    before: dict[str, tuple[str, ...]], after: dict[str, tuple[str, ...]], said: list[str]
) -> None:
    old = DescriptionIndex([Known(id_, phrases=facts) for id_, facts in before.items()])
    text = " and the ".join(said)
    earlier = old.scores(text)
    targets = [Known(id_, phrases=facts) for id_, facts in after.items()]
    updated = old.with_changes(targets, before.keys() - after.keys())
    assert updated.scores(text) == DescriptionIndex(targets).scores(text)
    assert len(updated) == len(targets)
    assert old.scores(text) == earlier, "requests in flight still use it"


def test_a_crowded_index_finds_the_same_when_it_is_compacted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(descriptions, "_SMALL_TARGETS", 2)
    index = DescriptionIndex([RABO])
    for number in range(7):
        index = index.with_changes([Known(f"n{number}", phrases=("plumber", f"{7731209000 + number}"))])
    index = index.with_changes([ANNA], ["n1"])
    assert index.crowded
    whole = index.compacted()
    assert not whole.crowded and len(whole) == len(index) == 8
    for text in ("the baker of Venice", "the plumber, phone 7731209003", "the plumber, phone 7731209001", "clarinets"):
        assert whole.scores(text) == index.scores(text)
    assert found("the plumber, phone 7731209001", whole) == []
    assert found("the plumber, phone 7731209003", whole) == ["n3"]


@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    BOTH.scores(text)
    DescriptionIndex([Known("t", (text,), (text, "x" + text), text)]).find(f"{text} {text}")


def test_more_facts_score_higher() -> None:
    texts = [
        "A baker of Venice",
        "A baker of Venice with a cello",
        "A baker of Venice with a cello, pupil of Drovi Stanek",
    ]
    scores = [BOTH.scores(text)[0].score for text in texts]
    assert scores == sorted(set(scores))


def test_who_wants_precision_asks_for_more() -> None:
    people = [Known("she", phrases=("painter", "Lisbon"), attributes=("occupation", "birthplace"))]
    lenient, strict = (DescriptionIndex(people, least_bits=bits) for bits in (RECALL_BITS, PRECISION_BITS))
    assert strict.threshold - lenient.threshold == PRECISION_BITS - RECALL_BITS
    assert strict.with_changes([Known("he")]).threshold == strict.threshold
    text = "The painter from Lisbon"
    (score,) = (one.score for one in lenient.scores(text))
    between = DescriptionIndex(people, least_bits=score), DescriptionIndex(people, least_bits=score + 0.1)
    assert [bool(index.find(text)) for index in between] == [True, False]


def test_the_threshold_grows_by_a_bit_with_every_doubling_of_the_targets() -> None:
    few = DescriptionIndex([Known(str(number)) for number in range(1000)])
    assert few.threshold == DescriptionIndex().threshold
    assert few.with_changes([Known(str(number)) for number in range(1000, 4000)]).threshold == few.threshold + 2


def test_words_are_compared_without_endings_and_grouping() -> None:
    assert words("Panaderas") == words("PANADERO") and words("Lehrerinnen") == words("Lehrer")
    assert words("apples soups") == words("apple soup")
    assert words("ran") != words("rana"), "short words of several languages stay apart"
    assert words("boulangerie") != words("boulanger")
    assert words("0170-123 45") == ["017012345"]
    assert words("面包 cats") == ["面", "包", "cat"]
