"""The one folding of text that every guard shares: letters and digits without case, accents, width, look or spacing.

A character folds to zero or more *letters* (NFKD, case folding, accents and invisible characters dropped, look-alikes
of Latin letters mapped to them). Whatever is neither a letter nor a digit is dropped, but leaves an *edge*, which is
what the word-boundary rules look at. Hangul is decomposed, so composed and decomposed text agree.
"""

import json
import re
import unicodedata
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from threading import Lock
from typing import Final, NamedTuple

import confusable_homoglyphs
import numpy as np
from numpy.typing import NDArray

RECENT_TEXTS = 4  # several readers ask for the same prompt one after the other
BARRIER = "\udcff"  # no UTF-8 text decodes to it; kept by `fold`, so nothing ever matches across it


class Kind:
    """What a character is to its neighbours: plain integers, since NumPy takes ten times as long over an IntEnum."""

    UNKNOWN: Final = 0  # not looked up yet
    IGNORED: Final = 1  # invisible, or an accent on the letter before it
    SEPARATOR: Final = 2
    LOWER: Final = 3  # also letters of scripts without case
    UPPER: Final = 4
    DIGIT: Final = 5
    UNSPACED: Final = 6  # a letter of a script written without spaces: Han, kana, Hangul, Thai ...
    CLUSTER: Final = 7  # continues an unspaced letter: a Hangul vowel or final, a voiced sound mark, a tone mark
    BARRIER: Final = 8


def _edge_table() -> NDArray[np.bool_]:
    """EDGE[a, b]: may a word end after a symbol of kind a and another begin with a following symbol of kind b."""
    table = np.zeros((9, 9), dtype=np.bool_)
    for loose in (Kind.SEPARATOR, Kind.DIGIT, Kind.UNSPACED, Kind.CLUSTER, Kind.BARRIER):
        table[loose, :] = True
        table[:, loose] = True
    table[Kind.DIGIT, Kind.DIGIT] = False
    table[Kind.LOWER, Kind.UPPER] = True  # camelCase
    table[:, Kind.CLUSTER] = False
    return table


EDGE = _edge_table()
_FLAT_EDGE = EDGE.ravel()


class Symbol(NamedTuple):
    letters: str
    kind: int


@dataclass(frozen=True, slots=True, eq=False)
class Folded:
    """Folded text of n letters; letter i was written in source[starts[i]:ends[i]].

    `edges` has n + 1 bytes: edges[i] is 1 where a word may begin at letter i or end before it. `genuine[i]` is 0 where
    the letter was guessed from a look-alike digit or sign (only in `fold_lookalike`).
    """

    text: str
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    edges: bytes
    genuine: NDArray[np.bool_] | None = None


_UNSPACED_RANGES = (
    (0x0E00, 0x0FFF),  # Thai, Lao, Tibetan
    (0x1000, 0x109F),  # Myanmar
    (0x1100, 0x11FF),  # Hangul jamo
    (0x1780, 0x17FF),  # Khmer
    (0x2E80, 0x2FDF),
    (0x3005, 0x3007),
    (0x3021, 0x31FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xA960, 0xA97F),
    (0xAC00, 0xD7FF),
    (0xF900, 0xFAFF),
    (0x1B000, 0x1B16F),
    (0x20000, 0x3FFFF),
)
_BLANK_LETTERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0")
_LETTERS_BY_USE = {"æ": "ae", "œ": "oe", "ð": "d", "þ": "th", "ŋ": "n", "ƿ": "w"}
_LETTERS_BY_USE |= {"ک": "ك", "ی": "ي", "ى": "ي", "ہ": "ه", "ة": "ه"}  # of one sound, typed for each other
_LATIN_NAME = re.compile(
    r"(?:.*LATIN .*|REGIONAL INDICATOR SYMBOL )LETTER "
    r"(?:(?:SMALL CAPITAL|DOTLESS|SCRIPT|OPEN|TURNED|REVERSED|INVERTED) )*([A-Z])(?: WITH .*)?"
)
_LOOKING_LATIN = ("CYRILLIC", "GREEK", "ARMENIAN", "COPTIC", "CHEROKEE", "LISU", "LATIN")


@cache
def homoglyphs() -> dict[str, str]:
    """Letters of alphabets that look Latin -> the ASCII letter they look like, case kept (Unicode's confusables)."""
    data = json.loads((Path(confusable_homoglyphs.__file__).parent / "confusables.json").read_text("utf-8"))
    found: dict[str, str] = {}
    for char, alikes in data.items():
        if len(char) == 1 and not char.isascii() and unicodedata.name(char, "").startswith(_LOOKING_LATIN):
            latin = [a["c"] for a in alikes if len(a["c"]) == 1 and a["c"].isascii() and a["c"].isalpha()]
            if latin:
                found[char] = latin[0]
    return found


def _is_unspaced(char: str) -> bool:
    code = ord(char)
    return any(low <= code <= high for low, high in _UNSPACED_RANGES)


def _is_accent(char: str) -> bool:
    """A mark that changes how a letter looks, not which letter it is (vowel signs of Indic scripts are letters)."""
    return (combining := unicodedata.combining(char)) == 1 or 10 <= combining <= 36 or combining >= 200


def _fold_letter(char: str) -> str:
    """One case-folded, decomposed letter -> the letters that stand for it."""
    if char.isascii():
        return char
    if char in _LETTERS_BY_USE:
        return _LETTERS_BY_USE[char]
    if named := _LATIN_NAME.fullmatch(unicodedata.name(char, "")):
        return named[1].lower()
    if unicodedata.category(char) == "Nd":
        return str(unicodedata.digit(char))
    upper = char.upper()
    # The lower-case look wins, so that both cases of a native word fold alike.
    alike = homoglyphs().get(char) or (homoglyphs().get(upper) if len(upper) == 1 else None)
    return alike.lower() if alike else char


def _analyse(char: str) -> Symbol:
    """The folding itself, one character at a time."""
    if char == BARRIER:
        return Symbol(BARRIER, Kind.BARRIER)
    category = unicodedata.category(char)
    selector = unicodedata.name(char, "").startswith("VARIATION SELECTOR")
    if category in ("Cf", "Me") or char in _BLANK_LETTERS or selector or _is_accent(char):
        return Symbol("", Kind.IGNORED)
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", char).casefold())
    letters = "".join(_fold_letter(part) for part in decomposed if not _is_accent(part))
    letters = "".join(part for part in letters if part.isalnum() or unicodedata.category(part) in ("Mn", "Mc"))
    if not letters:
        return Symbol("", Kind.SEPARATOR)
    return Symbol(letters, _kind_of(char, letters))


def _kind_of(char: str, letters: str) -> int:
    first = letters[0]
    if _is_unspaced(first):
        continues = "\u1160" <= first <= "\u11ff" or unicodedata.category(first) in ("Mn", "Mc")
        return Kind.CLUSTER if continues else Kind.UNSPACED
    if first.isdigit():
        return Kind.DIGIT
    return Kind.UPPER if unicodedata.category(char) in ("Lu", "Lt", "So") else Kind.LOWER


class _Table:
    """Foldings by code point, filled as characters are first seen (most never are)."""

    LIMIT = 0x110000

    def __init__(self) -> None:
        self.kinds = np.zeros(self.LIMIT, dtype=np.uint8)
        self.values = np.zeros(self.LIMIT, dtype=np.uint32)  # a code point, or LIMIT + index of an expansion
        self.expansions: list[str] = []
        self._learning = Lock()  # long prompts and new policies are read in threads of their own
        self.learn(np.arange(128, dtype=np.uint32))

    def learn(self, codes: NDArray[np.uint32]) -> None:
        with self._learning:
            for code in codes.tolist():
                letters, kind = _analyse(chr(code))
                if len(letters) == 1:
                    self.values[code] = ord(letters)
                elif letters:
                    self.values[code] = self.LIMIT + len(self.expansions)
                    self.expansions.append(letters)
                self.kinds[code] = kind

    def kinds_of(self, codes: NDArray[np.uint32]) -> NDArray[np.uint8]:
        kinds = self.kinds.take(codes)
        if not kinds.all():
            self.learn(np.unique(codes[kinds == Kind.UNKNOWN]))
            kinds = self.kinds.take(codes)
        return kinds


_TABLE = _Table()


_UMLAUTS = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "å": "aa", "Å": "Aa", "ø": "oe", "Ø": "Oe"}
)


def respellings(name: str) -> tuple[str, ...]:
    """The name, and the way it is written where a keyboard has no umlauts (Müller: Mueller)."""
    if name.isascii():
        return (name,)
    composed = unicodedata.normalize("NFC", name)
    respelt = composed.translate(_UMLAUTS)
    return (name,) if respelt == composed else (name, respelt)


class _Symbols(dict[str, Symbol]):
    def __missing__(self, char: str) -> Symbol:
        symbol = self[char] = _analyse(char)
        return symbol


SYMBOLS = _Symbols()
"""Folding of single characters, for streams: the same as `fold`, remembered."""


@lru_cache(maxsize=RECENT_TEXTS)
def fold(text: str) -> Folded:
    """Fold text in linear time; never raises."""
    codes = codes_of(text)
    return fold_codes(codes, kinds_of(codes))


def kinds_of(codes: NDArray[np.uint32]) -> NDArray[np.uint8]:
    """The kind of each code point, [characters]."""
    return _TABLE.kinds_of(codes)


@lru_cache(maxsize=RECENT_TEXTS)
def codes_of(text: str) -> NDArray[np.uint32]:
    """The code points of a text, [characters]; read-only."""
    if not text.isascii():
        return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
    codes = np.frombuffer(text.encode("ascii"), dtype=np.uint8).astype(np.uint32)
    codes.flags.writeable = False
    return codes


def fold_codes(codes: NDArray[np.uint32], kinds: NDArray[np.uint8]) -> Folded:
    """Fold code points whose kinds are known."""
    kept = (kinds >= Kind.LOWER).nonzero()[0]
    if not len(kept):
        return Folded("", kept, kept, b"\x01")
    own = kinds.take(kept)
    before = np.empty_like(own)
    before[1:] = own[:-1]
    ends = kept + 1
    if (kinds == Kind.IGNORED).any():
        visible = (kinds != Kind.IGNORED).nonzero()[0]
        shown = kinds.take(visible)
        at = (shown >= Kind.LOWER).nonzero()[0]
        before[shown.take(at - 1) == Kind.SEPARATOR] = Kind.SEPARATOR
        ends = np.append(visible, len(codes)).take(at + 1)  # accents belong to the letter they follow
    else:
        before[1:][kept[1:] - kept[:-1] > 1] = Kind.SEPARATOR
    before[0] = Kind.SEPARATOR
    edges = np.ones(len(kept) + 1, dtype=np.uint8)
    edges[:-1] = _FLAT_EDGE.take(before * np.uint8(len(EDGE)) + own)
    values = _TABLE.values.take(codes.take(kept))
    if (values >= _Table.LIMIT).any():
        values, origin, first = _expand(values)
        kept, ends = kept.take(origin), ends.take(origin)
        edges = np.append(edges.take(origin) * first, np.uint8(1))
    return Folded(text_of(values), kept, ends, edges.tobytes())


def _expand(values: NDArray[np.uint32]) -> tuple[NDArray[np.uint32], NDArray[np.int64], NDArray[np.bool_]]:
    """Write out what folds to several letters: the letters, the index each came from, whether it is the first of it."""
    many = (values >= _Table.LIMIT).nonzero()[0]
    written = [_TABLE.expansions[index] for index in (values[many] - _Table.LIMIT).tolist()]
    counts = np.ones(len(values), dtype=np.int64)
    counts[many] = [len(letters) for letters in written]
    origin = np.repeat(np.arange(len(values)), counts)
    first = np.ones(len(origin), dtype=np.bool_)
    first[1:] = origin[1:] != origin[:-1]
    expanded = values.take(origin)
    expanded[expanded >= _Table.LIMIT] = codes_of("".join(written))
    return expanded, origin, first


def text_of(values: NDArray[np.uint32]) -> str:
    """The text of code points."""
    if not len(values) or not values[-1]:  # a last zero would be lost
        return values.astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")
    text: str = values.astype("<u4").view(f"<U{len(values)}").item()
    return text
