"""A fixed set of names compiled for search: exact in any spelling, or with one letter wrong.

Tables of hashes say which names may be written where, however many names there are; only those are looked at letter by
letter. A name's spellings are made again when it may have been found: they would take most of the memory.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate, islice, pairwise
from typing import NamedTuple

import numpy as np

from gateway.guards.alike import sounds_like
from gateway.guards.inflected import InflectedNames, InflectedText
from gateway.guards.letters import Filter, Numbers, Words
from gateway.guards.lookalike import is_genuine, lookalike_key
from gateway.guards.masks import MASKED, is_masked
from gateway.guards.mistyped import NO_PAIRS, MistypedNames, Pairs, looked_up, words_of
from gateway.guards.names import (
    FUZZY_LETTERS,
    LONG_LETTERS,
    MISPLACED_SPACE_LETTERS,
    Form,
    Spelling,
    spellings,
)
from gateway.guards.near import MOST_LETTERS, NearNames, windows_of
from gateway.guards.normalise import Folded
from gateway.guards.respelt import RespeltText
from gateway.guards.romanise import is_foreign, romanised
from gateway.guards.sequences import NO_SHORT, Sequences, Short
from gateway.guards.slips import is_slip, one_wrong, words_written
from gateway.guards.sounds import SpokenNames, SpokenText, spoken

_LOOKALIKE_LETTERS = 5
_AT_ONCE = 1024  # names compiled at a time: bounds the memory their spellings take meanwhile
_DOTS = (".", "．", "。", "·")
_ONE_LETTER_WORDS = frozenset("aeiouy")

Span = tuple[int, int, str]  # first and past-the-last folded letter, target


@dataclass(frozen=True, slots=True, repr=False)
class Names:
    wanted: tuple[str, ...]
    excluded: tuple[str, ...]


class _Owner(NamedTuple):
    """A name and whose it is."""

    target: str
    name: str
    excluded: bool


@dataclass(slots=True)
class Hits:
    """Spans of folded letters, by what was found there."""

    exact: list[Span] = field(default_factory=list)
    excluded: list[Span] = field(default_factory=list)
    fuzzy: list[Span] = field(default_factory=list)


class Reading:
    """A text and its folding, prepared for search in any number of segments: for names written, or nearly."""

    def __init__(
        self,
        text: str,
        folded: Folded,
        sequences: Sequence[Sequences],
        near: Sequence[NearNames],
        through: str = "",
        *,
        named: bool = False,
    ):
        self.text = text
        self.folded = folded
        self.words = words = Words.of(folded)
        self.short = Short.of(words, sequences) if sequences else NO_SHORT
        near = [names for names in near if names.most]
        self.windows = list(windows_of(words, near, through)) if near else []
        prefixes = words.prefixes if sequences else NO_SHORT.keys
        self.pairs = Pairs.of(words) if named else NO_PAIRS
        self.inflected = InflectedText(text, folded, words) if named else None
        inflected = self.inflected.hashes if self.inflected else NO_PAIRS.keys
        hashes = (self.short.keys, prefixes, self.pairs.keys, inflected, *(windows.keys for windows in self.windows))
        self.hashes = np.concatenate(hashes)
        self.bounds = [*accumulate(map(len, hashes))]

    @classmethod
    def plain(cls, text: str, folded: Folded, segments: "Sequence[Segment]") -> "Reading":
        """For `Segment.search`."""
        return cls(text, folded, [each.written for each in segments], [each.near for each in segments], named=True)

    @classmethod
    def lookalike(cls, text: str, folded: Folded, segments: "Sequence[Segment]") -> "Reading":
        """For `Segment.search_lookalike`."""
        return cls(text, folded, [each.looking for each in segments], ())

    @classmethod
    def masked(cls, text: str, folded: Folded, segments: "Sequence[Segment]") -> "Reading":
        """For `Segment.search_masked`."""
        return cls(text, folded, (), [each.near for each in segments], MASKED)

    @cached_property
    def spoken(self) -> SpokenText | None:
        """What may be names of another script."""
        return spoken(self.text)

    @cached_property
    def respelt(self) -> RespeltText:
        """What may be names of another script in Latin letters."""
        return RespeltText(self.text)

    def passed(self, known: Filter) -> list[Numbers]:
        """What may be known of the short words, the prefixes, the pairs of words, their openings and the windows."""
        passed = known.passed(self.hashes)
        if not len(passed):
            return []
        starts = (0, *self.bounds[:-1])
        at = (*passed.searchsorted(starts).tolist(), len(passed))
        return [passed[at[part] : at[part + 1]] - start for part, start in enumerate(starts)]


class Segment:
    """The tables for a fixed set of names."""

    def __init__(
        self,
        names: Mapping[str, Names],
        owners: list[_Owner],
        written: Sequences,
        looking: Sequences,
        near: NearNames,
        near_letters: dict[int, str],
        mistyped: MistypedNames,
        spoken: SpokenNames,
        respelt: SpokenNames,
        inflected: InflectedNames,
    ):
        self.names = names
        self._owners = owners
        self.written = written
        self.looking = looking
        self.near = near
        self._near_letters = near_letters
        self._mistyped = mistyped
        self.spoken, self._respelt = spoken, respelt
        self.inflected = inflected
        self._known = Filter(*written.keys, mistyped.keys, inflected.keys, near.keys)
        self._known_looks = Filter(*looking.keys)
        self._spellings: dict[int, list[Spelling]] = {}
        self._words: dict[int, list[str]] = {}

    @classmethod
    def compiled(cls, names: Mapping[str, Names]) -> "Segment":
        entries = iter(names.items())
        parts: list[Segment] = []
        while (some := dict(islice(entries, _AT_ONCE))) or not parts:
            parts.append(cls._compiled(some))
        return cls.merged([(part, frozenset()) for part in parts]) if len(parts) > 1 else parts[0]

    @classmethod
    def _compiled(cls, names: Mapping[str, Names]) -> "Segment":
        owners = [
            _Owner(target, way, excluded)
            for target, own in names.items()
            for group, excluded in ((own.wanted, False), (own.excluded, True))
            for name in group
            for way in (name, *romanised(name))
        ]
        written: list[tuple[str, int]] = []
        looking: list[tuple[str, int]] = []
        near: dict[int, str] = {}
        for number, ways in enumerate(spellings([owner.name for owner in owners])):
            excluded = owners[number].excluded
            used = [way for way in ways if not excluded or way.form is Form.NAME]
            written += dict.fromkeys((way.letters, number) for way in used)
            looking += dict.fromkeys(
                (lookalike_key(way.letters), number)
                for way in used
                if way.form is Form.NAME and len(way.letters) >= _LOOKALIKE_LETTERS
            )
            if ways and not excluded and ways[0].alphabetic and FUZZY_LETTERS <= len(ways[0].letters) <= MOST_LETTERS:
                near[number] = ways[0].letters
        return cls(
            names,
            owners,
            Sequences.compiled([letters for letters, _ in written], [number for _, number in written]),
            Sequences.compiled([letters for letters, _ in looking], [number for _, number in looking]),
            NearNames.compiled(list(near.values()), list(near)),
            near,
            MistypedNames.compiled(words_of([o.name if number in near else "" for number, o in enumerate(owners)])),
            SpokenNames.compiled(["" if owner.excluded else owner.name for owner in owners]),
            SpokenNames.compiled(["" if o.excluded or not is_foreign(o.name) else o.name for o in owners]),
            InflectedNames.compiled(["" if owner.excluded else owner.name for owner in owners]),
        )

    @classmethod
    def merged(cls, many: "Sequence[tuple[Segment, frozenset[str]]]") -> "Segment":
        """One segment of many, without the targets named beside each."""
        names: dict[str, Names] = {}
        owners: list[_Owner] = []
        near: dict[int, str] = {}
        numbers: list[Numbers] = []
        for segment, dead in many:
            names |= {t: n for t, n in segment.names.items() if t not in dead} if dead else segment.names
            kept = np.array([owner.target not in dead for owner in segment._owners], dtype=np.bool_)
            moved = np.where(kept, np.cumsum(kept) - 1 + len(owners), -1)
            owners += [owner for owner in segment._owners if owner.target not in dead] if dead else segment._owners
            near |= {int(moved[old]): letters for old, letters in segment._near_letters.items() if kept[old]}
            numbers.append(moved)
        return cls(
            names,
            owners,
            Sequences.merged([segment.written for segment, _ in many], numbers),
            Sequences.merged([segment.looking for segment, _ in many], numbers),
            NearNames.compiled(list(near.values()), list(near)),
            near,
            MistypedNames.merged([segment._mistyped for segment, _ in many], numbers),
            SpokenNames.merged([segment.spoken for segment, _ in many], numbers),
            SpokenNames.merged([segment._respelt for segment, _ in many], numbers),
            InflectedNames.merged([segment.inflected for segment, _ in many], numbers),
        )

    def sounding(self, words: tuple[str, ...], skeleton: str) -> bool:
        """Whether words of another script with this skeleton are one of the names."""
        return any(sounds_like(words, self._owners[number].name) for number in self.spoken.of(skeleton))

    def search(self, reading: Reading, hits: Hits) -> None:
        """Add what is named in a text, exactly or nearly."""
        respelt = self._respelt.find(reading.respelt) if len(self._respelt) else ()
        for words, number in (*self.spoken.find(reading.spoken), *respelt):
            target, name, _ = self._owners[number]
            if sounds_like(words.words, name):
                start, end = reading.folded.starts.searchsorted((words.start, words.end)).tolist()
                if start < end:
                    hits.fuzzy.append((start, end, target))
        passed = reading.passed(self._known)
        if not passed:
            return
        letters = reading.folded.text
        for start, end, number in self.written.find(reading.words, reading.short, passed[0], passed[1]):
            for way in self._ways(number):
                if way.letters == letters[start:end]:
                    self._add_exact(number, way, reading, start, end, hits)
        inflected = [*self._inflected_in(reading, passed[3])]
        hits.fuzzy += inflected
        for start, end, target in self._mistyped_in(reading, passed[2]):
            # A clitic is no letter too many: it stays where the name is written over.
            if not any(first < end and start < after and target == whose for first, after, whose in inflected):
                hits.fuzzy.append((start, end, target))
        hits.fuzzy += self._fuzzy(reading, passed[4:], self._is_near, slip=True)

    def search_masked(self, reading: Reading, hits: Hits) -> None:
        """Add whose name has letters masked."""
        if passed := reading.passed(self._known):
            hits.fuzzy += self._fuzzy(reading, passed[4:], self._is_masked, slip=False)

    def _mistyped_in(self, reading: Reading, passed: Numbers) -> Iterator[Span]:
        """The words that are some owner's name with a slip in one or two of them."""
        letters, bounds = reading.folded.text, reading.words.bounds
        for second, number in self._mistyped.find(reading.pairs, passed) if len(passed) else ():
            name = self._words_of(number)
            first = second - 1 - looked_up(name)
            if 0 <= first < len(bounds) - len(name):
                around = bounds[first : first + len(name) + 1].tolist()
                if is_slip([letters[start:end] for start, end in pairwise(around)], name):
                    yield around[0], around[-1], self._owners[number].target

    def _inflected_in(self, reading: Reading, passed: Numbers) -> Iterator[Span]:
        """The words that are some owner's name in a case."""
        if reading.inflected and len(passed):
            for start, end, number in self.inflected.find(reading.inflected, passed):
                yield start, end, self._owners[number].target

    def _fuzzy(
        self, reading: Reading, passed: Sequence[Numbers], is_name: Callable[[str, int], bool], *, slip: bool
    ) -> Iterator[Span]:
        """The windows that are some owner's name with letters wrong; equal letters are looked at once."""
        letters = reading.folded.text
        seen: dict[tuple[int, str], bool] = {}
        for windows, among in zip(reading.windows, passed, strict=True):
            if not len(among):
                continue
            for start, end, number in self.near.find(reading.words, windows, among, slip=slip):
                near = seen.get((number, letters[start:end]))
                if near is None:
                    near = seen[number, letters[start:end]] = is_name(letters[start:end], number)
                if near:
                    yield start, end, self._owners[number].target

    def _is_near(self, written: str, number: int) -> bool:
        return one_wrong(written, self._near_letters[number]) and is_slip(
            *words_written(written, self._ways(number)[0])
        )

    def _is_masked(self, written: str, number: int) -> bool:
        """Not where what is left is the whole name of somebody else, who is excluded, before a mark of another kind."""
        if not is_masked(written, self._ways(number)[0]):
            return False
        excluded = self.names[self._owners[number].target].excluded
        return all(way.letters != written.rstrip(MASKED) for ways in spellings(excluded) for way in ways)

    def search_lookalike(self, reading: Reading, hits: Hits) -> None:
        """Add what is named in a text folded by its look."""
        letters, folded = reading.folded.text, reading.folded
        passed = reading.passed(self._known_looks)
        for start, end, number in self.looking.find(reading.words, reading.short, *passed[:2]) if passed else ():
            for way in self._ways(number) if is_genuine(folded, start, end) else ():
                if way.form is Form.NAME and lookalike_key(way.letters) == letters[start:end]:
                    self._add_exact(number, way, reading, start, end, hits)

    def _ways(self, number: int) -> list[Spelling]:
        ways = self._spellings.get(number)
        if ways is None:
            ways = self._spellings[number] = spellings([self._owners[number].name])[0]
        return ways

    def _words_of(self, number: int) -> list[str]:
        words = self._words.get(number)
        if words is None:
            words = self._words[number] = words_of([self._owners[number].name])[0]
        return words

    def _add_exact(self, number: int, way: Spelling, reading: Reading, start: int, end: int, hits: Hits) -> None:
        target, _, excluded = self._owners[number]
        if (not excluded or way.form is Form.NAME) and _is_written(way, reading.text, reading.folded, start, end):
            (hits.excluded if excluded else hits.exact).append((start, end, target))


def _ends_word(folded: Folded, end: int) -> bool:
    """An edge, or one after a genitive or plural s."""
    edges = folded.edges
    return bool(edges[end]) or (folded.text[end] == "s" and bool(edges[end + 1]))


def _is_written(spelling: Spelling, text: str, folded: Folded, start: int, end: int) -> bool:
    """Whether letters found in a text are this name, not part of another name or of other words."""
    edges = folded.edges
    inside = edges[start + 1 : end]
    whole_words = edges[start] and _ends_word(folded, end)
    aligned = all(inside[offset - 1] for offset in spelling.word_starts)
    spaced = aligned and sum(inside) in (len(spelling.word_starts), len(inside))
    if spelling.form is Form.INITIALS:
        return bool(whole_words) and aligned and _are_initials(spelling, text, folded, start)
    if not any(inside) and spelling.word_starts:
        # "Joanna Smith" is not Anna Smith, "lied" is not Ed Li; "askannasmithnow" may be Anna Smith.
        return spelling.alphabetic and end - start >= LONG_LETTERS
    if whole_words:
        if aligned and (spaced or end - start >= LONG_LETTERS):
            return True
        return spelling.form is Form.NAME and (not spelling.alphabetic or end - start >= MISPLACED_SPACE_LETTERS)
    return not any(inside) and spelling.alphabetic and end - start >= LONG_LETTERS


def _are_initials(spelling: Spelling, text: str, folded: Folded, start: int) -> bool:
    """Whether single letters are meant as initials: "R. Kelrin", "R Kelrin", "Kelrin, R", not "a rose", "Day I"."""
    bounds = (0, *spelling.word_starts, len(spelling.letters))
    for first, after in pairwise(bounds):
        if after - first == 1:
            before, at, following = (
                int(folded.ends[start + first - 1]) if first else None,
                int(folded.starts[start + first]),
                int(folded.ends[start + first]),
            )
            clear = text[at].isupper() and spelling.letters[first] not in _ONE_LETTER_WORDS
            set_off = before is None or "," in text[before:at]
            if text[following : following + 1] not in _DOTS and not (clear and set_off):
                return False
    return True
