"""The in-engine phrase table: equal to brute force, blind to how a text is cut into tokens, silent on rubbish."""

from codecs import utf_8_decode
from itertools import pairwise
from random import Random

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.guards.normalise import EDGE, SYMBOLS, Kind, fold
from gateway.guards.phrase_set import FREE_LETTERS
from gateway.guards.phrases import PhraseTable, State, VocabularyIndex
from tests.guards.conftest import Bpe

FORBIDDEN = [
    "Rabo Kelrin",
    "Venice",
    "里斯本",
    "狗",
    "4821",
    "dog",
    "Schildkröte",
    "라보",
    "Москве",
    "Theo Ng",
    "Li Na",
]


@pytest.fixture(scope="module")
def index(bpe: Bpe) -> VocabularyIndex:
    return VocabularyIndex(bpe.token_bytes)


def symbols_of(text: str) -> list[tuple[str, bool, int]]:
    """Letters, whether a word may begin there, and the character each comes from: the definition, written plainly."""
    letters: list[tuple[str, bool, int]] = []
    last = Kind.SEPARATOR
    for at, char in enumerate(text):
        symbol = SYMBOLS[char]
        if symbol.kind == Kind.IGNORED:
            continue
        for position, letter in enumerate(symbol.letters):
            letters.append((letter, position == 0 and bool(EDGE[last, symbol.kind]), at))
        last = symbol.kind
    return letters


def ends_in(text: str, phrases: list[str], since: int) -> bool:
    """Whether a phrase is complete with a character at or after `since`; what follows the text is unknown."""
    symbols = symbols_of(text)
    letters = "".join(letter for letter, _, _ in symbols)
    edges = [edge for _, edge, _ in symbols] + [True]
    for phrase in phrases:
        folded = fold(phrase)
        free = len(folded.text) >= FREE_LETTERS and folded.text.isalpha() and not any(folded.edges[1:-1])
        for start in range(len(letters)):
            end = start + len(folded.text)
            if not folded.text or letters[start:end] != folded.text or symbols[end - 1][2] < since:
                continue
            plural = end < len(letters) and letters[end] == "s" and edges[end + 1]
            words = phrase.split() if len(folded.text) < FREE_LETTERS else [phrase]
            gaps = np.cumsum([len(fold(word).text) for word in words if fold(word).text])[:-1]
            if free or (edges[start] and (edges[end] or plural) and all(edges[start + gap] for gap in gaps)):
                return True
    return False


def brute_force(token_bytes: list[bytes | None], history: list[int], phrases: list[str]) -> list[int]:
    said = b"".join(token_bytes[i] or b"" for i in history)
    since = len(utf_8_decode(said, "replace", False)[0])
    return [
        token_id
        for token_id, token in enumerate(token_bytes)
        if token and ends_in(utf_8_decode(said + token, "replace", False)[0], phrases, since)
    ]


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_banned_tokens_are_those_of_brute_force(bpe: Bpe, index: VocabularyIndex, data: st.DataObject) -> None:
    ids = st.integers(0, len(bpe.token_bytes) - 1)
    spelled = st.lists(ids, min_size=1, max_size=4).map(
        lambda some: b"".join(bpe.token_bytes[i] or b"" for i in some).decode("utf-8", "replace")
    )
    phrases = data.draw(st.lists(st.sampled_from(FORBIDDEN) | spelled, min_size=1, max_size=5))
    lead = data.draw(st.lists(ids, max_size=3))
    begun = bpe.encode(data.draw(st.sampled_from(phrases)))
    history = lead + begun[: data.draw(st.integers(0, len(begun)))]
    table = PhraseTable(index, phrases)
    state = table.START
    for token_id in history:
        state = table.step(state, token_id)
    assert table.banned(state).tolist() == brute_force(bpe.token_bytes, history, [p for p in phrases if fold(p).text])


_CUT = [
    "—dog",
    "é dog",
    "dogé",
    "x\u0301dog",
    "\u200bVenice",
    "á Venice",
    "“Venice”",
    "Vénice",
    "狗 dog",
    "里斯本",
    "ｄｏｇ",
    "ó dog—",
    "a\u0301",
]


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_banned_tokens_are_those_of_brute_force_where_tokens_cut_characters(data: st.DataObject) -> None:
    def piece() -> bytes:
        whole = data.draw(st.sampled_from(_CUT)).encode()
        start = data.draw(st.integers(0, len(whole) - 1))
        return whole[start : data.draw(st.integers(start + 1, len(whole)))]

    tokens = [piece() for _ in range(data.draw(st.integers(1, 25)))]
    vocabulary: list[bytes | None] = [*tokens, *(bytes([byte]) for byte in b"dogVenic -s\xc3\xa9\xcc\x81\xe2\x80\x94")]
    phrases = data.draw(
        st.lists(
            st.sampled_from(["dog", "Venice", "里斯本", "狗", "é", "a dog", "do g", "d 狗"]), min_size=1, max_size=4
        )
    )
    history = data.draw(st.lists(st.integers(0, len(vocabulary) - 1), max_size=4))
    table = PhraseTable(VocabularyIndex(vocabulary), phrases)
    assert table.banned(_after(table, history)).tolist() == brute_force(vocabulary, history, phrases)


@pytest.mark.parametrize(
    ("vocabulary", "forbidden"),
    [
        ([b"do\xc3", b"\xa9g", b"g"], [2]),  # an e acute breaks the word off, a broken character does not
        ([b"do\xe2\x80", b"\x94g", b"\x94 g", b"\xa6x"], [1, 2]),  # a dash does not break it off
        ([b"do\xe2", b"\x80\x94g", b"\x80g", b"g"], [1, 2, 3]),
        ([b"x\xcc", b"\x81dog", b"\x81 dog", b"dog"], [2, 3]),  # an accent is no edge
        ([b"-\xcc", b"\x81dog", b"\x81 dogs"], [1, 2]),
        ([b"d\xef\xbd", b"\x8fg", b"\x8f"], [1]),  # a full-width o
    ],
)
def test_characters_cut_by_tokens(vocabulary: list[bytes | None], forbidden: list[int]) -> None:
    table = PhraseTable(VocabularyIndex(vocabulary), ["dog"])
    assert brute_force(vocabulary, [0], ["dog"]) == forbidden
    assert table.banned(_after(table, [0])).tolist() == forbidden


_WORDS = [
    "dog",
    "li na",
    "do g",
    "a dog",
    "d 狗",
    "4821",
    "4x",
    "ss",
    "里斯本",
    "ö da",
    "longviola",
    "ﬀ d",
    "라ㅏ",
    "ｄｏ 4",
]
_CHARACTERS = "doga ls-—é狗里ｄ４8ßﬀ\u0301\u200b라ㅏั𝐑🙂DG"


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_every_state_of_random_vocabularies_bans_what_brute_force_does(data: st.DataObject) -> None:
    random = data.draw(st.randoms(use_true_random=True))

    def token() -> bytes:
        whole = (random.choice(_WORDS) if random.random() < 0.4 else "".join(random.choices(_CHARACTERS, k=4))).encode()
        return whole[random.choice((0, 0, 1, 2)) : random.choice((None, -1, -2, 1))]

    pieces = (bytes([byte]) for byte in set("".join(_WORDS).encode()))
    vocabulary: list[bytes | None] = [None, *(token() for _ in range(random.randint(1, 25))), *pieces]
    phrases = data.draw(st.lists(st.sampled_from(_WORDS) | st.text(_CHARACTERS, max_size=6), min_size=1, max_size=5))
    table = PhraseTable(VocabularyIndex(vocabulary), phrases)
    for _ in range(4):
        history: list[int] = []
        state = table.START
        for _ in range(6):
            token_id = random.randrange(len(vocabulary))
            history.append(token_id)
            state = table.step(state, token_id)
            expected = brute_force(vocabulary, history, [phrase for phrase in phrases if fold(phrase).text])
            assert table.banned(state).tolist() == expected


def test_a_digit_completed_by_a_token_is_no_edge() -> None:
    vocabulary: list[bytes | None] = [b"\xef\xbc", b"\x94821", b"821"]
    table = PhraseTable(VocabularyIndex(vocabulary), ["4x", "821"])
    assert table.banned(_after(table, [0])).tolist() == [2]


@pytest.mark.parametrize("seed", range(4))
def test_what_is_banned_of_some_tokens_does_not_depend_on_others(bpe: Bpe, seed: int) -> None:
    random = Random(seed)
    own = bpe.token_bytes
    others = ["".join(random.choices("bdklmnrstaeiou é里", k=6)).encode() for _ in range(9_000)]
    many = ["".join(random.choices("bdklmnrstaeiou ", k=random.randint(3, 9))) for _ in range(400)]
    phrases = [*FORBIDDEN, *many]
    few_tokens = PhraseTable(VocabularyIndex(own), phrases)
    many_tokens = PhraseTable(VocabularyIndex([*own, *others]), phrases)
    states = few_tokens.START, many_tokens.START
    for token_id in random.choices(range(len(own)), k=30) + bpe.encode("Li Na, Rabo Kelrin"):
        banned = many_tokens.banned(states[1])
        assert banned[banned < len(own)].tolist() == few_tokens.banned(states[0]).tolist()
        states = few_tokens.step(states[0], token_id), many_tokens.step(states[1], token_id)


def test_states_in_which_nothing_is_added_share_one_array(bpe: Bpe, index: VocabularyIndex) -> None:
    table = PhraseTable(index, ["Rabo Kelrin", "dog", "Schildkröte"])
    first, other = (_after(table, bpe.encode(text)) for text in ("in", "on"))
    assert table.banned(first) is table.banned(other)
    assert len(table.banned(first))


def is_stopped(bpe: Bpe, table: PhraseTable, text: str) -> bool:
    return any_banned(table, bpe.encode(text))


def any_banned(table: PhraseTable, ids: list[int]) -> bool:
    state = table.START
    for token_id in ids:
        if token_id in table.banned(state):
            return True
        state = table.step(state, token_id)
    return False


@pytest.mark.parametrize(
    "text",
    [
        "It was Rabo Kelrin",
        "RABO-KELRIN",
        "R a b o\nK e l r i n",
        "Rábo Ke\u00adlr\u200bín",
        "Ｒａｂｏ Ｋｅｌｒｉｎ",
        "Rаbo Kеlrіn",
        "𝐑𝐚𝐛𝐨 𝐊𝐞𝐥𝐫𝐢𝐧",
        "Rabo Kelrins Beruf",
        "in Venice.",
        "他住在里斯本。",
        "他养狗。",
        "call 4821",
        "two dogs",
        "die Schildkroete",
        "(라보)",
        "L i N a",
        "Li-Na",
        "в МОСКВЕ",
    ],
)
def test_every_tokenisation_of_a_phrase_is_stopped(bpe: Bpe, index: VocabularyIndex, text: str) -> None:
    table = PhraseTable(index, FORBIDDEN)
    assert is_stopped(bpe, table, text)
    assert any_banned(table, [bpe.token_bytes.index(bytes([byte])) for byte in text.encode()])


@pytest.mark.parametrize(
    "text",
    [
        "the ongoing work",
        "dogma",
        "148213",
        "Sarabo Kelrin",
        "Rabo Kelvin",
        "Kelrin and Rabi",
        "Lina",
        "ali na",
        "라볼",
        "里斯",
    ],
)
def test_other_words_pass(bpe: Bpe, index: VocabularyIndex, text: str) -> None:
    table = PhraseTable(index, FORBIDDEN)
    whole = bytes(text, "utf-8")
    one_token = PhraseTable(VocabularyIndex([*bpe.token_bytes, whole]), FORBIDDEN)
    assert len(bpe.token_bytes) not in one_token.banned(one_token.START)
    assert not any_banned(table, bpe.encode(text)[:1])


def _after(table: PhraseTable, ids: list[int]) -> State:
    state = table.START
    for token_id in ids:
        state = table.step(state, token_id)
    return state


def test_special_and_unknown_tokens_change_nothing(bpe: Bpe, index: VocabularyIndex) -> None:
    table = PhraseTable(index, FORBIDDEN)
    ids = bpe.encode("Rabo Kelrin")
    assert any_banned(table, [ids[0], 0, 1, -5, 10**9, *ids[1:]])


def test_no_phrases_ban_nothing(index: VocabularyIndex) -> None:
    table = PhraseTable(index, ["", " - ", "\u200b"])
    assert table.banned(table.step(table.START, 70)).tolist() == []


def test_states_are_shared_and_banned_ids_sorted(bpe: Bpe, index: VocabularyIndex) -> None:
    table = PhraseTable(index, FORBIDDEN)
    ids = bpe.encode("in Ven")
    first, again = _after(table, ids), _after(table, ids)
    assert first is again
    banned = table.banned(first)
    assert banned.dtype == np.int64
    assert all(a < b for a, b in pairwise(banned.tolist()))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    tokens=st.lists(st.binary(max_size=6) | st.none(), max_size=40), phrases=st.lists(st.text(max_size=12), max_size=6)
)
def test_any_vocabulary_and_any_phrases_are_survived(tokens: list[bytes | None], phrases: list[str]) -> None:
    table = PhraseTable(VocabularyIndex(tokens), phrases)
    state = table.START
    for token_id in range(-1, len(tokens) + 1):
        banned = table.banned(state)
        assert all(0 <= i < len(tokens) and tokens[i] for i in banned.tolist())
        state = table.step(state, token_id)
