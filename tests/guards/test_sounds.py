"""Names written in another script: found, where both words of the name are there; other people left alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.guards.letters import Parts
from gateway.guards.matcher import NameMatcher
from gateway.guards.normalise import codes_of
from gateway.guards.romanise import said
from gateway.guards.skeletons import LEAST_CLASSES, of_words, skeletons_of
from gateway.guards.sounds import spoken

WRITTEN = {
    "Ivo Marlin": "Иво Марлин|Ίβο Μάρλιν|إيفو مارلين|इवो मार्लिन|イヴォ・マーリン|이보 말린",
    "Helena Droste": (
        "Хелена Дросте|ХЕЛЕНА ДРОСТЕ|Елена Дросте|Χελένα Ντρόστε|هيلينا دروستي|हेलेना द्रोस्ते"
        "|ヘレナ・ドロステ|헬레나 드로스테|הלנה דרוסטה"
    ),
    "Rabo Kelrin": "Рабо Келрин|Рабо Кельрин|Ράμπο Κέλριν|رابو كيلرين|राबो केल्रिन|ラボ・ケルリン|라보 켈린|拉博·凯尔林",
    "Boris Novak": "Борис Новак|Μπόρις Νόβακ|بوريس نوفاك|बोरिस नोवाक|ボリス・ノヴァク|보리스 노박|鲍里斯·诺瓦克",
    "Charles Dickens": "Чарльз Диккенс|Τσαρλς Ντίκενς|تشارلز ديكنز|चार्ल्स डिकेंस|チャールズ・ディケンズ|찰스 디킨스",
    "Мария Петрова": "Mariya Petrova|Maria Petrova|Μαρία Πέτροβα|マリア・ペトロワ",
    "王小明": "Wang Xiaoming|Xiaoming Wang",
    "라보 켈린": "Rabo Kellin|Labo Kelin|Рабо Келлин",
    "Ράμπο Κέλριν": "Рабо Келрин",
}
WRITTEN |= {
    "Aisha Al-Hamad": "Аиша аль-Хамад|عائشة الحمد|ऐशा अल-हमद",
    "Simon Makoni": "साइमन मकोनी",
    "Hahi Vonstako": "Хахи Вонстако|Χαχι Βονστακο",
    "Hoda Zastisin": "Хода Застисин|霍达·扎斯蒂西恩",
}
WRITTEN |= {
    "Goran Hubrik": "Горан Хубрік|Ґоран Губрік|Γκόραν Χούμπρικ|גורן הובריק|โกรัน ฮูบริก|コラン・フブリク",
    "Will Jambor": "Γουίλ Τζάμπορ|וויל ג'מבור|ვილ ჯამბორ|วิลล์ จัมบอร์|ウィル・ジャンボル",
    "Katja Vintes": "کاتیا وینتس|קטיה וינטס|காட்யா வின்டேஸ்|কাটিয়া ভিন্টেস|Կատյա Վինտես|카탸 빈테스",
    "Patrick Mahfuz": "Πάτρικ Μαχφούζ|팟릭 마흐푸즈|パトリク・マフフズ|Патрик Магфуз",
    "Stas Manchester": "Στας Μάντσεστερ|Стас Манчестер|સ્ટાસ મેન્ચેસ્ટર|స్టాస్ మాంచెస్టర్",
}
CASES = [(name, written) for name, ways in WRITTEN.items() for written in ways.split("|")]


@pytest.mark.parametrize(("name", "written"), CASES)
def test_a_name_is_found_in_another_script(name: str, written: str) -> None:
    text = f"« {written} »?"
    found = NameMatcher({"a": [name], "b": ["Tomi Velmon"]}).find(text)
    assert [(text[m.start : m.end], m.target) for m in found] == [(written, "a")]


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("Расскажи о Хелене Дросте, пожалуйста", "Хелене Дросте"),
        ("请问海伦娜·德罗斯特的职业是什么？", "海伦娜·德罗斯特"),
        ("ヘレナ・ドロステの職業は何ですか", "ヘレナ・ドロステ"),
        ("헬레나 드로스테의 직업은 무엇입니까", "헬레나 드로스테"),
        ("Хелена Дросте出生在哪里？", "Хелена Дросте"),
        ("请问हेलेना द्रोस्ते的职业", "हेलेना द्रोस्ते"),
        ("헬레나 드로스테出生在哪里？", "헬레나 드로스테"),
        ("Дросте Хелена", "Дросте Хелена"),
        ("%D0%A5%D0%B5%D0%BB%D0%B5%D0%BD%D0%B0 Дросте", "%D0%A5%D0%B5%D0%BB%D0%B5%D0%BD%D0%B0 Дросте"),
    ],
)
def test_a_name_is_found_inside_a_sentence(text: str, span: str) -> None:
    assert [text[m.start : m.end] for m in NameMatcher({"a": ["Helena Droste"]}).find(text)] == [span]


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("Книги, написанные Джорданом Синклером", "Джорданом Синклер"),
        ("Розкажи про книги, надіслані Джорданові Синклерові", "Джорданові Синклер"),
        ("Джордан Синклердің кітабы", "Джордан Синклер"),
        ("ჯორდან სინკლერის წიგნი", "ჯორდან სინკლერ"),
        ("Ջորդան Սինկլերից", "Ջորդան Սինկլեր"),
        ("ஜோர்டன் சின்க்ளேருக்கு", "ஜோர்டன் சின்க்ளேர"),
        ("জর্ডান সিনক্লেয়ারকে চেনো?", "জর্ডান সিনক্লেয়ার"),
        ("ספר לי מה קרה לג'ורדן סינקלר", "ג'ורדן סינקלר"),
        ("ما الذي حدث بجوردان سنكلير", "جوردان سنكلير"),
    ],
)
def test_what_is_written_on_to_a_name_is_no_part_of_it(text: str, span: str) -> None:
    assert [text[m.start : m.end] for m in NameMatcher({"a": ["Jordan Sinclair"]}).find(text)] == [span]


@pytest.mark.parametrize(
    "text",
    [
        "Хелена живёт здесь, Дросте — там.",
        "Хелена Петрова и Иван Дросте",
        "Хелена, Дросте",
        "Ηλένα Παπαδοπούλου",
        "هيلينا ماركوس",
        "海伦娜·彼得罗娃和安娜·德罗斯特",
        "海伦娜德罗斯特",
        "ヘレナ・スミス",
        "헬레나 스미스",
        "Халина Дружина",
        "הלנה דרור",
        "เฮเลนา ดวงใจ",
        "ஹெலேனா துரை",
        "Все счастливые семьи похожи друг на друга, каждая несчастливая семья несчастлива по-своему.",
    ],
)
def test_other_names_in_other_scripts_are_left_alone(text: str) -> None:
    assert NameMatcher({"a": ["Helena Droste"]}).find(text) == []


def test_one_word_or_too_few_consonants_are_not_enough() -> None:
    assert NameMatcher({"a": ["Helena"], "b": ["Li Na"], "c": ["Theo Ioa"]}).find("Хелена, Ли На, Тео Иоа") == []


def test_exclusions_hold_in_every_script() -> None:
    text = "Это Хелена Дросте"
    assert NameMatcher({"a": ["Helena Droste"]}, {"a": ["Хелена Дросте"]}).find(text) == []


_MIXED = st.text(
    alphabet=st.sampled_from("Хеленаدروستيドロステ·・드로스테海伦娜德罗斯特ντμπגפンフวเமைუს \u0301\u200b\ud800,Aa1"),
    max_size=60,
)


@settings(deadline=None)
@given(_MIXED)
def test_any_mix_of_scripts_is_survived(text: str) -> None:
    for match in NameMatcher({"a": ["Helena Droste"], "b": ["海伦娜"], "c": ["드로스테 ローマ"]}).find(text):
        assert 0 <= match.start < match.end <= len(text)


_FOREIGN = (
    "Хеленацджщ دروستيثةغ ドロステッーツ 드로스테엉 海伦娜德罗斯特的吉 ντμπτζσςουγκΝΤει ג'צ׳ו เฮโล້ ஃப ու स्टिनिचं שלום ﷺ"
)
_WORDS = st.lists(st.text(alphabet=sorted(set(_FOREIGN) - {" "}), min_size=1, max_size=8), min_size=1, max_size=6)


@given(_WORDS)
def test_many_words_at_once_have_the_skeletons_of_each(words: list[str]) -> None:
    written, bars = of_words(codes_of("".join(words)), np.cumsum([len(word) for word in words]))
    assert written.split("|")[:-1] == skeletons_of(words)
    assert [written[bar] for bar in bars] == ["|"] * len(words)


@settings(deadline=None)
@given(_WORDS, st.sampled_from([" ", "·", "-", "・ ", "\n"]))
def test_what_may_be_a_name_is_hashed_by_its_skeleton(words: list[str], between: str) -> None:
    read = spoken("«" + between.join(words) + "»")
    assert read is not None
    for index, known in enumerate(read.hashes):
        found = read[index]
        skeleton = "|".join(skeletons_of(found.words))
        assert known == Parts(skeleton).between(np.array([0]), np.array([len(skeleton)]))[0]
        assert len(skeleton) - skeleton.count("|") >= LEAST_CLASSES


@pytest.mark.parametrize("word", ["Καντς", "ΚΑΤΣ", "Ραµπο", "Ραμϖο"])
def test_greek_letters_of_other_forms_are_survived(word: str) -> None:
    NameMatcher({"a": ["Kadts Rambo Kelrin", "Kats Rambo"]}).find(f"ο {word} Κελριν {word}")
    assert said(word)
