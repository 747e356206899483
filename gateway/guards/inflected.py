"""Names of several words in other cases (Stolmanin, Jána Horvátha), found without bending any of them.

Equal openings of the first two words say which names may be written where; then the longest common opening of every
word is cut off, and what is left of both must be an ending and its case (`gateway.guards.endings`). All of it is
arithmetic on hashes: linear in the text but for names that begin alike.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from gateway.guards.endings import CLITICS, WEAK, bends_names, endings
from gateway.guards.letters import Hashes, Joined, Numbers, Parts, Table, Words, hash_of, merged_table
from gateway.guards.normalise import BARRIER, Folded, fold
from gateway.guards.romanise import ARABIC, FIRST_FOREIGN, HEBREW
from gateway.guards.slips import is_first_name

_SHORT_OPENING, _OPENING, _LONG_OPENING = 2, 3, 4  # letters that a word keeps in all its cases
_OPENINGS = np.array([_SHORT_OPENING, _OPENING, _LONG_OPENING])
_KEYS = 4  # of two openings of a word and two of the next
_SHORT_WORD = 3  # letters: a first word of so few keeps two
_SHORT_FORM = 6  # letters that it has in any case
_LONG_WORD = 6  # from so many letters on, four do
MOST_WORDS = 4
_LEAST_LETTERS = 7  # of a whole name that is bent: shorter ones are too like other words
_SHORTEST = 5
_MOST_ENDING = 6
_MOST_REMOVED = 4
_LEAST_COMMON = 2
SAME = 3
_SALT = np.uint64(0xA24BAED4963EE407)
_THEN = np.uint64(0x9FB21C651E98DF25)
_AT_ONCE = 1 << 16  # candidates: bounds the memory that hostile text can take
BLOCK = 96  # characters: the one where a name is and those beside it show the language
_FIRST_FOREIGN = chr(FIRST_FOREIGN)
_WORD = re.compile(r"\w+")


def _key(first: Hashes, second: Hashes) -> Hashes:
    keys: Hashes = (first * _SALT) ^ (second * _THEN)
    return keys


def _pair_key(first: str, second: str) -> int:
    """The `_key` of two openings."""
    last = (1 << 64) - 1
    return (hash_of(first) * int(_SALT) & last) ^ (hash_of(second) * int(_THEN) & last)


class InflectedText:
    """The words of a folded text, and the openings of every two neighbours.

    `hashes` has four keys for each of them, of two openings of the first and two of the second: those that do not fit
    their words are told apart (`fitting`) when one is known, which is seldom.
    """

    def __init__(self, text: str, folded: Folded, parts: Words):
        self.text, self.folded, self.parts = text, folded, parts
        self._bends: dict[tuple[int, int], int] = {}
        self.starts, self.ends = starts, ends = parts.bounds[:-1], parts.bounds[1:]
        self.first, self.second = starts[:-1], np.arange(1, len(starts))
        begin, end = starts[:, None], ends[:, None]
        openings = parts.between(begin, np.minimum(begin + _OPENINGS, end))
        first, second = openings[:-1, :2], openings[1:, 1:]
        if clitic := self._clitics(starts, ends, self.second):
            behind = np.concatenate([starts.take(some - 1) + length for some, length in clitic])
            some = np.concatenate([some for some, _ in clitic])
            until = ends.take(some - 1)[:, None]
            opened = parts.between(behind[:, None], np.minimum(behind[:, None] + _OPENINGS[:2], until))
            first, second = np.concatenate([first, opened]), np.concatenate([second, openings[some, 1:]])
            self.first, self.second = np.append(self.first, behind), np.append(self.second, some)
        self.hashes = _key(first[:, :, None], second[:, None, :]).reshape(-1)

    def fitting(self, at: Numbers) -> tuple[Numbers, Numbers]:
        """Which of some keys are of openings that their words have, and the pair of each."""
        pairs = at // _KEYS
        second = self.second[pairs]
        short = self.ends[second - 1] - self.first[pairs] <= _SHORT_FORM
        long = self.ends[second] - self.starts[second] > _OPENING
        fits = ((at % _KEYS >= _KEYS // 2) | short) & ((at % 2 == 0) | long)
        return at[fits], pairs[fits]

    def _clitics(self, starts: Numbers, ends: Numbers, second: Numbers) -> list[tuple[Numbers, int]]:
        """Which pairs begin with a word that may have so many letters written on to its beginning."""
        letters = self.folded.text
        if letters.isascii():
            return []
        abjad = (self.parts.codes >= HEBREW[0]) & (self.parts.codes < ARABIC[1])
        if not abjad.any():
            return []
        found = []
        for more in (1, 2, 3):
            some = second[abjad[starts[:-1]] & (ends[:-1] - starts[:-1] > more + 1)].tolist()
            begun = [at for at in some if letters[starts[at - 1] : starts[at - 1] + more] in CLITICS]
            found.append((np.array(begun, dtype=np.int64), more))
        return found

    def bends(self, start: int, end: int) -> int:
        """How much more letters [start, end) stand among words of a language that bends names (`bends_names`)."""
        first, last = int(self.folded.starts[start]), int(self.folded.ends[end - 1])
        if any(char >= _FIRST_FOREIGN for char in self.text[first:last]):
            return 1
        block = first // BLOCK * BLOCK
        earliest, latest = max(block - BLOCK, 0), max(block + 2 * BLOCK, last)
        begin = max(self.text.rfind(BARRIER, earliest, first) + 1, earliest)
        end = self.text.find(BARRIER, last, latest)
        end = end if end >= 0 else latest
        if (begin, end) not in self._bends:
            self._bends[begin, end] = bends_names(frozenset(_WORD.findall(self.text[begin:end].casefold())))
        return self._bends[begin, end]


@cache
def _rules() -> tuple[Hashes, NDArray[np.uint8]]:
    """The hashes of endings and cases in order, and how much each tells."""
    known = endings()
    joined = Joined.of([part for rule in known for part in rule])
    hashes = joined.parts.between(joined.starts, joined.ends)
    keys = _key(hashes[::2], hashes[1::2])
    order = np.argsort(keys)
    return keys[order], np.array([*known.values()], dtype=np.uint8)[order]


def _told(removed: Hashes, put: Hashes) -> NDArray[np.uint8]:
    """How much it tells that an ending stands for another: 0 where that is no case."""
    keys, tells = _rules()
    asked = _key(removed, put)
    at = np.minimum(keys.searchsorted(asked), len(keys) - 1)
    return np.where(keys[at] == asked, tells[at], 0).astype(np.uint8)


class InflectedNames:
    """Names of two words and more under their openings, in their own order and with the last word first."""

    def __init__(self, table: Table, names: Sequence[str]):
        self._table = table  # twice the number of a name, and one more where its last word stands first
        self.names = names  # folded, a space between words; empty where a name is not looked for
        counts = np.array([name.count(" ") + 1 for name in names], dtype=np.int64)
        self._first = np.append(0, np.cumsum(counts))
        words = [word for name in names for word in name.split(" ")]
        self._bounds = np.append(0, np.cumsum([len(word) for word in words], dtype=np.int64))
        self._parts = Parts("".join(words))
        ends = {word for name in names if name for word in (name.partition(" ")[0], name.rpartition(" ")[2])}
        self.openings = frozenset(word[: _SHORT_OPENING if len(word) <= _SHORT_WORD else _OPENING] for word in ends)
        """How the words begin with which a name does, in both orders."""
        self.begun_openings = frozenset(word[:length] for word in self.openings for length in range(1, _OPENING + 1))
        """The same, as far as they may have been read."""

    @classmethod
    def compiled(cls, names: Sequence[str]) -> "InflectedNames":
        """Of names as they are given; an empty one is nobody's."""
        folded = [_words_of(name) for name in names]
        openings: list[str] = []
        numbers: list[int] = []
        for number, words in enumerate(folded):
            for order in (0, 1) if words else ():
                first, second = words[-order], words[1 - order]
                opening = _SHORT_OPENING if len(first) <= _SHORT_WORD else _OPENING
                openings += (first[:opening], second[: _LONG_OPENING if len(second) >= _LONG_WORD else _OPENING])
                numbers.append(2 * number + order)
        joined = Joined.of(openings)
        hashes = joined.parts.between(joined.starts, joined.ends)
        keys = _key(hashes[::2], hashes[1::2])
        return cls(Table(keys, np.array(numbers, dtype=np.uint32)), [" ".join(words) for words in folded])

    @classmethod
    def merged(cls, many: "Sequence[InflectedNames]", numbers: Sequence[Numbers]) -> "InflectedNames":
        """One of many, each with the new numbers of its names, negative for those that are dropped."""
        orders = [np.stack([2 * new, 2 * new + 1], axis=1).reshape(-1) for new in numbers]
        pairs = zip(many, numbers, strict=True)
        kept = [name for each, new in pairs for name, to in zip(each.names, new.tolist(), strict=True) if to >= 0]
        return cls(merged_table([each._table for each in many], orders), kept)

    @property
    def keys(self) -> Hashes:
        """What `find` must be asked about."""
        return self._table.keys

    def begin(self, first: str, second: str) -> bool:
        """Whether the first two words of a name have these openings, in one of the orders."""
        return _pair_key(first, second) in self._table

    def begun(self, first: str, second: str) -> Iterator[tuple[str, ...]]:
        """The words of the names that begin so, in the order in which they do."""
        for found in self._table.of(_pair_key(first, second)):
            words = tuple(self.names[found >> 1].split(" "))
            yield (*words[-1:], *words[:-1]) if found & 1 else words

    def find(self, text: InflectedText, passed: Numbers) -> Iterator[tuple[int, int, int]]:
        """First and past-the-last letter of what may be a name in some case, and its number; of `passed` keys."""
        passed, pairs = text.fitting(passed)
        which, numbers = self._table.find(text.hashes[passed])
        pairs, names = pairs[which], numbers.astype(np.int64)
        for at in range(0, len(pairs), _AT_ONCE):
            yield from self._agreeing(text, pairs[at : at + _AT_ONCE], names[at : at + _AT_ONCE])

    def _agreeing(self, text: InflectedText, pairs: Numbers, names: Numbers) -> Iterator[tuple[int, int, int]]:
        number, order = names >> 1, names & 1
        count = self._first[number + 1] - self._first[number]
        first_word = text.second[pairs] - 1
        told = np.full((len(pairs), MOST_WORDS), SAME, dtype=np.uint8)
        for place in range(MOST_WORDS):
            some = np.flatnonzero((place < count) & told.all(axis=1))
            if not len(some):
                break
            at = first_word[some] + place
            inside = at < len(text.starts)
            told[some[~inside], place] = 0
            some, at = some[inside], at[inside]
            word = self._first[number[some]] + (place - order[some]) % count[some]
            starts = text.first[pairs[some]] if place == 0 else text.starts[at]
            told[some, place] = self._told(word, text.parts, starts, text.ends[at])
        changed = (told != SAME).sum(axis=1)
        clitic = (text.first[pairs] > text.starts[first_word]) & (changed == 0)
        letters = self._bounds[self._first[number + 1]] - self._bounds[self._first[number]]
        bent = (changed > 0) & (letters >= _LEAST_LETTERS)
        for hit in np.flatnonzero(told.all(axis=1) & (bent | clitic)).tolist():
            first, words = int(first_word[hit]), int(count[hit])
            if clitic[hit] or self._is_bent(text, first, told[hit, :words], int(order[hit])):
                yield int(text.first[pairs[hit]]), int(text.ends[first + words - 1]), int(number[hit])

    def _is_bent(self, text: InflectedText, first: int, told: NDArray[np.uint8], order: int) -> bool:
        """Whether words that may be cases of a name's are, and not somebody else's name."""
        bends = text.bends(int(text.starts[first]), int(text.ends[first + len(told) - 1]))
        if bends <= 0 and (told == WEAK).any():
            return False
        others = np.flatnonzero(told != SAME)
        if len(others) > 1 or others[0] == (order - 1) % len(told):
            return True
        # A woman's family name may stay as it is (Anny Nowak).
        word = first + int(others[0])
        return bends > 0 or not is_first_name(text.folded.text[text.starts[word] : text.ends[word]])

    def _told(self, word: Numbers, parts: Parts, starts: Numbers, ends: Numbers) -> NDArray[np.uint8]:
        """How much tells that text[start:end] is a case of each word."""
        begin, end = self._bounds[word], self._bounds[word + 1]
        common = np.full(len(word), -1, dtype=np.int64)
        for removed in range(_MOST_REMOVED + 1):
            length = end - begin - removed
            open_ = np.flatnonzero((common < 0) & (length >= np.minimum(_LEAST_COMMON, end - begin)))
            open_ = open_[starts[open_] + length[open_] <= ends[open_]]
            mine = self._parts.between(begin[open_], begin[open_] + length[open_])
            same = open_[mine == parts.between(starts[open_], starts[open_] + length[open_])]
            common[same] = length[same]
        fits = np.flatnonzero((common >= 0) & (ends - starts - common <= _MOST_ENDING))
        told = np.zeros(len(word), dtype=np.uint8)
        removed_part = self._parts.between(begin[fits] + common[fits], end[fits])
        put = parts.between(starts[fits] + common[fits], ends[fits])
        told[fits] = _told(removed_part, put)
        told[fits[(begin[fits] + common[fits] == end[fits]) & (starts[fits] + common[fits] == ends[fits])]] = SAME
        return told


def _words_of(name: str) -> list[str]:
    """The folded words of a name that is looked for in its cases; none of another."""
    folded = fold(name.replace(BARRIER, ""))
    bounds = np.flatnonzero(np.frombuffer(folded.edges, dtype=np.bool_)).tolist()
    words = [folded.text[start:end] for start, end in pairwise(bounds)]
    fits = 2 <= len(words) <= MOST_WORDS and len(folded.text) >= _SHORTEST and folded.text.isalpha()
    return words if fits else []
