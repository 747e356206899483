"""Names given in another script, asked about in Latin letters: every romanisation is read, other people are not."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.guards.matcher import NameMatcher

ROMANISED = {
    "Екатерина Щербакова": "Yekaterina Shcherbakova|Ekaterina Ščerbakova|Jekaterina Schtscherbakowa|E. Shcherbakova",
    "Юлия Жукова": "Iuliia Zhukova|Julija Žukova|Ioulia Joukova|ZHUKOVA Yulia",
    "Дмитрий Чайковский": "Dmitri Tchaikovsky|Dmitrii Chaikovskii|Dmitri Tschaikowski|dmitry tchaikovsky",
    "Володимир Гриценко": "Volodymyr Hrytsenko|Wolodymyr Hryzenko",
    "Νίκος Καζαντζάκης": "Nikos Kazantzakis|Níkos Kazantzákis|Kazantzakis, Nikos",
    "Γιώργος Παπαδόπουλος": "Giorgos Papadopoulos|Yorgos Papadopoulos",
    "سمير حداد": "Samir Haddad|Sameer Haddad|Samīr Ḥaddād",
    "خالد المنصوري": "Khaled Al-Mansouri|Khalid al-Mansuri",
    "رضا کریمی": "Reza Karimi|Riza Karimi",
    "राम शर्मा": "Ram Sharma|Rām Śarmā",
    "विवेक अग्रवाल": "Vivek Agarwal|Vivek Agrawal",
    "欧阳娜娜": "Ouyang Nana|Nana Ouyang",
    "김민수": "Kim Min-su|Minsu Kim|Gim Minsu",
}
CASES = [(name, written) for name, ways in ROMANISED.items() for written in ways.split("|")]


@pytest.mark.parametrize(("name", "written"), CASES)
def test_a_name_is_found_in_latin_letters(name: str, written: str) -> None:
    text = f"where was {written} born?"
    found = NameMatcher({"a": [name], "b": ["Томи Велмон"]}).find(text)
    assert [(text[m.start : m.end], m.target) for m in found] == [(written, "a")]


@pytest.mark.parametrize(
    "text",
    [
        "Where do Yekaterina Petrova and Anna Shcherbakova live?",
        "Dmitria Tchaikovskaya wrote to Nikita Kazan",
        "Samir Karimi and Reza Haddad",
        "Ram and Sharma, Rama Varma",
        "The Ministry of Agriculture in Kyoto",
    ],
)
def test_other_people_are_left_alone(text: str) -> None:
    assert NameMatcher({name: [name] for name in ROMANISED}).find(text) == []


def test_exclusions_hold_in_latin_letters() -> None:
    matcher = NameMatcher({"a": ["Дмитрий Чайковский"]}, {"a": ["Dmitri Tchaikovsky"]})
    assert matcher.find("Who was Dmitri Tchaikovsky?") == []


@settings(deadline=None)
@given(st.text(alphabet=st.sampled_from("Samir HaddKzhščŽ'’- al-\ud800\udcff.Ω\u0301حد"), max_size=60))
def test_any_text_is_survived(text: str) -> None:
    for match in NameMatcher({name: [name] for name in ROMANISED}).find(text):
        assert 0 <= match.start < match.end <= len(text)
