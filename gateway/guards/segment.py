"""A fixed set of names compiled for search: exact in any spelling, or with one letter wrong.

One automaton holds all spellings and both halves of the long ones: a string one edit away from a name still contains
one of its halves, so only what follows or precedes a half is compared letter by letter, however many names there are.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import ahocorasick
from rapidfuzz import process
from rapidfuzz.distance import OSA, Prefix

from gateway.guards.lookalike import is_genuine, lookalike_key
from gateway.guards.names import (
    FUZZY_LETTERS,
    LONG_LETTERS,
    MISPLACED_SPACE_LETTERS,
    SLIP_LETTERS,
    Form,
    Spelling,
    spellings,
)
from gateway.guards.normalise import Folded

_LOOKALIKE_LETTERS = 5
_DOTS = (".", "．", "。", "·")
_ONE_LETTER_WORDS = frozenset("aeiouy")

Span = tuple[int, int, str]  # first and past-the-last folded letter, target


@dataclass(frozen=True, slots=True, repr=False)
class Names:
    wanted: tuple[str, ...]
    excluded: tuple[str, ...]


@dataclass(frozen=True, slots=True, repr=False)
class _Exact:
    target: str
    spelling: Spelling
    excluded: bool


@dataclass(slots=True, repr=False)
class _Near:
    """Names that share a half: letters of the names by length of the windows they could be misspelt in."""

    by_window: dict[int, list[str]] = field(default_factory=dict)

    def add(self, letters: str) -> None:
        for window in (len(letters) - 1, len(letters), len(letters) + 1):
            candidates = self.by_window.setdefault(window, [])
            if letters not in candidates[-1:]:
                candidates.append(letters)


@dataclass(slots=True, repr=False)
class _Entry:
    """What it means that certain letters occur."""

    length: int
    exact: list[_Exact] = field(default_factory=list)
    first_half: _Near | None = None
    second_half: _Near | None = None


@dataclass(slots=True)
class Hits:
    """Spans of folded letters, by what was found there."""

    exact: list[Span] = field(default_factory=list)
    excluded: list[Span] = field(default_factory=list)
    fuzzy: list[Span] = field(default_factory=list)


class Segment:
    """The automata for a fixed set of names."""

    def __init__(self, names: Mapping[str, Names]):
        self.names = dict(names)
        self._entries: dict[str, _Entry] = {}
        self._misspelt: dict[str, list[_Exact]] = {}
        lookalikes: dict[str, _Entry] = {}
        for exact in self._spell():
            letters = exact.spelling.letters
            self._entry(letters).exact.append(exact)
            if exact.spelling.form is Form.NAME and len(letters) >= _LOOKALIKE_LETTERS:
                key = lookalike_key(letters)
                lookalikes.setdefault(key, _Entry(len(key))).exact.append(exact)
        self._automaton = _automaton(self._entries)
        self._lookalike_automaton = _automaton(lookalikes)

    def _spell(self) -> Iterator[_Exact]:
        owners = [
            (target, excluded)
            for target, names in self.names.items()
            for group, excluded in ((names.wanted, False), (names.excluded, True))
            for _ in group
        ]
        written = [name for names in self.names.values() for name in (*names.wanted, *names.excluded)]
        for (target, excluded), ways in zip(owners, spellings(written), strict=True):
            for position, spelling in enumerate(ways):
                if not excluded or spelling.form is Form.NAME:
                    yield _Exact(target, spelling, excluded)
                if position == 0 and not excluded and spelling.alphabetic and len(spelling.letters) >= FUZZY_LETTERS:
                    self._add_halves(_Exact(target, spelling, excluded))

    def _add_halves(self, exact: _Exact) -> None:
        letters = exact.spelling.letters
        owners = self._misspelt.setdefault(letters, [])
        owners.append(exact)
        if len(owners) > 1:
            return
        middle = len(letters) // 2
        first, second = self._entry(letters[:middle]), self._entry(letters[middle:])
        first.first_half = first.first_half or _Near()
        first.first_half.add(letters)
        second.second_half = second.second_half or _Near()
        second.second_half.add(letters)

    def _entry(self, letters: str) -> _Entry:
        entry = self._entries.get(letters)
        if entry is None:
            entry = self._entries[letters] = _Entry(len(letters))
        return entry

    def search(self, text: str, folded: Folded, hits: Hits) -> None:
        """Add what is named in a text, given with its folding, exactly or nearly."""
        seen: dict[tuple[int, str], list[_Exact]] = {}
        for last, entry in self._automaton.iter(folded.text) if self._entries else ():
            end = last + 1
            start = end - entry.length
            if entry.exact:
                _add_exact(entry.exact, text, folded, start, end, hits)
            if entry.first_half and folded.edges[start]:
                for window, candidates in entry.first_half.by_window.items():
                    self._add_near(candidates, folded, start, start + window, seen, hits)
            if entry.second_half and _ends_word(folded, end):
                for window, candidates in entry.second_half.by_window.items():
                    self._add_near(candidates, folded, end - window, end, seen, hits)

    def search_lookalike(self, text: str, folded: Folded, hits: Hits) -> None:
        """Add what is named in a text, given with its folding by look."""
        if self._entries and len(self._lookalike_automaton):
            for last, entry in self._lookalike_automaton.iter(folded.text):
                if is_genuine(folded, last + 1 - entry.length, last + 1):
                    _add_exact(entry.exact, text, folded, last + 1 - entry.length, last + 1, hits)

    def _add_near(
        self,
        candidates: list[str],
        folded: Folded,
        start: int,
        end: int,
        seen: dict[tuple[int, str], list[_Exact]],
        hits: Hits,
    ) -> None:
        if start < 0 or end > len(folded.text) or not folded.edges[start] or not _ends_word(folded, end):
            return
        written = folded.text[start:end]
        key = (id(candidates), written)
        near = seen.get(key)
        if near is None:
            found = process.extract(written, candidates, scorer=OSA.distance, score_cutoff=1, limit=None)
            near = seen[key] = [
                exact
                for letters, distance, _ in found
                if distance
                for exact in self._misspelt[letters]
                if _is_misspelling(written, exact.spelling)
            ]
        hits.fuzzy += [(start, end, exact.target) for exact in near]


def _automaton(entries: Mapping[str, _Entry]) -> ahocorasick.Automaton:
    automaton = ahocorasick.Automaton()
    for letters, entry in entries.items():
        automaton.add_word(letters, entry)
    if entries:
        automaton.make_automaton()
    return automaton


def _ends_word(folded: Folded, end: int) -> bool:
    """An edge, or one after a genitive or plural s."""
    edges = folded.edges
    return bool(edges[end]) or (folded.text[end] == "s" and bool(edges[end + 1]))


def _add_exact(exacts: Iterable[_Exact], text: str, folded: Folded, start: int, end: int, hits: Hits) -> None:
    for exact in exacts:
        if _is_written(exact.spelling, text, folded, start, end):
            (hits.excluded if exact.excluded else hits.exact).append((start, end, exact.target))


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


def _is_misspelling(written: str, name: Spelling) -> bool:
    """Whether one wrong letter is a slip, not another name or word.

    Other names differ where a word begins or ends, and a short word with a letter missing or wrong is another word.
    """
    letters = name.letters
    at = Prefix.similarity(written, letters)
    begins = at == 0 or at in name.word_starts
    if len(written) > len(letters):
        doubled = at > 0 and written[at] == written[at - 1]
        return doubled or not (begins or at == len(letters))
    if len(written) == len(letters) and sorted(written) == sorted(letters):
        return not begins
    first = max((start for start in name.word_starts if start <= at), default=0)
    after = min((start for start in name.word_starts if start > at), default=len(letters))
    return not begins and at + 1 < after and after - first >= SLIP_LETTERS
