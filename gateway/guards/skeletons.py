"""Skeletons: what is left of a name when every script has written it, the classes of its consonants in order.

Scripts confuse b p f v, k g, s z sh ch; those of syllables l r and t d too. Repeated classes count once, and a t or d
before an s is part of it (ts, dzh).
"""

import re
from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from gateway.guards.letters import Numbers, ragged
from gateway.guards.rereadings import reread
from gateway.guards.romanise import (
    PAIR,
    PAIRS,
    PREPOSED,
    SYLLABIC,
    TAMIL,
    bare_letters_of,
    in_order,
    is_foreign,
    plain,
    within,
)

MOST_WORDS = 4
LEAST_CLASSES = 4  # a name with fewer consonants sounds like too many others
_NAME_BREAK = re.compile(r"[^\w\u0300-\u036f\u0900-\u0dff'’]+")

_BETWEEN, _VOWEL = "|", "-"
_SYMBOLS = "\0" + _VOWEL + "BTDKSLRMNtl" + _BETWEEN
_CODE = {symbol: code for code, symbol in enumerate(_SYMBOLS)}
_ASCII = np.frombuffer(_SYMBOLS.encode("ascii"), dtype=np.uint8)
_STOPS = np.array([symbol in "TDt" for symbol in _SYMBOLS])
_MOST_SYMBOLS = 15  # of one character: four bits each, and as many for the bar behind a word, are 64
_LETTER_CLASSES = {
    letter: sort
    for sort, letters in zip(
        "BTDKSLRMN-", ("bpfv", "t", "d", "kgqc", "szj", "l", "r", "m", "n", "aeiouyw"), strict=True
    )
    for letter in letters
} | {" ": _BETWEEN}
_TO_SYLLABLES = str.maketrans("TDLR", "ttll")
_SIBILANT = re.compile("shch|tsch|tch|sch|dzh|sh|ch|zh|ts|tz|dj|cz")
_BEFORE_SIBILANT = re.compile("[TDt](?=[TDt]?S)")
_REPEATED = re.compile(r"([^|])(?=\1)")  # all but the last
_SOFT_C = re.compile("c(?=[eiy])")
_SILENT_H = re.compile("(?<=[aeiou])h(?![aeiou])")
_CODA_R = re.compile("r+(?![aeiouyr])")
_TOGGLES = (
    ("j", (("j", ""),)),  # a German or Spanish j
    ("w", (("w", "v"),)),
    ("v", (("v", ""),)),  # Arabic
    ("ch", (("ch", "h"),)),
    ("kh", (("kh", "k"),)),
    ("th", (("th", "s"),)),
    ("g", (("g", "j"),)),
    ("gi", (("gi", "ji"),)),  # Han
    ("shi", (("shi", "hi"),)),
    ("nt", (("nt", "d"), ("mp", "b"), ("nd", "d"), ("mb", "b"))),  # Greek
    ("nd", (("nt", "d"), ("mp", "b"), ("nd", "d"), ("mb", "b"))),
    ("mp", (("mp", "b"),)),
    ("mb", (("mb", "b"),)),
    ("ng", (("ng", "g"),)),
)


def skeletons(name: str) -> set[str]:
    """The ways the consonants of a name may come out in another script, its words parted by a bar; or none."""
    found: set[str] = set()
    for words in _words_of(name):
        if 2 <= len(words) <= MOST_WORDS:
            for way in _in_order(words):
                found |= {_BETWEEN.join(order) for order in _turned(tuple(way.split(_BETWEEN)))}
    return {way for way in found if len(way) - way.count(_BETWEEN) >= LEAST_CLASSES}


def orders(name: str) -> list[tuple[str, ...]]:
    """The words of a name in the orders in which they are written; a hyphen parts words or joins them (Al-Hamad)."""
    return [*dict.fromkeys(order for words in _words_of(name) for order in _turned(words))]


def _words_of(name: str) -> list[tuple[str, ...]]:
    ways = dict.fromkeys((name, name.replace("-", "")))
    return [*dict.fromkeys(tuple(word for word in _NAME_BREAK.split(way) if word) for way in ways)]


def _turned(words: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    return words, (*words[-1:], *words[:-1]), (*words[1:], *words[:1])


def _in_order(words: Sequence[str]) -> set[str]:
    name = " ".join(words)
    if is_foreign(name):
        return {_BETWEEN.join(skeletons_of(way)) for way in (words, [*map(reread, words)])}
    name = " ".join(plain(word).replace(" ", "") for word in words)
    letters = _SILENT_H.sub("", name)
    ways = {letters, _CODA_R.sub("", letters)}
    present = dict.fromkeys(changes for letter, changes in _TOGGLES if letter in letters)
    for count in (1, 2):
        for some in combinations(present, count):
            changed = letters
            for change in some:
                for old, new in change:
                    changed = changed.replace(old, new)
            ways.add(changed)
    classes = {_classes(_latin(way)) for way in ways}
    classes |= {way.replace(_VOWEL, "") for way in classes}  # scripts that leave vowels out
    return {_collapsed(written) for way in classes for written in (way, way.translate(_TO_SYLLABLES))}


def _latin(letters: str) -> str:
    """Spelling of European languages, closer to sound."""
    letters = letters.replace("ck", "k").replace("gh", "g").replace("qu", "k").replace("kh", "h").replace("ch", "tch")
    return _SOFT_C.sub("s", letters.replace("th", "t"))


def _classes(letters: str) -> str:
    letters = letters.replace("kh", "h").replace("ph", "f").replace("x", "ks")
    return "".join(_LETTER_CLASSES.get(letter, "") for letter in _SIBILANT.sub("s", letters))


def _classes_of(char: str) -> str:
    classes = _classes(bare_letters_of(char)).replace(_BETWEEN, "")[:_MOST_SYMBOLS]  # some are whole phrases
    return classes.translate(_TO_SYLLABLES) if within(char, *SYLLABIC, TAMIL) else classes


def _collapsed(classes: str) -> str:
    consonants = _BEFORE_SIBILANT.sub("", _REPEATED.sub("", classes)).replace(_VOWEL, "")
    return _REPEATED.sub("", consonants)


class _Table:
    """Classes of characters by code point, four bits each, filled as characters are first seen."""

    def __init__(self) -> None:
        self._packed = np.zeros(0x110000, dtype=np.uint64)
        self._known = np.zeros(0x110000, dtype=np.bool_)

    def of(self, codes: NDArray[np.uint32]) -> NDArray[np.uint64]:
        known = self._known[codes]
        if not known.all():
            for code in np.unique(codes[~known]).tolist():
                self._packed[code] = _packed(_classes_of(chr(code)))
                self._known[code] = True
        return self._packed[codes]


def _packed(classes: str) -> int:
    return sum(_CODE[symbol] << 4 * at for at, symbol in enumerate(classes))


_TABLE = _Table()
_PAIRS = {
    ord(first) << 32 | ord(second): _packed(_classes(said))
    for pair, said in PAIRS.items()
    for first in (pair[0], pair[0].upper())
    for second in (pair[1], pair[1].upper(), pair[1].replace("σ", "ς"))
}
_PAIR_KEYS = np.array(sorted(_PAIRS), dtype=np.uint64)
_PAIR_CLASSES = np.array([_PAIRS[key] for key in sorted(_PAIRS)], dtype=np.uint64)
_UNIT = re.compile(f"({PAIR})|.", re.IGNORECASE | re.DOTALL)
_BEGINS_PAIR, _IS_PREPOSED = 1, 2
_SPECIAL = np.zeros(0x110000, dtype=np.uint8)
_SPECIAL[[key >> 32 for key in _PAIRS]] = _BEGINS_PAIR
_SPECIAL[[*map(ord, PREPOSED)]] = _IS_PREPOSED


def of_words(codes: NDArray[np.uint32], ends: Numbers) -> tuple[str, Numbers]:
    """The skeletons of words written one after the other, each with a bar behind it, and where the bars are.

    `codes` are the letters of all words, `ends` where in them each word ends, [words]. Linear, without a Python step
    for each letter.
    """
    special = _SPECIAL[codes]
    if special.any():
        codes = _reordered(codes, ends, special == _IS_PREPOSED)
    packed = _TABLE.of(codes)
    if special.any():
        _join_pairs(packed, codes, ends, np.flatnonzero(special[:-1] == _BEGINS_PAIR))
    counts = np.zeros(len(codes), dtype=np.int64)
    left = packed.copy()
    while left.any():
        counts += left > 0
        left >>= np.uint64(4)
    bar = np.uint64(_CODE[_BETWEEN])
    packed[ends - 1] |= bar << (np.uint64(4) * counts[ends - 1].astype(np.uint64))
    counts[ends - 1] += 1
    at = ragged(np.zeros_like(counts), counts).astype(np.uint64)
    symbols = ((np.repeat(packed, counts) >> (np.uint64(4) * at)) & np.uint64(15)).astype(np.uint8)
    symbols = _once(symbols)
    stops = _STOPS[symbols[:-1]]
    before = stops & (symbols[1:] == _CODE["S"])
    before[:-1] |= stops[:-1] & before[1:]
    kept = symbols != _CODE[_VOWEL]
    kept[:-1] &= ~before
    symbols = _once(symbols[kept])
    return _ASCII[symbols].tobytes().decode("ascii"), np.flatnonzero(symbols == _CODE[_BETWEEN])


def _reordered(codes: NDArray[np.uint32], ends: Numbers, preposed: NDArray[np.bool_]) -> NDArray[np.uint32]:
    """Letters with every vowel behind the consonant that it is said behind."""
    moved = preposed[:-1] & ~preposed[1:]
    moved[ends[:-1] - 1] = False
    at = np.flatnonzero(moved)
    ordered = codes.copy()
    ordered[at], ordered[at + 1] = codes[at + 1], codes[at]
    return ordered


def _join_pairs(packed: NDArray[np.uint64], codes: NDArray[np.uint32], ends: Numbers, at: Numbers) -> None:
    """Give the first letter of each pair the pair's sound, the second one none."""
    keys = codes[at].astype(np.uint64) << np.uint64(32) | codes[at + 1]
    which = np.minimum(_PAIR_KEYS.searchsorted(keys), len(_PAIR_KEYS) - 1)
    paired = (_PAIR_KEYS[which] == keys) & ~np.isin(at + 1, ends)
    paired[:-1] &= ~(paired[1:] & (at[1:] == at[:-1] + 1))
    packed[at[paired]] = _PAIR_CLASSES[which[paired]]
    packed[at[paired] + 1] = 0


def _once(symbols: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Repeated symbols once, bars as often as they are there."""
    new = np.ones(len(symbols), dtype=np.bool_)
    new[1:] = (symbols[1:] != symbols[:-1]) | (symbols[1:] == _CODE[_BETWEEN])
    return symbols[new]


def skeletons_of(words: Sequence[str]) -> list[str]:
    """The skeleton of each word of other scripts."""
    return [_collapsed("".join(map(_unit_classes, _UNIT.finditer(in_order(word))))) for word in words]


def _unit_classes(unit: re.Match[str]) -> str:
    return _classes(PAIRS[unit[1].casefold()]) if unit[1] else _classes_of(unit[0])
