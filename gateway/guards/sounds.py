"""Names in another script (Helena Droste: Хелена Дросте, 海伦娜·德罗斯特), found in a text by their skeletons.

No two scripts write a name the same way: a skeleton says only what may be a name, `sounds_like` decides.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gateway.guards.han import SYLLABLES
from gateway.guards.letters import (
    Filter,
    Hashes,
    Joined,
    Numbers,
    Parts,
    Table,
    followed,
    hash_of,
    merged_table,
    ragged,
)
from gateway.guards.normalise import BARRIER, Kind, codes_of, kinds_of, text_of
from gateway.guards.places import Among
from gateway.guards.rereadings import names, other_letters, stems
from gateway.guards.romanise import FIRST_FOREIGN, GERESH, HAN, HANGUL, HIRAGANA, KANA
from gateway.guards.skeletons import LEAST_CLASSES, MOST_WORDS, of_words, skeletons

OPENING_CLASSES = 2  # of a second word, behind which a name may be told from others
BETWEEN = "|"
_UNSPACED_NAME = 7  # characters that a word of a name may have where words are not set off by spaces
_PARTICLE = 2  # characters that Korean may write on to a name
_MOST_BETWEEN = 3
_CASED = (0x370, 0x590)  # Greek, Cyrillic, Armenian
_CJK, _KATAKANA = (0x3040, 0xA000), (0x30A0, 0x3100)


_transcribes = Among("尔爾斯特克夫福普曼顿頓姆蒂娃诺諾洛莱萊伊奥奧")  # Han that mostly write foreign names
_writes_names = Among("".join(SYLLABLES))
_is_particle = Among("은는을를와과의")
_is_dot = Among("·・‧•･＝゠")
_is_hyphen = Among("-\u2010\u2011")
_is_geresh, _takes_geresh = Among(GERESH), Among("גזצץת")
_is_space = Among(
    " \t\n\r\x0b\x0c\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
)


def _within(codes: NDArray[np.uint32], block: tuple[int, int]) -> NDArray[np.bool_]:
    inside: NDArray[np.bool_] = (codes >= block[0]) & (codes < block[1])
    return inside


@dataclass(frozen=True, slots=True)
class Spoken:
    """Words of another script that may be a name, and where they begin and end."""

    start: int
    end: int
    words: tuple[str, ...]


class SpokenWords(Protocol):
    """Words that may be a name, under hashes of its skeleton."""

    @property
    def hashes(self) -> Hashes: ...

    def __getitem__(self, index: int) -> Spoken: ...


class SpokenText:
    """Neighbouring words of another script than Latin in a text, under the hashes of their skeletons."""

    def __init__(self, text: str, codes: NDArray[np.uint32]):
        self._text, self._codes = text, codes
        kinds = kinds_of(codes)
        letters = codes >= FIRST_FOREIGN
        letters &= (kinds != Kind.SEPARATOR) & (kinds != Kind.DIGIT) & (kinds != Kind.BARRIER)
        letters[1:] |= _is_geresh(codes[1:]) & _takes_geresh(codes[:-1])
        change = np.zeros(len(codes) + 1, dtype=np.bool_)
        for among in (letters, letters & _within(codes, _CJK), letters & _within(codes, _KATAKANA)):
            change[1:-1] |= among[1:] != among[:-1]  # Хода出生在哪里 are two words
        change[0] = change[-1] = True
        bounds = np.flatnonzero(change)
        lettered = letters[bounds[:-1]]
        self._starts, self._ends = bounds[:-1][lettered], bounds[1:][lettered]
        self._hyphened = (self._starts[1:] - self._ends[:-1] == 1) & _is_hyphen(codes[self._ends[:-1]])
        upper = kinds[self._starts] == Kind.UPPER
        # Names are written with capitals, but in a text that has none at all.
        named = upper | ~_within(codes[self._starts], _CASED) if upper.any() else np.ones(len(upper), dtype=np.bool_)
        named[:-1] |= self._hyphened & named[1:]  # аль-Хамад
        named[1:] |= self._hyphened & named[:-1]
        joined = self._joined(named)
        self._groups = list(self._read(joined)) if joined.any() else []
        self.hashes = np.concatenate([np.zeros(0, dtype=np.uint64), *(group.hashes for _, group in self._groups)])

    def __getitem__(self, index: int) -> Spoken:
        at = 0
        while index >= len(self._groups[at][1].hashes):
            index -= len(self._groups[at][1].hashes)
            at += 1
        text, group = self._groups[at]
        spans = group[index]
        return Spoken(spans[0][0], spans[-1][1], tuple(text[start:end] for start, end in spans))

    def _read(self, joined: NDArray[np.bool_]) -> "Iterator[tuple[str, _Whole | _Parts]]":
        """What may be a name, given which words may be one with the next, and the text that it is read in."""
        text, codes, starts, ends = self._text, self._codes, self._starts, self._ends
        first, counts = self._windows(joined)
        yield text, _Whole(codes, starts, ends, first, counts)
        words = np.append(joined, False)
        words[1:] |= joined
        stemmed, named = stems(text, codes, starts, ends, words), names(text, codes, starts, ends, words)
        trimmed = np.append(0, np.cumsum(stemmed < ends))
        last = first + counts - 1
        clung = (named > starts)[first] | (stemmed < ends)[last]
        if clung.any():
            yield text, self._between(named, stemmed, first[clung], counts[clung])
        bent = trimmed[last] > trimmed[first]
        if bent.any():
            yield text, _Whole(codes, starts, stemmed, first[bent], counts[bent])
        if (others := other_letters(codes)) is not None:
            changed = np.append(0, np.cumsum(others != codes))
            some = changed[ends[first + counts - 1]] > changed[starts[first]]
            if some.any():
                yield text_of(others), _Whole(others, starts, stemmed, first[some], counts[some])
        at = np.flatnonzero(joined)
        han = _within(codes[ends[at] - 1], HAN)
        cut = han | _within(codes[ends[at + 1] - 1], HANGUL)
        if cut.any():
            yield text, self._partly(at[cut], han[cut])

    def _between(self, named: Numbers, stemmed: Numbers, first: Numbers, counts: Numbers) -> "_Whole":
        """Windows whose first word begins where it is `named` and whose last one ends where it is `stemmed`."""
        words, behind = ragged(first, counts), np.cumsum(counts)
        starts, ends = self._starts[words], self._ends[words]
        starts[behind - counts], ends[behind - 1] = named[first], stemmed[first + counts - 1]
        return _Whole(self._codes, starts, ends, behind - counts, counts)

    def _joined(self, named: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Whether a word and the next may be words of one name: space is between, or the dot of Chinese names."""
        codes, ends, begins = self._codes, self._ends[:-1], self._starts[1:]
        last, following = codes[ends - 1], codes[begins]
        dots = np.append(0, np.cumsum(_is_dot(codes)))
        marks = np.append(0, np.cumsum(~_is_space(codes)))
        dotted = (dots[begins] - dots[ends] == 1) & (marks[begins] - marks[ends] == 1)
        dotted &= (_within(last, HAN) | _within(last, KANA)) & ~_within(following, HIRAGANA)
        spaced = (marks[begins] == marks[ends]) & ~_within(last, HAN) & ~_within(last, HIRAGANA)
        apart = _is_particle(last) | ~named[:-1] | ~named[1:]
        near = (begins > ends) & (begins - ends <= _MOST_BETWEEN)
        joined: NDArray[np.bool_] = (dotted | spaced | self._hyphened) & ~apart & near
        return joined

    def _windows(self, joined: NDArray[np.bool_]) -> tuple[Numbers, Numbers]:
        """First words and counts of words that may be a name."""
        runs = [np.flatnonzero(joined)]
        for count in range(2, MOST_WORDS):
            first = runs[-1]
            first = first[first + count - 1 < len(joined)]
            runs.append(first[joined[first + count - 1]])
        first = np.concatenate(runs)
        counts = np.repeat(np.arange(2, MOST_WORDS + 1), [len(run) for run in runs])
        plain = ~_is_particle(self._codes[self._ends[first + counts - 1] - 1])
        return first[plain], counts[plain]

    def _partly(self, at: Numbers, han: NDArray[np.bool_]) -> "_Parts":
        """Two words of which only parts may be the name: other words and particles are written on to them.

        `at` are the first words of pairs, [pairs]; Korean where not `han`.
        """
        codes = self._codes
        start, middle, begin, end = self._starts[at], self._ends[at], self._starts[at + 1], self._ends[at + 1]
        earliest = np.where(han, np.maximum(start, middle - _UNSPACED_NAME), start)
        latest = np.where(han, np.minimum(end, begin + _UNSPACED_NAME), end - 1)
        soonest = np.where(han, begin + 1, np.maximum(begin + 1, end - _PARTICLE))
        heads = _Cuts.of(earliest, np.where(han, middle, earliest + 1) - earliest)
        begins = _writes_names(codes[heads.at]) & ~_transcribes(codes[heads.at - 1])
        heads = heads.only(begins | (heads.at == start[heads.pair]))
        tails = _Cuts.of(soonest, np.maximum(latest + 1 - soonest, 0))
        inside = np.minimum(tails.at, len(codes) - 1)
        finishes = _writes_names(codes[tails.at - 1]) & ~_transcribes(codes[inside])
        tails = tails.only(finishes | (tails.at == end[tails.pair]) | ~han[tails.pair])
        return _Parts(codes, heads, middle, begin, tails)


class _Whole:
    """Windows of whole words, those left out that have too few consonants."""

    def __init__(self, codes: NDArray[np.uint32], starts: Numbers, ends: Numbers, first: Numbers, counts: Numbers):
        used = np.zeros(len(starts), dtype=np.bool_)
        for more in range(MOST_WORDS):
            used[first[counts > more] + more] = True
        place = np.cumsum(used) - 1
        said = _Said(codes, starts[used], ends[used])
        begin, last = place[first], place[first + counts - 1]
        enough = said.ends[last] - said.starts[begin] - (last - begin) >= LEAST_CLASSES
        self._starts, self._ends, self._first, self._counts = starts, ends, first[enough], counts[enough]
        self.hashes = said.parts.between(said.starts[begin[enough]], said.ends[last[enough]])

    def __getitem__(self, index: int) -> list[tuple[int, int]]:
        words = slice(first := int(self._first[index]), first + int(self._counts[index]))
        return [*zip(self._starts[words].tolist(), self._ends[words].tolist(), strict=True)]


@dataclass(frozen=True, slots=True)
class _Cuts:
    """Places where words are cut, [cuts], and in which pair of words each is."""

    at: Numbers
    pair: Numbers

    @classmethod
    def of(cls, first: Numbers, counts: Numbers) -> "_Cuts":
        return cls(ragged(first, counts), np.repeat(np.arange(len(first)), counts))

    def only(self, kept: NDArray[np.bool_]) -> "_Cuts":
        return _Cuts(self.at[kept], self.pair[kept])


class _Parts:
    """Pairs of words cut at both sides: every head of a pair with every tail of it."""

    def __init__(self, codes: NDArray[np.uint32], heads: _Cuts, middle: Numbers, begin: Numbers, tails: _Cuts):
        first = tails.pair.searchsorted(heads.pair)
        counts = tails.pair.searchsorted(heads.pair, "right") - first
        head, tail = np.repeat(np.arange(len(heads.at)), counts), ragged(first, counts)
        before = _Said(codes, heads.at, middle[heads.pair])
        behind = _Said(codes, begin[tails.pair], tails.at)
        enough = (before.ends - before.starts)[head] + (behind.ends - behind.starts)[tail] >= LEAST_CLASSES
        head, tail = head[enough], tail[enough]
        self._spans = heads.at[head], middle[heads.pair[head]], begin[tails.pair[tail]], tails.at[tail]
        # A head's hash with the bar behind it, then a tail's.
        lengths = (before.ends - before.starts)[head] + 1
        self.hashes = followed(before.sums(1)[head], lengths, behind.sums(0)[tail])

    def __getitem__(self, index: int) -> list[tuple[int, int]]:
        start, middle, begin, end = (int(bounds[index]) for bounds in self._spans)
        return [(start, middle), (begin, end)]


class _Said:
    """The skeletons of words of a text, and where in their string each begins and ends."""

    def __init__(self, codes: NDArray[np.uint32], starts: Numbers, ends: Numbers):
        lengths = ends - starts
        written, bars = of_words(codes[ragged(starts, lengths)], np.cumsum(lengths))
        self.parts = Parts(written)
        self.starts, self.ends = np.append(0, bars[:-1] + 1)[: len(bars)], bars

    def sums(self, more: int) -> Hashes:
        """The sum over each word's symbols, and so many behind it."""
        return self.parts.sums(self.starts, self.ends + more)


def spoken(text: str) -> SpokenText | None:
    """What may be a name of another script in a text; None where it has no such letters. Linear in the text."""
    if text.isascii():
        return None
    codes = codes_of(text)
    foreign = (codes >= FIRST_FOREIGN) & (codes != ord(BARRIER))
    return SpokenText(text, codes) if foreign.any() else None


def _openings_of(way: str) -> Iterator[str]:
    """One word and what is heard first of the next; and all words but some last ones, with a bar behind each."""
    words = way.split(BETWEEN)
    yield f"{words[0]}{BETWEEN}{words[1][:OPENING_CLASSES]}"
    for count in range(1, len(words)):
        yield "".join(f"{word}{BETWEEN}" for word in words[:count])


def _table_of(numbered: Sequence[tuple[str, int]]) -> Table:
    joined = Joined.of([letters for letters, _ in numbered])
    keys = joined.parts.between(joined.starts, joined.ends)
    return Table(keys, np.array([number for _, number in numbered], dtype=np.uint32))


class SpokenNames:
    """Names by their skeletons."""

    def __init__(self, table: Table, openings: Table):
        self._table = table
        self._openings = openings
        self._known = Filter(table.keys)

    @classmethod
    def compiled(cls, names: Sequence[str]) -> "SpokenNames":
        ways = [(way, number) for number, name in enumerate(names) for way in sorted(skeletons(name))]
        openings = dict.fromkeys((opening, number) for way, number in ways for opening in _openings_of(way))
        return cls(_table_of(ways), _table_of([*openings]))

    @classmethod
    def merged(cls, many: "Sequence[SpokenNames]", numbers: Sequence[Numbers]) -> "SpokenNames":
        tables = merged_table([each._table for each in many], numbers)
        return cls(tables, merged_table([each._openings for each in many], numbers))

    def begin(self, opening: str) -> bool:
        """Whether a name begins with words of some skeletons, or with one word and `OPENING_CLASSES` of the next."""
        return hash_of(opening) in self._openings

    def of(self, skeleton: str) -> list[int]:
        """The numbers of the names that have a skeleton."""
        return self._table.of(hash_of(skeleton))

    def __len__(self) -> int:
        return len(self._table.keys)

    def find(self, words: SpokenWords | None) -> Iterator[tuple[Spoken, int]]:
        """What may be a name, and the number of that name."""
        if words is not None and len(self):
            passed = self._known.passed(words.hashes)
            which, numbers = self._table.find(words.hashes[passed])
            for index, some in groupby(zip(passed[which].tolist(), numbers.tolist(), strict=True), itemgetter(0)):
                written = words[index]
                yield from ((written, number) for _, number in some)
