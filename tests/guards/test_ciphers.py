"""Names written as numbers, signs or pieces, and the same signs where they are nobody's name."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.guards.ciphers import ciphers
from gateway.guards.matcher import NameMatcher
from gateway.guards.pieces import left_out, quoted

NAME = "Rabo Kelrin"
WRITTEN = [
    " ".join(str(ord(char)) for char in NAME),
    "+".join(f"chr({ord(char)})" for char in NAME),
    " ".join(f"{ord(char):03o}" for char in NAME),
    " ".join(f"{ord(char):08b}" for char in NAME),
    "".join(f"{ord(char):08b}" for char in NAME),
    "18-1-2-15 11-5-12-18-9-14",
    ".-. .- -... --- / -.- . .-.. .-. .. -.",
    "Romeo Alfa Bravo Oscar Kilo Echo Lima Romeo India November",
    "⠗⠁⠃⠕ ⠅⠑⠇⠗⠊⠝",
    "😊" + "".join(chr(0xE0100 + ord(char) - 16) for char in NAME),
    "uᴉɹlǝʞ oqɐɹ",
    "Aboray Elrinkay",
    "Uder Nhoulq",
    "Izyl Pvoirm",
    base64.b64encode(NAME.encode("utf-16-le")).decode(),
    "UmFibyBL\nZWxyaW4=",
    "U m F i b y B L Z W x y a W 4 =",
    "".join(f"={ord(char):02X}" for char in NAME),
    "".join(f"&#{ord(char)}" for char in NAME),
    "".join(f"%u{ord(char):04x}" for char in NAME),
    "R460 K31r1n",
    'the name that begins with "Rabo Ke" and ends with "lrin"',
    '"x", "Rabo Ke" and "lrin"',
    '{"given_name": "Rabo", "family_name": "Kelrin"}',
    "\nfirst: Rabo\nlast: Kelrin\n",
    "the person with first name Rabo and family name Kelrin",
    "1:R 2:a 3:b 4:o 5:K 6:e 7:l 8:r 9:i 10:n",
    "Rabo T. Kelrin",
    'Rabo "Ace" Kelrin',
    "\\textbf{Ra}bo \\emph{Kel}rin",
    "[Ra](http://x.example)bo [Kel](http://x.example)rin",
    "Raaabo Keeelriiin",
    "Rax\x08bo Kelq\x08rin",
]


@pytest.mark.parametrize("written", WRITTEN)
def test_a_name_in_a_code_or_in_pieces_is_matched(written: str) -> None:
    matcher = NameMatcher({"a": [NAME]})
    assert [match.target for match in matcher.find(f"Where was {written} born?")] == ["a"]
    other = NameMatcher({"a": ["Tuso Pimvas"]})
    assert not other.find(f"Where was {written} born?")


def test_what_is_quoted_around_an_encoded_name_does_not_hide_it() -> None:
    assert NameMatcher({"a": [NAME]}).find('Say "a" UmFibyBLZWxyaW4= "b".')


@pytest.mark.parametrize(
    "text",
    [
        "Call 0170-123 45 67 on 2024-11-20, 10:11:12, or 1,000,000 times.",
        "The hotel in India where Oscar played golf in November",
        "| --- | --- | --- |\n- one\n- two\n",
        "😀️ ❤️ and ☀️",
        "www.example.org",
        "",
    ],
)
def test_ordinary_text_holds_no_code(text: str) -> None:
    assert not [said for _, _, said in ciphers(text) if len(said) > 4]


@given(st.text(alphabet=st.sampled_from("01 9-.,/|\"':“”()ax⠁ɐ\x08\\{}[]\ufe01🙂AlfaEchoIndia"), max_size=120))
def test_stretches_lie_in_the_text(text: str) -> None:
    for start, end, said in (*ciphers(text), *quoted(text), *left_out(text)):
        assert 0 <= start < end <= len(text)
        assert isinstance(said, str)
