"""Letters of other scripts in Latin letters: as each script writes foreign names, not as it writes its own words."""

import re
import unicodedata
from functools import lru_cache

from anyascii import anyascii

from gateway.guards.han import SYLLABLES

FIRST_FOREIGN = 0x370  # before it there are Latin letters and marks only
HEBREW, ARABIC, DEVANAGARI = (0x590, 0x600), (0x600, 0x780), (0x900, 0x980)
HANGUL, HIRAGANA, KANA, HAN = (0xAC00, 0xD7B0), (0x3040, 0x30A0), (0x3040, 0x3100), (0x3400, 0xA000)
SYLLABIC = (HAN, KANA, HANGUL)
ABJADS = (HEBREW, ARABIC)

GREEK_PAIRS = {
    **{"ντ": "d", "μπ": "b", "γκ": "g", "γγ": "g", "τζ": "j", "τσ": "ch"},
    **{"ου": "u", "ού": "u", "ει": "i", "εί": "i", "οι": "i", "οί": "i"},
}
"""Two Greek letters -> the sound they write together in a name."""

_GREEK_PAIR = re.compile("|".join(GREEK_PAIRS), re.IGNORECASE)
_OWN_LETTERS = {
    **{"ッ": "", "ー": "", "ו": "", "χ": "h", "Χ": "h", "υ": "i", "ύ": "i", "ं": "n", "ँ": "n", "च": "ch"},
    **{"ا": "a", "أ": "a", "آ": "a", "إ": "i", "ى": "a", "ة": "a"},
}
_NO_LETTER = re.compile("[^a-z ]")
_BARE_DEVANAGARI = re.compile("(?<=[\u0915-\u0939])(?=[\u0902-\u0939])|(?<=[\u0915-\u0939]\u093c)(?=[\u0902-\u0939])")
_WEAK_VOWEL = re.compile("(?<=[td])o$|(?<=[^aeioyw])u$")


def within(char: str, *blocks: tuple[int, int]) -> bool:
    """Whether a character is in one of some blocks of code points."""
    return any(first <= ord(char) < end for first, end in blocks)


def is_foreign(text: str) -> bool:
    """Whether all letters are of another script than Latin."""
    return not text.isascii() and all(ord(char) >= FIRST_FOREIGN for char in text if char.isalpha())


def plain(text: str) -> str:
    """The Latin letters a to z of a text in any script, and its spaces."""
    return _NO_LETTER.sub("", anyascii(text).lower())


def letters_of(char: str) -> str:
    """One letter of another script in Latin letters, without a vowel that it may have only for want of a bare one."""
    if char in _OWN_LETTERS:
        return _OWN_LETTERS[char]
    if char in SYLLABLES:
        return SYLLABLES[char]
    letters = plain(char)
    if letters == "kh" and within(char, DEVANAGARI, HEBREW):
        return "k"
    if within(char, HAN):
        letters = letters.replace("x", "s").replace("q", "s").replace("c", "s")
    return letters.replace("ng", "n") if within(char, HAN, HANGUL) else letters


def bare_letters_of(char: str) -> str:
    """The same without the vowel that syllables have where a consonant stands alone (Japanese to, su; Korean teu)."""
    letters = letters_of(char)
    if within(char, KANA):
        return _WEAK_VOWEL.sub("", letters)
    return letters.replace("eu", "") if within(char, HANGUL) else letters


def plain_greek(text: str) -> str:
    """A text with Greek's pairs of letters as Latin ones."""
    return _GREEK_PAIR.sub(lambda pair: GREEK_PAIRS.get(pair[0].casefold(), pair[0]), text)


@lru_cache(maxsize=256)
def said(word: str) -> str:
    """A word of another script in Latin letters."""
    return "".join(map(letters_of, plain_greek(word)))


def voiced(word: str) -> str:
    """The same with the vowel that letters of Devanagari have where no other is written."""
    return said(_BARE_DEVANAGARI.sub("a", word))


def romanised(name: str) -> tuple[str, ...]:
    """A name of another script in Latin letters, in the commonest ways; none where that script leaves vowels out."""
    if not is_foreign(name) or not any(map(str.isalpha, name)) or any(within(char, *ABJADS) for char in name):
        return ()
    words = unicodedata.normalize("NFC", name).split()
    if len(words) == 1 and 2 <= len(words[0]) <= 4 and within(words[0][0], HAN, HANGUL):
        words = [words[0][0], words[0][1:]]  # family name, given name
    latin = " ".join("".join(map(anyascii, word)).capitalize() for word in words)
    ways = [latin, latin.replace("iya", "ia"), latin.replace("kh", "h").replace("Kh", "H")]
    if any(within(char, HANGUL) for char in name):
        ways.append(re.sub(r"\bL", "R", latin))
    return tuple(dict.fromkeys(ways))
