"""Decoded views: in place, one nesting more, nothing read into ordinary text."""

import base64
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.guards.encodings import decoded_views
from gateway.guards.normalise import BARRIER


def read(text: str) -> list[str]:
    return [view.text for view in decoded_views(text)]


@given(st.text(alphabet=st.characters(), max_size=80))
def test_views_of_any_text_lead_back_to_it(text: str) -> None:
    for view in decoded_views(text):
        assert len(view.text) == len(view.starts) == len(view.ends)
        assert ((view.starts >= 0) & (view.starts < view.ends) & (view.ends <= len(text))).all()


@given(st.text(alphabet=st.characters(codec="utf-8", categories=["L", "N", "Zs"]), min_size=4, max_size=40))
def test_encoded_sentences_are_read(text: str) -> None:
    packed = base64.b64encode(text.encode()).decode()
    if text.isascii() or re.search("=|[a-z0-9][A-Z]|[A-Za-z][0-9]|[0-9][a-z]", packed):  # else it looks like a word
        assert text in "".join(read(f"x: {packed}"))
    assert text in "".join(read("".join(f"%{byte:02x}" for byte in text.encode())))
    assert text in "".join(read("".join(f"&#{ord(char)};" for char in text)))


@pytest.mark.parametrize("before", ["", "Decode this:\n", "Decode\n", "Decode all of this\n", "1. Decode.\n\n"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_base64_is_read_over_several_lines_whatever_the_line_before_is(before: str, end: str) -> None:
    packed = base64.b64encode(b"Where was Rabo Kelrin born?").decode()
    lines = (packed[at : at + 10] for at in range(0, len(packed), 10))
    assert "Rabo Kelrin" in "".join(read(f"{before}{end.join(lines)}"))


def test_only_what_is_near_an_escape_is_read_again() -> None:
    text = "word " * 300 + "Rabo %4Belrin" + " word" * 300
    (view,) = decoded_views(text)
    assert "Rabo Kelrin" in view.text and len(view.text) < len(text) / 2
    at = view.text.index("K")
    assert text[view.starts[at] : view.ends[at]] == "%4B"
    assert view.text.startswith(BARRIER) and view.text.endswith(BARRIER)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a %52%61bo", ["a Rabo"]),
        ("%2552abo", ["%52abo", "Rabo"]),
        ("&lt;&#82;&#x61;bo", ["<Rabo"]),
        ("\\u0052\\x61\\u{62}o", ["Rabo"]),
        ("U+0052U+0061", ["Ra"]),
        ("0x52, 0x61, 0x62, 0x6f.", ["Rabo."]),
        ("de 52 61 62 6f 6f", ["Raboo"]),
        ("key=UmFibyBLZWxyaW4=;", ["key=Rabo Kelrin;"]),
        ("xUmFibyBLZWxyaW4=", ["Rabo Kelrin"]),
        ("UmFibyBLZWxy-_", ["Rabo Kelr"]),
        ("MDBBMA==", ["00A0"]),
        ("a QWZESEZn b", ["a AfDHFg b"]),
        ("KJQWE3ZAJNSWY4TJNY======.", ["Rabo Kelrin."]),
        ("a kjqwe3zajnswy4tjny b", ["a Rabo Kelrin b"]),
        ("ab\U000e0052\U000e0061", ["abRa"]),
        ("<em>Ra</em>bo <br/>x", ["Rabo x"]),
        ("Rabo\\nKelrin", ["Rabo Kelrin"]),
        ("\\ud800 \\u{fedcba}", ["\ufffd \ufffd"]),
    ],
)
def test_escapes(text: str, said: list[str]) -> None:
    assert read(text) == said


@pytest.mark.parametrize(
    "text",
    [
        "100% of A&B; see C:\\users\\x, a < b > c, U+ and &nope; %zz",
        "JavaScriptCore and iPhone15ProMax use TypeScript5",
        "deadbeefdeadbeef 12345678 2024-11-20 10:11:12",
        "sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "",
    ],
)
def test_ordinary_text_has_no_other_reading(text: str) -> None:
    assert read(text) == []
