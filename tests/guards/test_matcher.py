"""Names found however they are written; other people, and ordinary text, left alone."""

import base64
import random
import sys
import tracemalloc
from collections.abc import Callable
from types import FrameType
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.spellings import spellings
from gateway.guards.matcher import NameMatcher
from gateway.guards.normalise import BARRIER

NAMES = [
    "Rabo Kelrin",
    "Vokra Simo",
    "Theo Ngala",
    "Anna Smith",
    "Ana Martin",
    "王小明",
    "라보 켈린",
    "Мария Петрова",
    "José Müller",
]


@pytest.mark.parametrize("name", NAMES)
def test_every_spelling_is_found_where_it_is(name: str) -> None:
    matcher = NameMatcher({"one": [name]})
    table = spellings(name)
    missed = [(language, kind) for language, kind, question in table if not matcher.find(question)]
    assert missed == []
    for language, kind, question in table:
        found = matcher.find(question)
        assert all(match.target == "one" for match in found), (language, kind)
        assert len(found) == 1, (language, kind, found)


def test_the_table_is_large_enough() -> None:
    table = spellings("Rabo Kelrin")
    assert len(table) >= 200
    assert len({language for language, _, _ in table}) == 6
    assert len({question for _, _, question in table}) == len(table)


@pytest.mark.parametrize(
    "text",
    [
        "Rabo lives here; Kelrin lives there.",
        "What does Rabo Velmon do? And Tomi Kelrin?",
        "Rabo Velmon and Tomi Kelrin met Rabi Kolsin.",
        "Sarabo Kelrin; both Rabo Kelrinez, Rabo Pelrina, Tabor Kelrin",
        "for Kelrin, or Kelrin alone",
        "Joanna Smith, Ann Smith, Hanna Smithson, Anna Smithson, Anne Smith",
        "Ana Martinez, Diana Martin, Ann Martin's friend Anita Marti",
        "Ana und Martin gehen ins Kino; Anna, Theo und Smith kommen mit.",
        "The ongoing algal bloom: theo, ngalapagos",
        "小明和王小红是朋友，王小的狗",
        "라보와 켈리는 친구입니다",
        "Мария Иванова и Пётр Петров",
        "José Mendes, Josefa Müllerin",
        "¿Dónde está la biblioteca? Está en la Plaza Mayor, número 12.",
        "Der Käufer trägt die Kosten der Lieferung, sofern nichts anderes vereinbart ist.",
        "Le chat dort sur le canapé pendant que la pluie tombe.",
        "Oggi ho comprato pane e formaggio al mercato di Lisbona.",
        "今天我买了面包和奶酪。",
        "def f(x1, y2): return x1 + y2 * 0x5F  # JavaScriptCore, iPhone15",
        "deadbeef cafe 1234 5678 9abc; SGVsbG8gd29ybGQ=; %20%20; &amp; &nbsp;",
        "hello " * 50,
    ],
)
def test_other_people_and_other_words_are_not_matched(text: str) -> None:
    matcher = NameMatcher({name: [name] for name in NAMES})
    assert [text[m.start : m.end] for m in matcher.find(text)] == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Amy Rose", "The gardener planted a rose tree."),
        ("Ian Day", "It all started the day I was born. Good day I say."),
        ("Ed Li", "This is a lie: Tom lied. Dieses Lied ist so bewegend. Tom è lì."),
        ("Hans Long", "Maria has long hair."),
        ("Ana Ross", "an assortment of cuisines"),
        ("Eva Hill", "That's all I have."),
        ("Laura Roman", "Le roman « L'héritage de la perte »"),
        ("Ian Smith", "Jane Smith is the name; Brian Smith was here."),
        ("Li Na", "Lina said hello, ali na"),
        ("Ben Li", "plus vieux que celui de Ben. L'iPhone"),
    ],
)
def test_names_made_of_common_words_leave_the_words_alone(name: str, text: str) -> None:
    assert NameMatcher({"a": [name]}).find(text) == []
    assert NameMatcher({"a": [name]}).find(f"({name.upper()})") != []


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("Tell me about Rabo Kelrin!", "Rabo Kelrin"),
        ("Rabo Kelrins Beruf", "Rabo Kelrin"),
        ("请问Rabo Kelrin的职业", "Rabo Kelrin"),
        ("aboutRaboKelrin", "RaboKelrin"),
        ("askrabokelrinnow", "rabokelrin"),
        ("R\u0301abo Kelrin\u0301!", "R\u0301abo Kelrin\u0301"),
        ("x UmFibyBLZWxyaW4= y", "UmFibyBLZWxyaW4="),
        ("Rabo S2Vscmlu", "Rabo S2Vscmlu"),
        ("a 52 61 62 6f 20 4b 65 6c 72 69 6e b", "52 61 62 6f 20 4b 65 6c 72 69 6e"),
        ("%52abo Kelrin", "%52abo Kelrin"),
        ("Rabo Kellrin?", "Rabo Kellrin"),
    ],
)
def test_the_match_covers_what_was_written(text: str, span: str) -> None:
    found = [text[m.start : m.end] for m in NameMatcher({"a": ["Rabo Kelrin"]}).find(text)]
    assert found == [span]


@given(at=st.sampled_from([1, 2, 3, 7, 8, 9, 10]), letter=st.sampled_from("aeiouktw"), kind=st.integers(0, 2))
def test_one_slip_inside_a_word_is_forgiven(at: int, letter: str, kind: int) -> None:
    name = "Rabon Kelriv"
    slips = [name[:at] + letter + name[at + 1 :], name[:at] + name[at + 1 :], name[:at] + name[at] + name[at:]]
    assert [m.target for m in NameMatcher({"a": [name]}).find(f"What of {slips[kind]}, then?")] == ["a"]


def test_an_exact_name_is_nobody_elses_misspelling() -> None:
    assert NameMatcher({"a": ["Rabo Kelrin"]}).find("Rabo Kelran") != []
    assert NameMatcher({"a": ["Rabo Kelrin"]}, {"a": ["Rabo Kelran"]}).find("Rabo Kelran") == []
    both = NameMatcher({"a": ["Rabo Kelrin"], "b": ["Rabo Kelran"]})
    assert [m.target for m in both.find("Rabo Kelran, then Rabo Kelrin")] == ["b", "a"]


def test_a_longer_excluded_name_hides_the_name_inside_it() -> None:
    matcher = NameMatcher({"a": ["John Smith"]}, {"a": ["John Smith Junior"]})
    assert matcher.find("John Smith Junior") == []
    assert len(matcher.find("John Smith")) == 1


def test_people_of_one_name_are_all_reported() -> None:
    matcher = NameMatcher({"a": ["Rabo Kelrin"], "b": ["Kelrin, Rabo", "Rabi"]})
    assert {m.target for m in matcher.find("rabo kelrin")} == {"a", "b"}


def test_nothing_matches_across_a_barrier() -> None:
    matcher = NameMatcher({"a": ["Rabo Kelrin"]})
    assert matcher.find(f"Rabo {BARRIER} Kelrin") == []
    assert matcher.find(f"{BARRIER}Rabo Kelrin{BARRIER}") != []


@settings(deadline=None)
@given(text=st.text(alphabet=st.characters(), max_size=80), names=st.lists(st.text(max_size=12), max_size=4))
def test_any_text_and_any_names_are_survived(text: str, names: list[str]) -> None:
    for match in NameMatcher({"a": names, "b": ["Rabo Kelrin"]}).find(text):
        assert 0 <= match.start < match.end <= len(text)


_ENCODED = [
    "%52",
    "&#x52;",
    "\\u0052",
    "UmFibyBLZWxyaW4=",
    "5261626f",
    "=",
    "%",
    "\\",
    "&",
    "U+0052",
    "\U000e0052",
    "R4b0",
    "Rabo",
    " ",
]


@settings(deadline=None)
@given(st.lists(st.sampled_from(_ENCODED), max_size=30).map("".join))
def test_any_mix_of_encodings_is_survived(text: str) -> None:
    for match in NameMatcher({"a": ["Rabo Kelrin"]}).find(text):
        assert 0 <= match.start < match.end <= len(text)


def test_adding_and_removing_names_equals_compiling_afresh() -> None:
    rng = random.Random(3)
    people = {
        str(i): [f"{rng.choice(['Rabo', 'Tomi', 'Veka'])} {a}{b}in"] for i, (a, b) in enumerate(_syllables(rng, 300))
    }
    text = " and ".join(names[0] for names in people.values())
    present: dict[str, list[str]] = {}
    matcher = NameMatcher({})
    for _ in range(60):
        for target in rng.sample(sorted(people), 12):
            if target in present and rng.random() < 0.6:
                del present[target]
            else:
                present[target] = people[target]
        matcher = NameMatcher(present, previous=matcher)
        assert matcher.find(text) == NameMatcher(present).find(text)
    assert matcher.find("") == NameMatcher({}).find(text) == []


def test_changes_equal_compiling_afresh() -> None:
    rng = random.Random(4)
    people = {
        str(i): [f"{rng.choice(['Rabo', 'Tomi', 'Veka'])} {a}{b}in"] for i, (a, b) in enumerate(_syllables(rng, 300))
    }
    others = {target: ["Rabo Kelran"] for target in people}
    text = " and ".join(names[0] for names in people.values())
    present: dict[str, list[str]] = {}
    matcher = NameMatcher({})
    for step in range(40):
        removed = rng.sample(sorted(present), len(present) // 3)
        added = {target: people[target] for target in rng.sample(sorted(people), 12)}
        present = {target: names for target, names in present.items() if target not in removed} | added
        before = matcher.find(text)
        changed = matcher.with_changes(added, {target: others[target] for target in added}, removed)
        assert matcher.find(text) == before
        matcher = changed.compacted() if step % 7 == 0 else changed
        assert matcher.find(text) == NameMatcher(present, others).find(text)
        assert NameMatcher(present, others, previous=matcher).find(text) == matcher.find(text)


def test_a_changed_name_replaces_the_old_one() -> None:
    matcher = NameMatcher({"a": ["Rabo Kelrin"], "b": ["Tomi Velmon"]})
    for changed in (matcher.with_changes({"a": ["Vokra Simo"]}), NameMatcher({"a": ["Vokra Simo"]}, previous=matcher)):
        assert changed.find("Rabo Kelrin") == []
        assert [match.target for match in changed.find("Vokra Simo")] == ["a"]


def _syllables(rng: random.Random, count: int) -> list[tuple[str, str]]:
    onsets = ["Br", "D", "F", "G", "K", "L", "M", "P", "S", "T", "V", "Z"]
    return [
        (rng.choice(onsets) + rng.choice("aeiou") + rng.choice("nrlsk"), rng.choice("bdgkmptvz") + rng.choice("aeo"))
        for _ in range(count)
    ]


_PEOPLE = {str(i): [f"{a}o {b}{a.lower()}in"] for i, (a, b) in enumerate(_syllables(random.Random(5), 400))}
_FIRST = _PEOPLE["0"][0]
_HOSTILE: dict[str, Callable[[int], str]] = {
    "one letter": lambda n: "a" * n,
    "single letters": lambda n: "a " * (n // 2),
    "a name": lambda n: (_FIRST + " ") * (n // 12),
    "half-names": lambda n: (_FIRST.split()[0] + " ") * (n // 6),
    "names nearly": lambda n: (_FIRST[:2] + "z" + _FIRST[2:] + " ") * (n // 13),
    "percent signs": lambda n: "%" * n,
    "percents of percents": lambda n: "%25" * (n // 3),
    "base64": lambda n: base64.b64encode(random.Random(6).randbytes(n * 3 // 4)).decode(),
    "packed names": lambda n: base64.b64encode((_FIRST * (n // 12)).encode()).decode(),
    "escaped twice": lambda n: quote(quote(" é" * (n // 16))),
    "open tags": lambda n: "<a" * (n // 2),
    "accents": lambda n: "a" + "\u0301" * n,
    "lone surrogates": lambda n: "\ud800" * n,
    "long ligatures": lambda n: "\ufdfa" * n,
    "Han": lambda n: "海伦·" * (n // 3),
    "Han on both sides of a dot": lambda n: "海伦娜利亚伦林·海伦娜利亚伦林 " * (n // 16),
    "Korean with particles": lambda n: "라보 켈린은 " * (n // 7),
    "Greek pairs": lambda n: "Μπουντζου " * (n // 10),
    "hyphens": lambda n: "аль-Хамад-" * (n // 10),
    "Cyrillic": lambda n: "Рабо Келрин " * (n // 12),
}


@pytest.mark.parametrize("kind", _HOSTILE)
def test_the_work_is_linear_in_hostile_text(kind: str) -> None:
    matcher = NameMatcher(_PEOPLE)
    matcher.find(_HOSTILE[kind](64))
    (calls, memory), (more_calls, more_memory) = (_work(matcher, _HOSTILE[kind](size)) for size in (8_000, 32_000))
    assert more_calls <= 5 * calls + 100
    assert more_memory <= 5 * memory + 100_000


def _work(matcher: NameMatcher, text: str) -> tuple[int, int]:
    """Function calls, and bytes held at once, for one search."""
    calls = 0

    def count(_frame: FrameType, event: str, _arg: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    tracemalloc.start()
    matcher.find(text)
    memory = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    sys.setprofile(count)
    try:
        matcher.find(text)
    finally:
        sys.setprofile(None)
    return calls, memory


def test_ordinary_text_costs_the_same_work_with_few_names_and_with_many() -> None:
    text = "The gardener planted a rose tree, and the postman brought a letter from the coast. " * 20
    few, many = NameMatcher({"a": _PEOPLE["0"]}), NameMatcher(_PEOPLE)
    for matcher in (few, many):
        matcher.find(text)
    assert _work(many, text)[0] <= 1.3 * _work(few, text)[0]


_PIECES = [
    "a",
    "a ",
    _FIRST,
    _FIRST[:3],
    "%",
    "%25",
    "UmFi",
    "<b>",
    "\u0301",
    "\ud800",
    "海·",
    "Рабо ",
    "0",
    "\\u00",
    "&#",
]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.sampled_from(_PIECES), st.integers(1, 400)), max_size=6))
def test_any_hostile_text_is_survived(pieces: list[tuple[str, int]]) -> None:
    text = "".join(piece * count for piece, count in pieces)
    for match in NameMatcher({"a": [_FIRST], "b": ["海·伦"]}).find(text):
        assert 0 <= match.start < match.end <= len(text)
