"""Names in another script (Helena Droste: Хелена Дросте, 海伦娜·德罗斯特), found by the consonants left of them.

No two scripts write a name the same way, so it takes two steps. *Skeletons* say what may be a name: the classes of its
consonants that scripts confuse (b p f v, d t, k g, s z sh ch, l r), repeated ones once. Then romanised letters decide:
they must nearly be the name's; in scripts that leave vowels out, its consonants.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

import numpy as np
from anyascii import anyascii
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein

from gateway.guards.letters import Filter, Hashes, Joined, Numbers, Parts, Table, merged_table
from gateway.guards.normalise import Kind, codes_of, kinds_of

MOST_WORDS = 4
_FIRST_FOREIGN = 0x370  # before it there are Latin letters and marks only
_SIMILARITY = (0.6, 0.75)  # of each word, and on average
_SYLLABLE_SIMILARITY = (0.5, 0.65)  # scripts of syllables have vowels after all consonants, and fewer of these
_LEAST_CLASSES = 4  # a name with fewer consonants sounds like too many others
_UNSPACED_NAME = 7  # characters that a word of a name may have where words are not set off by spaces
_MOST_BETWEEN = 3
_TRANSCRIBING = frozenset("尔爾斯特克夫福普曼顿頓姆蒂娃诺諾洛莱萊伊奥奧")  # Han that mostly write foreign names
_KOREAN_PARTICLES = np.array([ord(char) for char in "은는을를와과의"], dtype=np.uint32)
_DOTS = frozenset("·・‧•･＝゠")
_LETTER_CLASSES = {
    letter: sort
    for sort, letters in zip("BTKSLMN", ("bpfv", "dt", "kgqc", "szj", "lr", "m", "n"), strict=True)
    for letter in letters
}
_SIBILANT = re.compile("shch|tsch|tch|sch|dzh|sh|ch|zh|ts|tz|dj|cz")
_SIBILANT_CLASSES = re.compile("T*S+")  # a ts or dzh is one sound in some scripts, two in others
_REPEATED = re.compile(r"(\w)\1+")
_NO_LETTER = re.compile("[^a-z ]")
_SOFT_C = re.compile("c(?=[eiy])")
_SILENT_H = re.compile("(?<=[aeiou])h(?![aeiou])")
_CODA_R = re.compile("r+(?![aeiouyr])")
_NAME_BREAK = re.compile(r"[^\w\u0300-\u036f\u0900-\u0dff'’]+")
_HEBREW, _ARABIC, _DEVANAGARI = (0x590, 0x600), (0x600, 0x780), (0x900, 0x980)
_HANGUL, _HIRAGANA, _KANA, _HAN = (0xAC00, 0xD7B0), (0x3040, 0x30A0), (0x3040, 0x3100), (0x3400, 0xA000)
_CASED = (0x370, 0x590)  # Greek, Cyrillic, Armenian
_CJK = (0x3040, 0xA000)
_SYLLABIC = (_HAN, _KANA, _HANGUL)
_GREEK_PAIR = re.compile("ντ|μπ|γκ|τζ|ου|ού", re.IGNORECASE)
_GREEK_PAIRS = {"ντ": "δ", "μπ": "β", "γκ": "γ", "τζ": "ζ", "ου": "υ", "ού": "υ"}
_OWN_LETTERS = {"ッ": "", "ー": "", "ו": "", "χ": "h", "Χ": "h", "ं": "n", "ँ": "n", "च": "ch"}
_TOGGLES = (
    ("j", (("j", ""),)),  # a German or Spanish j
    ("w", (("w", "v"),)),
    ("v", (("v", ""),)),  # Chinese
    ("h", (("h", "g"),)),  # an older Russian way
    ("ch", (("ch", "h"),)),
    ("th", (("th", "s"),)),
    ("g", (("g", "j"),)),
    ("nt", (("nt", "d"), ("mp", "b"), ("nd", "d"), ("mb", "b"))),  # Greek
    ("nd", (("nt", "d"), ("mp", "b"), ("nd", "d"), ("mb", "b"))),
)


def _within(char: str, *blocks: tuple[int, int]) -> bool:
    return any(first <= ord(char) < end for first, end in blocks)


def _letters(char: str) -> str:
    """One letter of another script in Latin letters."""
    if char in _OWN_LETTERS:
        return _OWN_LETTERS[char]
    letters = _NO_LETTER.sub("", anyascii(char).lower())
    if letters == "kh" and _within(char, _DEVANAGARI, _HEBREW):
        return "k"
    if _within(char, _HAN):
        letters = letters.replace("x", "s").replace("q", "s").replace("c", "s")
    return letters.replace("ng", "n") if _within(char, _HAN, _HANGUL) else letters


def _classes(letters: str) -> str:
    letters = letters.replace("kh", "h").replace("ph", "f").replace("x", "ks")
    return "".join(_LETTER_CLASSES.get(letter, "|" if letter == " " else "") for letter in _SIBILANT.sub("s", letters))


def _collapsed(classes: str) -> str:
    return _REPEATED.sub(r"\1", _SIBILANT_CLASSES.sub("S", classes))


class _Sounds(dict[int, str]):
    def __missing__(self, code: int) -> str:
        sound = self[code] = "|" if code == 32 else _classes(_letters(chr(code)))
        return sound


_SOUNDS = _Sounds()


def skeletons(name: str) -> set[str]:
    """The ways the consonants of a name may come out in another script, its words parted by a bar; or none."""
    words = [word for word in _NAME_BREAK.split(name) if word]
    if not 2 <= len(words) <= MOST_WORDS:
        return set()
    found: set[str] = set()
    for order in dict.fromkeys((tuple(words), (*words[-1:], *words[:-1]), (*words[1:], *words[:1]))):
        found |= _in_order(" ".join(order))
    return {way for way in found if len(way) - way.count("|") >= _LEAST_CLASSES and all(way.split("|"))}


def _in_order(name: str) -> set[str]:
    if is_foreign(name):
        return {_collapsed(_plain_greek(name).translate(_SOUNDS))}
    letters = _SILENT_H.sub("", _NO_LETTER.sub("", anyascii(name).lower()))
    ways = {letters, _CODA_R.sub("", letters)}
    present = dict.fromkeys(changes for letter, changes in _TOGGLES if letter in letters)
    for count in (1, 2):
        for some in combinations(present, count):
            changed = letters
            for change in some:
                for old, new in change:
                    changed = changed.replace(old, new)
            ways.add(changed)
    return {_collapsed(_classes(_latin(way))) for way in ways}


def _latin(letters: str) -> str:
    """Spelling of European languages, closer to sound."""
    letters = letters.replace("ck", "k").replace("gh", "g").replace("qu", "k").replace("kh", "h").replace("ch", "tch")
    return _SOFT_C.sub("s", letters.replace("th", "t"))


def is_foreign(text: str) -> bool:
    """Whether all letters are of another script than Latin."""
    return not text.isascii() and all(ord(char) >= _FIRST_FOREIGN for char in text if char.isalpha())


def romanised(name: str) -> tuple[str, ...]:
    """A name of another script in Latin letters, in the commonest ways; none where that script leaves vowels out."""
    if not is_foreign(name) or not any(map(str.isalpha, name)) or any(_within(char, _HEBREW, _ARABIC) for char in name):
        return ()
    words = unicodedata.normalize("NFC", name).split()
    if len(words) == 1 and 2 <= len(words[0]) <= 4 and _within(words[0][0], _HAN, _HANGUL):
        words = [words[0][0], words[0][1:]]  # family name, given name
    latin = " ".join("".join(map(anyascii, word)).capitalize() for word in words)
    ways = [latin, latin.replace("iya", "ia"), latin.replace("kh", "h").replace("Kh", "H")]
    if any(_within(char, _HANGUL) for char in name):
        ways.append(re.sub(r"\bL", "R", latin))
    return tuple(dict.fromkeys(ways))


@dataclass(frozen=True, slots=True)
class Spoken:
    """Words of another script that may be a name: where they begin and end, and their skeletons joined."""

    start: int
    end: int
    words: tuple[str, ...]
    skeleton: str


class SpokenText:
    """Neighbouring words of another script than Latin in a text, under the hashes of their skeletons."""

    def __init__(self, text: str, codes: NDArray[np.uint32]):
        self._text = text
        kinds = kinds_of(codes)
        letters = codes >= _FIRST_FOREIGN
        letters &= (kinds != Kind.SEPARATOR) & (kinds != Kind.DIGIT) & (kinds != Kind.BARRIER)
        katakana = letters & (codes >= 0x30A0) & (codes < 0x3100)
        change = np.ones(len(codes) + 1, dtype=np.bool_)
        change[1:-1] = (letters[1:] != letters[:-1]) | (katakana[1:] != katakana[:-1])
        bounds = np.flatnonzero(change)
        lettered = letters[bounds[:-1]]
        self._starts, self._ends = bounds[:-1][lettered], bounds[1:][lettered]
        self._spans = list(zip(self._starts.tolist(), self._ends.tolist(), strict=True))
        upper = kinds[self._starts] == Kind.UPPER
        first_codes = codes[self._starts]
        cased = (first_codes >= _CASED[0]) & (first_codes < _CASED[1])
        # Names are written with capitals, but in a text that has none at all.
        self._named = upper | ~cased if upper.any() else np.ones(len(upper), dtype=np.bool_)
        self._first, self._count = self._windows(codes)
        self._parts: list[Spoken] = []
        self.hashes = _hashes([])
        if not self._joined.any():
            return
        sounds = _sounds_of([text[start:end] for start, end in self._spans])
        lengths = np.array([len(sound) for sound in sounds], dtype=np.int64)
        ends = np.cumsum(lengths + 1) - 1
        begin, end = (ends - lengths)[self._first], ends[self._first + self._count - 1]
        enough = end - begin > _LEAST_CLASSES
        self._first, self._count = self._first[enough], self._count[enough]
        self._parts = list(self._partly(codes))
        whole = Parts("|".join(sounds)).between(begin[enough], end[enough])
        self.hashes = np.concatenate((whole, _hashes([part.skeleton for part in self._parts])))

    def __getitem__(self, index: int) -> "Spoken":
        if index >= len(self._first):
            return self._parts[index - len(self._first)]
        spans = self._spans[self._first[index] : self._first[index] + self._count[index]]
        return Spoken(spans[0][0], spans[-1][1], tuple(self._text[start:end] for start, end in spans), "")

    def _windows(self, codes: NDArray[np.uint32]) -> tuple[Numbers, Numbers]:
        """First words and counts of words that may be a name."""
        ends, begins = self._ends[:-1], self._starts[1:]
        last = codes[ends - 1]
        apart = np.isin(last, _KOREAN_PARTICLES) | ~self._named[:-1] | ~self._named[1:]
        joined = (begins - ends == 1) & (codes[np.minimum(ends, len(codes) - 1)] == ord(" "))
        joined &= ~apart & ((last < _CJK[0]) | (last >= _CJK[1]))
        for at in np.flatnonzero(~joined & (begins > ends) & (begins - ends <= _MOST_BETWEEN) & ~apart).tolist():
            joined[at] = self._joins(at)
        self._joined = joined
        runs = [np.flatnonzero(joined)]
        for count in range(2, MOST_WORDS):
            first = runs[-1]
            first = first[first + count - 1 < len(joined)]
            runs.append(first[joined[first + count - 1]])
        first = np.concatenate(runs)
        counts = np.repeat(np.arange(2, MOST_WORDS + 1), [len(run) for run in runs])
        plain = ~np.isin(codes[self._ends[first + counts - 1] - 1], _KOREAN_PARTICLES)
        return first[plain], counts[plain]

    def _joins(self, at: int) -> bool:
        """Whether space parts a word from the next, or the dot that Chinese and Japanese names have."""
        end, begin = self._spans[at][1], self._spans[at + 1][0]
        between = self._text[end:begin].strip()
        last = self._text[end - 1]
        if between:
            following = self._text[begin]
            return between in _DOTS and _within(last, _HAN, _KANA) and not _within(following, _HIRAGANA)
        return not _within(last, _HAN, _HIRAGANA)

    def _partly(self, codes: NDArray[np.uint32]) -> "Iterator[Spoken]":
        """Two words of which only parts may be the name: other words and particles are written on to them."""
        text = self._text
        last = codes[self._ends[1:] - 1]
        hangul = (last >= _HANGUL[0]) & (last < _HANGUL[1])
        before = codes[self._ends[:-1] - 1]
        han = (before >= _HAN[0]) & (before < _HAN[1])
        for at in np.flatnonzero(self._joined & (hangul | han)).tolist():
            (start, middle), (begin, end) = self._spans[at], self._spans[at + 1]
            starts, ends = [start], list(range(max(begin + 1, end - 2), end))
            if han[at]:
                earliest = max(start, middle - _UNSPACED_NAME)
                latest = min(end, begin + _UNSPACED_NAME)
                starts = [cut for cut in range(earliest, middle) if cut == start or text[cut - 1] not in _TRANSCRIBING]
                ends = [cut for cut in range(begin + 1, latest + 1) if cut == end or text[cut] not in _TRANSCRIBING]
            heads = _sounds_of([text[cut:middle] for cut in starts])
            tails = _sounds_of([text[begin:cut] for cut in ends])
            for cut, head in zip(starts, heads, strict=True):
                for stop, tail in zip(ends, tails, strict=True):
                    if len(head) + len(tail) >= _LEAST_CLASSES:
                        yield Spoken(cut, stop, (text[cut:middle], text[begin:stop]), f"{head}|{tail}")


def spoken(text: str) -> SpokenText | None:
    """What may be a name of another script in a text; None where it has no such letters. Linear in the text."""
    if text.isascii():
        return None
    codes = codes_of(text)
    return SpokenText(text, codes) if (codes >= _FIRST_FOREIGN).any() else None


def _sounds_of(words: Sequence[str]) -> list[str]:
    return _collapsed(_plain_greek(" ".join(words)).translate(_SOUNDS)).split("|") if words else []


def _plain_greek(text: str) -> str:
    """Greek writes b, d, g and j with two letters."""
    return _GREEK_PAIR.sub(lambda pair: _GREEK_PAIRS[pair[0].lower()], text)


class SpokenNames:
    """Names by their skeletons."""

    def __init__(self, table: Table):
        self._table = table
        self._known = Filter(table.keys)

    @classmethod
    def compiled(cls, names: Sequence[str]) -> "SpokenNames":
        ways = [(way, number) for number, name in enumerate(names) for way in sorted(skeletons(name))]
        keys = _hashes([way for way, _ in ways])
        return cls(Table(keys, np.array([number for _, number in ways], dtype=np.uint32)))

    @classmethod
    def merged(cls, many: "Sequence[SpokenNames]", numbers: Sequence[Numbers]) -> "SpokenNames":
        return cls(merged_table([each._table for each in many], numbers))

    def find(self, words: SpokenText | None) -> Iterator[tuple[Spoken, int]]:
        """What may be a name, and the number of that name."""
        if words is not None:
            passed = self._known.passed(words.hashes)
            which, numbers = self._table.find(words.hashes[passed])
            for index, number in zip(passed[which].tolist(), numbers.tolist(), strict=True):
                yield words[index], number


def _hashes(skeletons: Sequence[str]) -> Hashes:
    joined = Joined.of(skeletons)
    return joined.parts.between(joined.starts, joined.ends)


@lru_cache(maxsize=1024)
def sounds_like(words: tuple[str, ...], name: str) -> bool:
    """Whether words of another script are this name, word by word in some order."""
    named = [word for word in _NAME_BREAK.split(name) if word]
    if is_foreign(name) and _block(name) == _block(words[0]):
        return False
    if len(named) != len(words):
        return False
    syllables = _within(words[0][0], *_SYLLABIC)
    if not syllables and not is_foreign(name):
        said, meant = "".join(map(_said, words)), _NO_LETTER.sub("", anyascii(name).lower())
        if any((letter in said) != (letter in meant) for letter in "lr"):
            return False  # most that share a skeleton differ here, which is quickly seen
    orders = dict.fromkeys(((*named,), (*named[-1:], *named[:-1]), (*named[1:], *named[:1])))
    return any(_all_alike(words, order, *(_SYLLABLE_SIMILARITY if syllables else _SIMILARITY)) for order in orders)


def _all_alike(words: Sequence[str], name: Sequence[str], least: float, mean: float) -> bool:
    total = 0.0
    for written, word in zip(words, name, strict=True):
        similarity = _similarity(written, word)
        if similarity < least:
            return False
        total += similarity
    return total >= mean * len(words)


def _block(text: str) -> int:
    """Something that words of one script agree on."""
    char = next((char for char in text if char.isalpha()), text[0])
    return next((at for at, block in enumerate((_HAN, _KANA, _HANGUL)) if _within(char, block)), ord(char) >> 7)


_FINE = (
    *(("shch", "s"), ("sch", "s"), ("tch", "s"), ("sh", "s"), ("dzh", "j"), ("zh", "j"), ("ch", "s"), ("ts", "s")),
    *(
        ("tz", "s"),
        ("z", "s"),
        ("dj", "j"),
        ("ph", "f"),
        ("kh", "h"),
        ("gh", "g"),
        ("th", "t"),
        ("ck", "k"),
        ("q", "k"),
    ),
    *(("x", "ks"), ("w", "v"), ("y", "i"), ("ei", "i"), ("ie", "i")),
)
_OTHERWISE = str.maketrans({"j": "y", "J": "Y", "ö": "e", "ü": "u", "w": "u", "W": "U"})
_COARSE = str.maketrans("pfvdgrzjou", "bbbtklssuu")
_VOWEL = re.compile("[eiou]")
_INNER_H = re.compile("(?<=.)h")
_LEFT_OUT = re.compile("[aeiouhwy]")
_ABJAD_SOUNDS = str.maketrans("pfvzgjq", "bbbskkk")


def _fine(letters: str) -> str:
    for old, new in _FINE:
        letters = letters.replace(old, new)
    return _REPEATED.sub(r"\1", _INNER_H.sub("", _SOFT_C.sub("s", letters).replace("c", "k")))


@lru_cache(maxsize=256)
def _said(word: str) -> str:
    return "".join(map(_letters, _plain_greek(word)))


def _similarity(written: str, word: str) -> float:
    """How near a word of another script comes to a word of a name, 0 to 1."""
    said = _said(written)
    if is_foreign(word):
        meant = ["".join(map(_letters, _plain_greek(word)))]
    else:
        meant = [_NO_LETTER.sub("", anyascii(way).lower()) for way in {word, word.translate(_OTHERWISE)}]
        meant += [way.replace("th", "s") for way in meant if "th" in way]
    if _within(written[0], _HEBREW, _ARABIC):
        return float(any(_consonants(said) == _consonants(way) for way in meant))
    if not _within(written[0], *_SYLLABIC):
        return max(Levenshtein.normalized_similarity(_fine(said), _fine(way)) for way in meant)
    said = _syllables(said.replace("eu", ""))
    if _within(written[0], _HAN):  # parts of sentences without spaces are tried: there are many
        meant = [way for way in meant if _begin(said) == _begin(_syllables(way))]
    return max((Levenshtein.normalized_similarity(said, _syllables(way)) for way in meant), default=0.0)


def _begin(letters: str) -> str:
    return _VOWEL.sub("a", letters[:1])


def _syllables(letters: str) -> str:
    return _REPEATED.sub(r"\1", _fine(letters).translate(_COARSE))


def _consonants(letters: str) -> str:
    for old, new in (
        ("kh", "h"),
        ("gh", "g"),
        ("ck", "k"),
        ("dh", "d"),
        ("th", "t"),
        ("tsh", "s"),
        ("ch", "s"),
        ("sh", "s"),
    ):
        letters = letters.replace(old, new)
    letters = _SOFT_C.sub("s", letters).replace("c", "k").replace("ts", "s").replace("x", "ks")
    return _REPEATED.sub(r"\1", _LEFT_OUT.sub("", letters.translate(_ABJAD_SOUNDS)))
