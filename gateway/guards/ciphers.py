"""Letters written as codes that people and models read: numbers, Morse, spelling words, Braille, upside down.

Each is a stretch of a text with what it says, as the escapes of `gateway.guards.encodings` are. The work is linear; in
ordinary text no expression gets beyond its first characters.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator
from itertools import chain
from string import ascii_lowercase

from gateway.guards.letters import Numbers
from gateway.guards.normalise import codes_of
from gateway.guards.places import (
    LONG_TEXT,
    Among,
    Beginnings,
    Codes,
    before,
    chained,
    matches,
    may_be_digit,
    occurrences,
    places,
    run_starts,
    runs,
)

Stretch = tuple[int, int, str]  # start, end, what is said there

_APART = r"(?:[ \t\n,;:+./|_–-]{1,4}|\)[ +.,&]{1,4}(?:chr|char|Chr|CHAR)\(|\\)"
_NUMBERS = re.compile(rf"\d{{1,8}}(?:{_APART}\d{{1,8}}){{3,}}+")
_NUMBER = re.compile(r"\d+")
_BITS = re.compile(r"[01]{28,}+")
_SIGNS = "·•.∙⋅‧_−–—-"
_MORSE = re.compile(rf"[{_SIGNS}]{{1,5}}(?: {{0,3}}[ /|\n] {{0,3}}[{_SIGNS}]{{1,5}}){{3,}}+(?!\w)")
_MORSE_PART = re.compile(rf"[{_SIGNS}]+|[/|\n]| {{2,}}")
_TO_MORSE = str.maketrans(dict.fromkeys("·•.∙⋅‧", ".") | dict.fromkeys("_−–—-", "-"))
_MORSE_ALPHABET = (
    ".- -... -.-. -.. . ..-. --. .... .. .--- -.- .-.. -- -. --- .--. --.- .-. ... - ..- ...- .-- -..- -.-- --.."
)
_LETTERS_OF_MORSE = dict(zip(_MORSE_ALPHABET.split(), "abcdefghijklmnopqrstuvwxyz", strict=True))
_SPELLING_ALPHABET = (
    "alfa alpha bravo charlie delta echo foxtrot golf hotel india juliett juliet kilo lima mike november oscar papa "
    "quebec romeo sierra tango uniform victor whiskey whisky x-ray xray yankee zulu"
)
_OF_VOWELS = ("alfa", "alpha", "echo", "india", "oscar", "uniform", "yankee")
_SPELLING_WORDS = _SPELLING_ALPHABET.split()
_SPELT = re.compile(
    rf"\b(?:{'|'.join(_SPELLING_WORDS)})(?:[\s,.;/-]{{1,3}}(?:{'|'.join(_SPELLING_WORDS)})\b){{3,}}+", re.IGNORECASE
)
_WORD = re.compile(r"x-ray|\w+", re.IGNORECASE)
_LEAST_WORDS = 3  # different ones: fewer are in texts about hotels in India
_BRAILLE = re.compile("[\u2801-\u28ff][\u2800-\u28ff]{2,}+")
_LETTERS_OF_BRAILLE = str.maketrans("⠁⠃⠉⠙⠑⠋⠛⠓⠊⠚⠅⠇⠍⠝⠕⠏⠟⠗⠎⠞⠥⠧⠺⠭⠽⠵⠀", "abcdefghijklmnopqrstuvwxyz ")
_SELECTORS = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]{4,}+")
_MAYBE = re.compile("[\\d\u2801-\u28ff\ufe00-\ufe0f\U000e0100-\U000e01ef]")  # all that are so far have, but Morse
_TURNED = "ɐɔǝɟƃɓɥᴉɾʞɯɹʇʌʍʎ"
_UPRIGHT = str.maketrans(f"{_TURNED}qpudbn", "acefgghijkmrtvwybdnpqu")
_UPSIDE_DOWN = re.compile(rf"(?<![^\W{_TURNED}])[a-z{_TURNED}][a-z{_TURNED} '·˙]*+")
_MAYBE_TURNED = re.compile(f"[{_TURNED}]")
_LONGEST_PAIR = 11  # characters: "november", and what may be between it and the next
_LEAST_LETTERS = 4
_MOST_CODE = 0x10FFFF


def ciphers(text: str) -> Iterator[Stretch]:
    """The stretches of a text that are letters in some code: start, end, what they say. Never raises."""
    for pattern, beginnings, read in _READERS if _MAYBE.search(text) else _OF_MORSE:
        for found in matches(pattern, text, beginnings):
            if said := read(found[0]):
                yield found.start(), found.end(), said
    if not text.isascii() and _MAYBE_TURNED.search(text):
        for found in _upside_down(text):
            if said := _of_turned(found[0]):
                yield found.start(), found.end(), said
    lowered = text.casefold()
    if any(map(lowered.__contains__, _OF_VOWELS)) and _may_be_spelt(lowered):
        for found in _SPELT.finditer(text):
            yield found.start(), found.end(), "".join(word[0][0] for word in _WORD.finditer(found[0]))


def _number_beginnings(codes: Codes) -> Numbers:
    digits = may_be_digit(codes)
    ends = places(digits[:-1] & _after_number(codes[1:])) + 1
    return before(chained(ends, 2, 18), 8, digits)


def _morse_beginnings(codes: Codes) -> Numbers:
    signs = _is_sign(codes)
    ends = places(signs[:-1] & _after_sign(codes[1:])) + 1
    return before(chained(ends, 2, 12), 5, signs)


def _bit_beginnings(codes: Codes) -> Numbers:
    return run_starts((codes == ord("0")) | (codes == ord("1")), 28)


def _braille_beginnings(codes: Codes) -> Numbers:
    return places((codes > 0x2800) & (codes < 0x2900))


def _selector_beginnings(codes: Codes) -> Numbers:
    return run_starts(((codes >= 0xFE00) & (codes < 0xFE10)) | ((codes >= 0xE0100) & (codes < 0xE01F0)), 4)


def _upside_down(text: str) -> Iterator[re.Match[str]]:
    if len(text) < LONG_TEXT:
        yield from _UPSIDE_DOWN.finditer(text)
        return
    codes = codes_of(text)
    turned = places(_is_turned(codes))
    for start, end in runs(_may_stand_turned(codes), 1).tolist():
        if turned.searchsorted(end) > turned.searchsorted(start):
            yield from _UPSIDE_DOWN.finditer(text, start, end)


def _may_be_spelt(lowered: str) -> bool:
    """Whether several spelling words are in a text, in a long one so many near each other."""
    if len(lowered) < LONG_TEXT:
        return sum(word in lowered for word in _SPELLING_WORDS) >= _LEAST_WORDS
    found = [at for word in _SPELLING_WORDS if (at := [*occurrences(word, lowered)])]
    at = sorted(chain.from_iterable(found))
    near = any(later - earlier <= 3 * _LONGEST_PAIR for earlier, later in zip(at, at[3:], strict=False))
    return near and len(found) >= _LEAST_WORDS


def _of_numbers(written: str) -> str | None:
    """Numbers of characters (decimal, octal or binary), or of places in the alphabet."""
    digits = _NUMBER.findall(written)
    if all(set(number) <= {"0", "1"} and len(number) in (7, 8) for number in digits):
        return _as_text([int(number, 2) for number in digits])
    values = [int(number) for number in digits]
    if all(0 < value <= 26 for value in values):
        return "".join(chr(ord("a") + value - 1) for value in values)
    octal = None
    if all(len(number) == 3 and set(number) <= set("01234567") for number in digits):
        octal = _as_text([int(number, 8) for number in digits])
    return octal or _as_text(values)


def _of_bits(written: str) -> str | None:
    size = 8 if len(written) % 8 == 0 else 7
    return _as_text([int(written[at : at + size], 2) for at in range(0, len(written) - size + 1, size)])


def _as_text(values: list[int]) -> str | None:
    """Characters by number, or bytes of UTF-8: where they are letters, for the most part."""
    if max(values) > _MOST_CODE:
        return None
    said = "".join(map(chr, values))
    if max(values) < 256 and not said.isascii():
        said = bytes(values).decode("utf-8", "replace")
    letters = sum(unicodedata.category(char)[0] in "LM" for char in said)
    return said if letters >= max(_LEAST_LETTERS, len(said) // 2) and said.isprintable() else None


def _of_morse(written: str) -> str:
    parts = _MORSE_PART.findall(written.translate(_TO_MORSE))
    return "".join(_LETTERS_OF_MORSE.get(part, "") if part[0] in ".-" else " " for part in parts)


def _of_braille(written: str) -> str:
    return written.translate(_LETTERS_OF_BRAILLE)


def _of_selectors(written: str) -> str:
    """Bytes hidden in variation selectors behind an emoji."""
    values = (ord(char) - 0xFE00 if ord(char) < 0xFE10 else ord(char) - 0xE0100 + 16 for char in written)
    return bytes(values).decode("utf-8", "replace")


def _of_turned(written: str) -> str | None:
    return written.translate(_UPRIGHT)[::-1] if any(char in _TURNED for char in written) else None


_after_number = Among(" \t\n,;:+./|_–-)\\")
_is_sign, _after_sign = Among(_SIGNS), Among(" /|\n")
_is_turned = Among(_TURNED)
_may_stand_turned = Among(f"{ascii_lowercase}{_TURNED} '·˙")

_Reader = tuple[re.Pattern[str], Beginnings, Callable[[str], str | None]]
_OF_MORSE: tuple[_Reader, ...] = ((_MORSE, _morse_beginnings, _of_morse),)
_READERS: tuple[_Reader, ...] = (
    (_NUMBERS, _number_beginnings, _of_numbers),
    (_BITS, _bit_beginnings, _of_bits),
    *_OF_MORSE,
    (_BRAILLE, _braille_beginnings, _of_braille),
    (_SELECTORS, _selector_beginnings, _of_selectors),
)
