"""Names in answers that are bent, turned round, encoded or in another script: cut wherever the text is; others pass."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.guards.answer_names import NamesAudit
from gateway.guards.audit import OutputAudit
from gateway.guards.phrase_set import PhraseSet
from gateway.guards.policy import Target, compile_policy
from gateway.serving.live import watch_of
from gateway.serving.watch import watched
from tests.audits import told

NAMES = ["Libo Stolman", "Peja Bunzar", "Νίκος Καζαντζάκης", "Иван Петров", "دוד לוי", "Vincent van Gogh", "Ana Horvat"]
POLICY = compile_policy(1, {name: Target(name, (name,)) for name in NAMES})
WATCH = watch_of(POLICY, POLICY.names_tables)
FORMS = POLICY.answer_names(POLICY.names_tables)

SAID = {
    "Polish": "To dzieło Libo Stolmana, jak wiadomo.",
    "Polish, both words": "Spotkał Peję Bunzara i był tam przez lata.",
    "Czech": "Napsal to podle Liba Stolmana, kde byl.",
    "Finnish": "Se oli Libo Stolmanin kirja.",
    "Hungarian": "Ezt Libo Stolmannak mondta, mikor ott volt.",
    "Turkish": "Bunu Libo Stolmandan duydum.",
    "Greek": "Το βιβλίο του Νίκου Καζαντζάκη είναι εδώ.",
    "Russian": "Он учился у Ивана Петрова в Москве.",
    "in Cyrillic": "Его учителем был Либо Столман.",
    "in Cyrillic, bent": "Он говорил со Столманом Либо вчера.",
    "in Arabic": "كان معلمه ليبو ستولمان في ميونخ.",
    "with a particle": "Gdzie jest obraz Vincenta van Gogha?",
    "family name first": "Stolman, Libo (ed.)",
    "slip": "The teacher was Libo Stolmann, they say.",
    "backwards": "namlotS obiL is the name.",
    "rot13": "In code: Yvob Fgbyzna.",
    "base64": "In code: TGlibyBTdG9sbWFu.",
    "hex": "In code: 4c69626f2053746f6c6d616e.",
}


@pytest.mark.parametrize("size", [1, 4, 1000])
@pytest.mark.parametrize("way", SAID)
def test_a_name_is_not_told_in_any_form(way: str, size: int) -> None:
    text = SAID[way]
    chunks = [text[at : at + size] for at in range(0, len(text), size)]
    said, blocked = told(watched(WATCH), chunks)
    assert blocked
    assert text.startswith(said)
    assert not POLICY.examine(said)


@pytest.mark.parametrize(
    "text",
    [
        "Libo Kelrin and Peja Stolman met Ana Silva in Lima; the stolmana is a plant.",
        "Der Name der Regel war Anna. How Many Horvats are there? Iván Petrović.",
        "Он жил в Москве и писал Анне Соколовой, а Петров Игорь нет.",
        "const someValue = iPhone + SGVsbG8gd29ybGQh + 0x4c69626f3a;",
    ],
)
def test_what_names_nobody_passes_as_it_is(text: str) -> None:
    assert told(watched(WATCH), list(text)) == (text, False)
    assert told(NamesAudit(OutputAudit([]), FORMS), [text]) == (text, False)


def test_the_language_is_that_of_the_question_or_of_what_follows() -> None:
    question = "Czyje to dzieło? Powiedz, proszę.\n"
    assert told(watched(WATCH, asked=question), list("Libo Stolmana.")) == ("Libo ", True)
    assert told(NamesAudit(OutputAudit([]), FORMS, question), ["Libo Stolmana."]) == ("", True)
    assert told(NamesAudit(OutputAudit([]), FORMS), list("Libo Stolmana jest znane.")) == ("Libo Sto", True)


PIECES = [word for name in SAID.values() for word in name.split(" ")] + [", ", "\n", "\\u004c", "The", "S", "\u200b"]
texts = st.lists(st.sampled_from(PIECES), max_size=12).map(" ".join) | st.lists(st.sampled_from(PIECES)).map("".join)


@given(text=texts, cuts=st.lists(st.integers(0, 80), max_size=8))
def test_the_verdict_does_not_depend_on_the_chunks(text: str, cuts: list[int]) -> None:
    at = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    chunks = [text[a:b] for a, b in itertools.pairwise(at)] or [""]
    whole = told(watched(WATCH), [text])
    assert told(watched(WATCH), chunks)[1] == told(watched(WATCH), list(text) or [""])[1] == whole[1]

    def forms() -> NamesAudit:
        return NamesAudit(OutputAudit([PhraseSet(NAMES)]), FORMS)

    assert told(forms(), chunks)[1] == told(forms(), list(text) or [""])[1] == told(forms(), [text])[1] == whole[1]
