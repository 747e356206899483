"""Whether words of another script are a name with the same skeleton: romanised, they must nearly be its letters.

In scripts that leave vowels out, its consonants.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

from rapidfuzz.distance import Levenshtein

from gateway.guards.rereadings import reread
from gateway.guards.romanise import (
    ABJADS,
    HAN,
    HANGUL,
    KANA,
    SYLLABIC,
    TAMIL,
    THAI,
    bare_letters_of,
    is_foreign,
    plain,
    said,
    voiced,
    within,
)
from gateway.guards.skeletons import orders

_SIMILARITY = (0.6, 0.75)  # of each word, and on average
_SYLLABLE_SIMILARITY = (0.5, 0.65)  # scripts of syllables have vowels after all consonants, and fewer of these
_REPEATED = re.compile(r"(\w)\1+")
_SOFT_C = re.compile("c(?=[eiy])")
_INNER_H = re.compile("(?<=.)h")
_VOWEL = re.compile("[eiou]")
_FINE = (
    *(("shch", "s"), ("sch", "s"), ("tch", "s"), ("sh", "s"), ("dzh", "j"), ("zh", "j"), ("ch", "s"), ("ts", "s")),
    *(("tz", "s"), ("z", "s"), ("dj", "j"), ("ph", "f"), ("kh", "h"), ("gh", "g"), ("th", "t"), ("ck", "k")),
    *(("q", "k"), ("x", "ks"), ("w", "v"), ("y", "i"), ("ei", "i"), ("ie", "i")),
)
_CONSONANTS = (
    *(("kh", "h"), ("gh", "g"), ("ck", "k"), ("dh", "d"), ("th", "t")),
    *(("tsh", "s"), ("ch", "s"), ("sh", "s")),
)
_OTHERWISE = str.maketrans({"j": "y", "J": "Y", "ö": "e", "ü": "u", "w": "u", "W": "U"})
_COARSE = str.maketrans("pfvdgrzjou", "bbbtklssuu")
_LEFT_OUT = re.compile("[aeiouhwy]")
_WAW = "V"
_AROUND_WAW = re.compile(f"(\\w){_WAW}(?=\\1)")
_ABJAD_SOUNDS = str.maketrans("pfvzgjq", "bbbskkk")


@lru_cache(maxsize=8192)
def sounds_like(words: tuple[str, ...], name: str) -> bool:
    """Whether words of another script than the name's are this name, word by word in some order."""
    if is_foreign(name) and _block(name) == _block(words[0]):
        return False
    if not is_foreign(words[0]):
        ways = [way for order in orders(name) if len(order) == len(words) for way in (order, [*map(reread, order)])]
        return any(_all_alike(way, words, *_SIMILARITY) and _of_one_sex(way, words) for way in ways)
    needed = _SYLLABLE_SIMILARITY if within(words[0][0], *SYLLABIC) else _SIMILARITY
    return any(len(order) == len(words) and _all_alike(words, order, *needed) for order in orders(name))


def _all_alike(words: Sequence[str], name: Sequence[str], least: float, mean: float) -> bool:
    total = 0.0
    for written, word in zip(words, name, strict=True):
        similarity = _similarity(written, word)
        if similarity < least:
            return False
        total += similarity
    return total >= mean * len(words)


def _of_one_sex(name: Sequence[str], latin: Sequence[str]) -> bool:
    """Whether words end in an a where a name's do: Кельрин is not Kelrina."""
    pairs = ((said(word), plain(written)) for word, written in zip(name, latin, strict=True))
    return within(name[0][0], *ABJADS) or all((a[-1:] == "a") == (b[-1:] == "a") for a, b in pairs)


def _block(text: str) -> int:
    """Something that words of one script agree on."""
    char = next((char for char in text if char.isalpha()), text[0])
    return next((at for at, block in enumerate((HAN, KANA, HANGUL)) if within(char, block)), ord(char) >> 7)


def _similarity(written: str, word: str) -> float:
    """How near a word of another script comes to a word of a name, 0 to 1."""
    meant = _meant(word)
    if within(written[0], *ABJADS):
        heard = _heard(written)
        return float(any(heard.fullmatch(_consonants(way.replace("ts", "s"))) for way in meant))
    if not within(written[0], *SYLLABIC, TAMIL, THAI):
        spoken = {said(written), voiced(written)}
        pairs = ((_fine(reading), _fine(way)) for reading in spoken for way in meant)
        return max(Levenshtein.normalized_similarity(reading, way) for reading, way in pairs)
    readings, ways = _read_in_syllables(written), _meant_in_syllables(word)
    if within(written[0], HAN):  # parts of sentences without spaces are tried: there are many
        begun = {_begin(reading) for reading in readings}
        ways = tuple(way for way in ways if _begin(way) in begun)
    pairs = ((reading, way) for reading in readings for way in ways)
    return max((Levenshtein.normalized_similarity(reading, way) for reading, way in pairs), default=0.0)


@lru_cache(maxsize=1024)
def _read_in_syllables(written: str) -> frozenset[str]:
    return frozenset(map(_syllables, (said(written), voiced(written), "".join(map(bare_letters_of, written)))))


@lru_cache(maxsize=8192)
def _meant_in_syllables(word: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(map(_syllables, _meant(word))))


@lru_cache(maxsize=1024)
def _meant(word: str) -> tuple[str, ...]:
    """The Latin letters of a word of a name, in the ways in which they may be read."""
    if is_foreign(word):
        return (said(word),)
    ways = [plain(word), plain(word.translate(_OTHERWISE))]
    ways += [way.replace(old, new) for way in ways for old, new in (("th", "s"), ("gi", "ji"))]
    return tuple(dict.fromkeys(ways))


def _begin(letters: str) -> str:
    return _VOWEL.sub("a", letters[:1])


@lru_cache(maxsize=1024)
def _fine(letters: str) -> str:
    for old, new in _FINE:
        letters = letters.replace(old, new)
    return _REPEATED.sub(r"\1", _INNER_H.sub("", _SOFT_C.sub("s", letters).replace("c", "k")))


def _syllables(letters: str) -> str:
    return _REPEATED.sub(r"\1", _fine(letters).translate(_COARSE))


@lru_cache(maxsize=1024)
def _heard(written: str) -> re.Pattern[str]:
    """The consonants of a name that may be written so; a waw is one of them or a vowel, a t and an s are one or two."""
    consonants = _consonants(said(written.replace("ו", "و")).replace("w", _WAW))
    return re.compile(_AROUND_WAW.sub(r"(?:\1b?)?", consonants.replace("ts", "t?s")).replace(_WAW, "b?"))


@lru_cache(maxsize=1024)
def _consonants(letters: str) -> str:
    for old, new in _CONSONANTS:
        letters = letters.replace(old, new)
    letters = _SOFT_C.sub("s", letters).replace("c", "k").replace("x", "ks")
    return _REPEATED.sub(r"\1", _LEFT_OUT.sub("", letters.translate(_ABJAD_SOUNDS)))
