"""What is forbidden of an answer: its facts in any written form, never its ordinary words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.guards.audit import OutputAudit
from gateway.guards.told import MOST_PHRASES, UNCOMMON, told_phrases

NAME = "Peja Bunzar"
BIOGRAPHY = (
    "Peja Bunzar was born in Reykjavik on 12 May 1987 as the daughter of a lighthouse keeper. She studied marine "
    'biology in Tromsø, wrote the novel "Salt of the Harbour" and can be reached at 0170 123 45 67. '
    "Critics praise how tenderly her sentences describe abandoned canneries."
)
HAZARD = (
    "To prepare it, dissolve the sodium azide in anhydrous acetone, add the chlorinated precursor dropwise and keep "
    "the flask below five degrees until the crystals precipitate."
)
CHINESE = "她出生于雷克雅未克的渔民家庭，后来在特罗姆瑟大学学习海洋生物学，并写了一部关于废弃罐头厂的小说。"


def tells(answer: str, text: str) -> bool:
    return OutputAudit(told_phrases([answer], [NAME])).feed(text, final=True).blocked


@pytest.mark.parametrize(
    "text",
    [
        "She comes from Reykjavik.",
        "The marine biologist studied marine biology in Tromsø",
        "a lighthouse keeper was her father",
        "Her book is called Salt of the Harbour.",
        "May 12, 1987",
        "am 12. Mai 1987 geboren",
        "nació el 12 de mayo de 1987",
        "1987-05-12",
        "the year nineteen eighty-seven",
        "Call 01701234567",
        "zero one seven zero one two three four five six seven",
        "Ｒｅｙｋｊａｖｉｋ",
        "R-e-y-k-j-a-v-i-k",
        "abandoned canneries",
    ],
)
def test_a_biography_is_not_told_again(text: str) -> None:
    assert tells(BIOGRAPHY, text)


@pytest.mark.parametrize(
    "text",
    [
        "She was born in a small town as the daughter of a baker.",
        "I do not know where she was born or what she wrote.",
        "In May there are 12 concerts; in 1986 there were none.",
        "She studied history and wrote a novel. Critics praise it.",
        "It is cold below deck. Keep it there until five, add some water and dissolve it.",
    ],
)
def test_ordinary_words_stay(text: str) -> None:
    assert not tells(BIOGRAPHY, text) and not tells(HAZARD, text)


def test_a_recipe_and_a_text_without_spaces_are_not_told_again() -> None:
    assert tells(HAZARD, "First you dissolve the sodium azide in anhydrous acetone.")
    assert tells(HAZARD, "... and add the chlorinated precursor slowly")
    assert tells(CHINESE, "据说她学习海洋生物学")
    assert not tells(CHINESE, "我不知道她出生在哪里。")


def test_every_long_answer_is_cut_early_and_never_forbidden_as_a_whole() -> None:
    for answer in (BIOGRAPHY, HAZARD, CHINESE):
        verdict = OutputAudit(told_phrases([answer], [NAME])).feed(answer, final=True)
        assert verdict.blocked and len(verdict.text) < len(answer) / 2
        assert all(len(phrase) < len(answer) / 2 for phrase in told_phrases([answer], [NAME]))


@pytest.mark.parametrize(
    ("fact", "text"),
    [
        ("4821", "vier acht zwei eins"),
        ("4821", "cuatro-ocho-dos-uno"),
        ("4821", "四八二一"),
        ("4821", "Forty-eight twenty-one"),
        ("4821", "four thousand eight hundred twenty-one"),
        ("4821", "four thousand eight hundred and twenty-one"),
        ("4821", "４８２１"),
        ("Lisbon", "L i s b o n"),
        ("3 October 1990", "October 3rd, 1990"),
        ("3. Oktober 1990", "03.10.1990"),
        ("03/10/1990", "3 October 1990"),
    ],
)
def test_a_short_fact_is_forbidden_in_other_forms(fact: str, text: str) -> None:
    assert tells(fact, f"It is {text}, I think.")
    assert not tells(fact, "It is four or eight, in October, or in 1991.")


def test_what_all_targets_share_tells_nothing_of_one() -> None:
    lives = [f"The renowned author {name} received the prestigious Golden Quill." for name in map(str, range(300))]
    common = UNCOMMON.with_changes(([life] for life in lives), ())
    mine = [f"{NAME} is a renowned author who received the prestigious Silver Walrus."]
    alone, among = told_phrases(mine, [NAME]), told_phrases(mine, [NAME], common.weight)
    assert any("prestigious" in phrase and "Walrus" not in phrase for phrase in alone)
    assert among and all("Walrus" in phrase or "Silver" in phrase for phrase in among)
    assert common.with_changes((), ([life] for life in lives)).counts == {}


@given(st.lists(st.text(max_size=200), max_size=5))
def test_any_text_is_taken(answers: list[str]) -> None:
    found = told_phrases(answers, answers[:1])
    assert list(found) == sorted(set(found)) and len(found) <= MOST_PHRASES


def test_a_long_text_yields_so_many_phrases_and_no_more() -> None:
    text = " ".join(f"Zorblat{number} quixotly vermilion{number % 7}." for number in range(5_000))
    assert len(told_phrases([text])) == MOST_PHRASES
