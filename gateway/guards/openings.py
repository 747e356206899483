"""Where names may begin in an answer that are written in a case, backwards, in a cipher or in another script.

It only says where to look: words that may be words of some name, by prefixes and stems that are kept as bits, a few
hundred bytes a name. Where two of them follow each other, `gateway.guards.answer_names` reads what stands there.
"""

import base64
import codecs
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from gateway.guards.endings import CLITICS, endings
from gateway.guards.normalise import BARRIER, Kind, Symbol, fold
from gateway.guards.phrase_set import is_edge
from gateway.guards.romanise import ARABIC, FIRST_FOREIGN, HEBREW
from gateway.guards.skeletons import skeletons, skeletons_of

RUN_LETTERS = 8  # of a name in base64 or hex
_SHORT, _OPENING = 2, 3  # letters of a word that are the same in all its cases, at least and at most
_MOST_PUT = max(len(case) for _, case in endings())
_PUTS = frozenset(case[:length] for _, case in endings() for length in range(len(case) + 1))
_MOST_REMOVED = max(len(nominative) for nominative, _ in endings())
_REMOVED = frozenset(nominative for nominative, _ in endings())
_LETTERS_BY_NAME = 6  # a name with fewer is too like other words when it is turned round
_BITS_PER_NAME = 2048
_PROBES = (0, 20, 40)  # where in a hash the places begin that stand for it
_REMEMBERED_WORDS = 50_000
_LEAST_STEM = 4
_FOREIGN = chr(FIRST_FOREIGN)

NOWHERE, BEFORE, EARLIER, RUN, HERE, SOON = range(6)
"""Where a name may begin: at the word before this one, at the first of two that have ended, at the run, behind the
word that has ended, or at the word before once this one has ended."""


class Standing(NamedTuple):
    """How an answer stands: what may be words of a name behind each other. Empty strings: nothing is under way."""

    before: str = ""  # how the word before begins, where that may be the first of a name
    sound: str = ""  # its skeleton, where that may be in another script
    word: str = ""  # the letters of this one
    run: str = ""  # letters since a separator that may begin a name in base64 or hex
    foreign: str = ""  # this word as it is written, of another script
    called: int = NOWHERE


QUIET = Standing()
_CAPITAL = "\1"  # a word that is one capital behind a small letter: the end of a name that is written backwards
PARTICLE = "\2"  # before a short word in small letters, which may stand inside a name: van, de, al
_LONGEST_PARTICLE = 4  # with the mark
_MOST_PARTICLES = 2
MOST_WORDS = 2 + _MOST_PARTICLES  # that a standing may be about
_TURNED = Standing(called=HERE)
_LAST_CASED = chr(0x58F)


class Openings:
    """What names begin with, in every way that is looked for. Immutable; a few words that are none pass as well.

    Args:
        known: those of fewer names, to which only the others have to be added.
    """

    def __init__(self, names: Iterable[str], known: "Openings | None" = None) -> None:
        self._names = frozenset(names)
        size = max(8, 1 << (len(self._names) * _BITS_PER_NAME).bit_length())
        self._mask = size - 1
        bits, added = bytearray(size >> 3), self._names
        if known is not None and known._names <= added and len(known._bits) <= len(bits):
            # In a table of twice the size a key may be at either of two places.
            bits, added = bytearray(known._bits * (len(bits) // len(known._bits))), added - known._names
        for name in added:
            for key in _keys(name):
                hashed = hash(key)
                for shift in _PROBES:
                    slot = hashed >> shift & self._mask
                    bits[slot >> 3] |= 1 << (slot & 7)
        self._bits: bytes = bytes(bits)
        self._alive: dict[str, bool] = {}

    def shared(self, names: Iterable[str]) -> int:
        """How many of some names these are the openings of; none where they are of others as well."""
        return len(self._names) if self._names.issubset(names) else 0

    def _has(self, key: str) -> bool:
        hashed, bits, mask = hash(key), self._bits, self._mask
        for shift in _PROBES:
            slot = hashed >> shift & mask
            if not bits[slot >> 3] >> (slot & 7) & 1:
                return False
        return True

    def read(self, standing: Standing, last: int, char: str, symbol: Symbol) -> Standing:
        """How an answer stands with one more character; `last` is the kind of the one before. Not for those ignored."""
        if symbol.kind == Kind.SEPARATOR:
            if standing is QUIET:
                return QUIET
            return _TURNED if standing.word == _CAPITAL else self._ended(standing._replace(run=""))
        edge = is_edge(last, symbol.kind)
        if edge:
            standing = self._ended(standing)
        elif not (standing.word or standing.run or standing.foreign):
            return QUIET
        before, sound, word, run, foreign, called = standing
        called = called if edge else NOWHERE
        if edge or word:
            word += symbol.letters
            if edge and symbol.kind == Kind.UPPER and last == Kind.LOWER:
                word = _CAPITAL
            elif edge and _is_small(char, symbol):
                word = PARTICLE + word if before else ""
            elif len(word) > _LONGEST_PARTICLE if word[0] == PARTICLE else not self._is_begun(word):
                word = ""
        if run or last == Kind.SEPARATOR:
            run += symbol.letters
            if len(run) > RUN_LETTERS or not self._has(f"r{run}"):
                run = ""
        foreign = self._foreign(foreign, edge, char, symbol)
        before, sound = word and before, foreign and sound
        if not (word or run or foreign or called):
            return QUIET
        if len(run) == RUN_LETTERS:
            called = RUN
        elif before and len(word) <= _OPENING:
            called = BEFORE if self._is_pair(before.lstrip(PARTICLE), word) else called
        if not called and sound and len(foreign) == _OPENING:
            called = SOON if any(self._has(f"k{sound}|{one[:1]}") for one in _sounds(foreign)) else called
        return Standing(before, sound, word, run, foreign, called)

    def _is_pair(self, before: str, word: str) -> bool:
        return self._has(f"b{before} {word}") or (len(before) > _SHORT and self._has(f"b{before[:_SHORT]} {word}"))

    def _foreign(self, written: str, edge: bool, char: str, symbol: Symbol) -> str:
        """The word as it is written, of another script than Latin; names begin with a capital where there are any."""
        if not (edge or written) or char < _FOREIGN or symbol.kind not in (Kind.LOWER, Kind.UPPER):
            return ""
        return "" if not written and _is_small(char, symbol) else written + char

    def _ended(self, standing: Standing) -> Standing:
        """At the end of a word."""
        before, sound, word, run, foreign, _ = standing
        if word[:1] == PARTICLE:
            before = "" if before.startswith(PARTICLE * _MOST_PARTICLES) else PARTICLE + before
        if (not word and not foreign) or word[:1] == PARTICLE:
            return Standing(before, sound, run=run) if before or sound or run else QUIET
        sounds = _sounds(foreign) if foreign else ()
        called = EARLIER if sound and any(self._has(f"k{sound}|{one}") for one in sounds) else NOWHERE
        before = next((bare[:_OPENING] for bare in _bare(word) if self._is_whole(bare)), "")
        sound = next((one for one in sounds if self._has(f"k{one}")), "")
        return Standing(before, sound, "", run, "", called) if before or sound or run or called else QUIET

    def _is_begun(self, word: str) -> bool:
        """Whether a word of a name may begin with these letters."""
        begun = self._alive.get(word)
        if begun is None:
            if len(self._alive) >= _REMEMBERED_WORDS:
                self._alive.clear()
            begun = self._alive[word] = any(self._has(f"p{bare}") or self._is_bent(bare) for bare in _bare(word))
        return begun

    def _is_whole(self, word: str) -> bool:
        return bool(word) and (self._has(f"s{word}") or self._is_bent(word))

    def _is_bent(self, word: str) -> bool:
        """Whether a stem stands there with the beginning of a case."""
        most = min(_MOST_PUT, len(word) - _SHORT)
        return any(word[-put:] in _PUTS and self._has(f"s{word[:-put]}") for put in range(1, most + 1))


def _bare(word: str) -> Iterator[str]:
    """A word as it is, and without what Arabic and Hebrew write on to its beginning."""
    yield word
    if word and HEBREW[0] <= ord(word[0]) < ARABIC[1]:
        yield from (word[more:] for more in (1, 2, 3) if word[:more] in CLITICS)


def _is_small(char: str, symbol: Symbol) -> bool:
    """Whether a letter is a small one, of a script in which names begin with capitals."""
    return symbol.kind == Kind.LOWER and char <= _LAST_CASED


def _keys(name: str) -> Iterator[str]:
    """Everything that is looked up: openings of words, stems, pairs, runs, skeletons."""
    words = words_of(name)
    letters = "".join(words)
    if len(words) > 1:
        particles = [word for word in name.split() if word.islower() and len(word) < _LONGEST_PARTICLE]
        capitals = [word for word in words if word not in particles]
        yield from _of_words(capitals if len(capitals) > 1 else words, bent=True)
        for ways in skeletons(name):
            for first, second in pairwise(ways.split("|")):
                yield from (f"k{first}", f"k{first}|{second}", f"k{first}|{second[:1]}")
    if len(letters) >= _LETTERS_BY_NAME:
        if len(words) > 1 and letters.isascii():
            yield from _of_words([codecs.encode(word, "rot13") for word in words], bent=False)
        for run in _runs(name):
            yield from (f"r{run[:length]}" for length in range(1, RUN_LETTERS + 1))


def _of_words(words: list[str], *, bent: bool) -> Iterator[str]:
    for word in words:
        yield from (f"p{word[:length]}" for length in range(1, len(word) + 1))
        yield from (f"s{stem}" for stem in (_stems_of(word) if bent else (word,)))
    for first, second in ((words[0], words[1]), (words[-1], words[0])) if len(words) > 1 else ():
        opened = (_opening(first, bent=bent), _opening(second, bent=bent))
        yield f"b{opened[0]} {opened[1]}"


def _opening(word: str, *, bent: bool) -> str:
    """The letters that are the same in all cases of a word; some at least, and not more than tell."""
    return word[: min(_OPENING, max(_SHORT, min(map(len, _stems_of(word)))) if bent else _OPENING)]


def _stems_of(word: str) -> list[str]:
    """What stays of a word in all its cases."""
    most = min(_MOST_REMOVED, len(word) - _SHORT)
    return [word, *(word[:-removed] for removed in range(1, most + 1) if word[-removed:] in _REMOVED)]


def _runs(name: str) -> Iterator[str]:
    """The beginnings of what a name is in base64 and in hex."""
    for written in dict.fromkeys((name, name.lower())):
        data = written.encode("utf-8", "surrogatepass")
        if len(data) >= RUN_LETTERS:
            codes = (base64.b64encode(data).decode()[:RUN_LETTERS], data.hex()[:RUN_LETTERS])
            yield from (code.lower() for code in codes if code.isalnum())


def words_of(name: str) -> list[str]:
    """The folded words of a name."""
    folded = fold(name.replace(BARRIER, ""))
    bounds = [at for at, edge in enumerate(folded.edges) if edge]
    return [folded.text[start:end] for start, end in pairwise(bounds)]


@lru_cache(maxsize=4096)
def _sounds(word: str) -> tuple[str, ...]:
    """The skeletons of a word of another script, as it is and without the one case ending that has a consonant."""
    stems = (word, word[:-2]) if len(word) > _LEAST_STEM and word[-1] == "м" and word[-2] in "оеёыи" else (word,)
    least = (
        1 if word[0] <= _LAST_CASED else 2
    )  # where no capitals say what may be a name, one consonant says too little
    return tuple(sound for sound in skeletons_of(stems) if len(sound) >= least)
