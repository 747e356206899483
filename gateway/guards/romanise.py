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
TAMIL, THAI = (0xB80, 0xC00), (0xE00, 0xE80)
ABJADS = (HEBREW, ARABIC)
ASPIRATING = (HEBREW, (0x900, 0x10A0))  # from Devanagari to Myanmar: an h behind a consonant is its breath
_INDIC = range(0x900, 0xD80, 0x80)  # nine scripts in blocks of one plan

GERESH = "'’׳"
PAIRS = {
    **{"ντ": "d", "μπ": "b", "γκ": "g", "γγ": "g", "τζ": "j", "τσ": "ch"},
    **{"ου": "u", "ού": "u", "ει": "i", "εί": "i", "οι": "i", "οί": "i"},
    **{"ու": "u", "ஃப": "f"},
    **{
        f"{letter}{mark}": said
        for letter, said in zip("גזצץת", ("j", "zh", "ch", "ch", "th"), strict=True)
        for mark in GERESH
    },
}
"""Two letters -> the sound they write together in a name.

Greek (ELOT 743), Armenian (BGN/PCGN), Hebrew with a geresh (Academy of the Hebrew Language), the Tamil f.
"""
PREPOSED = "เแโใไເແໂໃໄ"
"""Vowels of Thai and Lao that are written before the consonant behind which they are said."""

# Of two pairs that share a letter the second is one: ντσ is n, ts.
PAIR = "ντ(?![ζσ])|γγ(?![γκ])|" + "|".join(pair for pair in PAIRS if pair not in ("ντ", "γγ"))
_PAIR = re.compile(PAIR, re.IGNORECASE)
_PREPOSED = re.compile(f"([{PREPOSED}])([^{PREPOSED}])")
_OWN_LETTERS = {
    **{"ッ": "", "ー": "", "ו": "", "χ": "h", "Χ": "h", "υ": "i", "ύ": "i", "ה": "", "ه": ""},
    **{"ا": "a", "أ": "a", "آ": "a", "إ": "i", "ى": "a", "ة": "a"},
    **{chr(block + at): said for block in _INDIC for at, said in ((1, "n"), (2, "n"), (0x1A, "ch"))},
}
_MARKED = str.maketrans({"č": "ch", "ć": "ch", "š": "sh", "ş": "sh", "ś": "sh", "ž": "zh", "đ": "dj", "Đ": "Dj"})
_MARKED |= str.maketrans({"Č": "Ch", "Ć": "Ch", "Š": "Sh", "Ş": "Sh", "Ś": "Sh", "Ž": "Zh"})
_TWO_CHARACTERS = "欧阳 歐陽 司马 司馬 诸葛 諸葛 上官 司徒 皇甫 令狐 尉迟 慕容 夏侯 东方 東方 公孙 公孫 长孙 南宫"
"""Chinese family names of two characters."""
_OF_TWO = frozenset(_TWO_CHARACTERS.split())
_KOREAN = {
    **{"김": "Kim", "이": "Lee", "박": "Park", "최": "Choi", "정": "Jung", "강": "Kang", "조": "Cho", "윤": "Yoon"},
    **{"임": "Lim", "오": "Oh", "서": "Seo", "신": "Shin", "권": "Kwon", "황": "Hwang", "안": "Ahn", "류": "Ryu"},
    **{"유": "Yoo", "전": "Jeon", "홍": "Hong", "문": "Moon", "손": "Son", "양": "Yang", "배": "Bae", "백": "Baek"},
}
"""Korean family names as their bearers write them, which is seldom the official way."""
_NO_LETTER = re.compile("[^a-z ]")
_CONSONANT, _NOT_BARE = (
    "[" + "".join(f"{chr(block + first)}-{chr(block + 0x39)}" for block in _INDIC) + "]" for first in (0x15, 2)
)
_BARE = re.compile(f"(?<={_CONSONANT})(?={_NOT_BARE})|(?<={_CONSONANT}\u093c)(?={_NOT_BARE})")
_FINAL_S = (19, 20)  # of a Hangul syllable: said as t
_WEAK_VOWEL = re.compile("(?<=[td])o$|(?<=[^aeioyw])u$")


def within(char: str, *blocks: tuple[int, int]) -> bool:
    """Whether a character is in one of some blocks of code points."""
    return any(first <= ord(char) < end for first, end in blocks)


def is_foreign(text: str) -> bool:
    """Whether all letters are of another script than Latin."""
    return not text.isascii() and all(ord(char) >= FIRST_FOREIGN for char in text if char.isalpha())


def plain(text: str) -> str:
    """The Latin letters a to z of a text in any script, and its spaces."""
    return _NO_LETTER.sub("", anyascii(text.translate(_MARKED)).lower())


def letters_of(char: str) -> str:
    """One letter of another script in Latin letters, without a vowel that it may have only for want of a bare one."""
    if char in _OWN_LETTERS:
        return _OWN_LETTERS[char]
    if char in SYLLABLES:
        return SYLLABLES[char]
    letters = plain(char)
    if letters in ("kh", "ph", "th") and within(char, *ASPIRATING):
        return letters[0] if letters != "ph" or within(char, THAI) else "f"
    if within(char, HAN):
        letters = letters.replace("x", "s").replace("q", "s").replace("c", "s")
    if within(char, HANGUL) and (ord(char) - HANGUL[0]) % 28 in _FINAL_S:
        letters = re.sub("s+$", "t", letters)
    return letters.replace("ng", "n") if within(char, HAN, HANGUL) else letters


def bare_letters_of(char: str) -> str:
    """The same without the vowel that syllables have where a consonant stands alone (Japanese to, su; Korean teu)."""
    letters = letters_of(char)
    if within(char, KANA):
        return _WEAK_VOWEL.sub("", letters)
    return letters.replace("eu", "") if within(char, HANGUL) else letters


def in_order(text: str) -> str:
    """A text with every vowel behind the consonant that it is said behind."""
    return _PREPOSED.sub(r"\2\1", text)


@lru_cache(maxsize=256)
def said(word: str) -> str:
    """A word of another script in Latin letters."""
    return "".join(map(letters_of, _PAIR.sub(lambda pair: PAIRS.get(pair[0].casefold(), pair[0]), in_order(word))))


def voiced(word: str) -> str:
    """The same with the vowel that letters of India have where no other is written."""
    return said(_BARE.sub("a", word))


def romanised(name: str) -> tuple[str, ...]:
    """A name of another script in Latin letters, in the commonest ways; none where that script leaves vowels out."""
    if not is_foreign(name) or not any(map(str.isalpha, name)) or any(within(char, *ABJADS) for char in name):
        return ()
    words = unicodedata.normalize("NFC", name).split()
    if len(words) == 1 and 2 <= len(words[0]) <= 4 and within(words[0][0], HAN, HANGUL):
        family = 2 if words[0][:2] in _OF_TWO and len(words[0]) > 2 else 1
        words = [words[0][:family], words[0][family:]]
    latin = " ".join("".join(map(anyascii, word)).capitalize() for word in words)
    ways = [latin, latin.replace("iya", "ia"), latin.replace("kh", "h").replace("Kh", "H")]
    if any(within(char, HANGUL) for char in name):
        ways.append(re.sub(r"\bL", "R", latin))
        if words[0] in _KOREAN:
            ways.append(" ".join((_KOREAN[words[0]], *latin.split()[1:])))
    return tuple(dict.fromkeys(ways))
