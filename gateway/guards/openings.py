"""Where names may begin in an answer that are written in a case, turned round, in a cipher or in another script.

It only says where to look, at the price of one look-up a token: how an answer stands is one of a few thousand nodes,
each of which remembers where a token leads. What stands there is read by `gateway.guards.answer_names`.
"""

import binascii
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from string import ascii_lowercase
from typing import NamedTuple

from gateway.guards.normalise import SYMBOLS, Kind, Symbol
from gateway.guards.phrase_set import is_edge
from gateway.guards.romanise import FIRST_FOREIGN
from gateway.guards.segment import Segment
from gateway.guards.skeletons import skeletons_of
from gateway.guards.sounds import BETWEEN, OPENING_CLASSES

PAIR, SOUND, RUN, TURNED = 1, 2, 4, 8
"""What may begin: a name in a case, with the last word first or in a cipher (with the word before), one in another
script (likewise), one in base64 or hex (with this run of characters), one written backwards (with the word that has
ended)."""

_FIRST, _SECOND = 3, 4  # letters
_RUN_BYTES = 6  # of a name in base64 or hex
_RUN_BASE64, _RUN_HEX = 8, 12  # characters of so many bytes
_HEX = frozenset("0123456789abcdefABCDEF")
_BASE64_FIRST, _HEX_FIRST = frozenset("QRSTUVWYZabcde"), frozenset("4567")  # of an ASCII letter
_CAPITAL = "\1"  # a word that is one capital behind a small letter: the end of one that is written backwards
_LAST_CASED = chr(0x58F)
_FOREIGN = chr(FIRST_FOREIGN)
_LEAST_CLASSES = 2  # of a first word where no capitals say what may be a name
INSIDE = frozenset(" \u00a0-\u2010\u2011")  # between the words of a name in another script
_STOPS = "TDt"  # may become part of what follows
_MOST_STEPS = 100_000
_MOST_PAIRS = 50_000


def _shifted(by: int) -> dict[int, str]:
    return {ord(char): ascii_lowercase[(at + by) % 26] for at, char in enumerate(ascii_lowercase)}


_ATBASH = {ord(char): other for char, other in zip(ascii_lowercase, reversed(ascii_lowercase), strict=True)}
CIPHERS: tuple[dict[int, str], ...] = ({}, _shifted(13), _shifted(-3), _ATBASH)
"""How letters are read: as they are, in rot13, in Caesar's cipher, in Atbash."""


def _ciphers(word: str) -> tuple[dict[int, str], ...]:
    """Those that a word may be written in."""
    return CIPHERS if word.isascii() else CIPHERS[:1]


class Standing(NamedTuple):
    """What may be under way after some text; empty strings stand for nothing."""

    last: int = Kind.SEPARATOR
    before: str = ""  # the opening of the word before, where a name may begin so
    word: str = ""  # the opening of this one
    first: bool = False  # whether this one may be the first of a name
    foreign: bool = False  # whether this one, or the one that has just ended, is of another script and may be of a name
    run: str = ""  # what may be base64 or hex
    called: int = 0


_IN_WORD = Standing(Kind.LOWER)


class Node:
    """A standing, and where chunks of text lead from it: None where something is called on the way."""

    __slots__ = ("standing", "steps")

    def __init__(self, standing: Standing) -> None:
        self.standing = standing
        self.steps: dict[str, Node | None] = {}


class Openings:
    """What the names of some segments begin with. Shared by all answers under one policy.

    Args:
        uncased: whether names are looked for in scripts that have no capitals: every word there may be one.
    """

    def __init__(self, segments: Sequence[Segment], *, uncased: bool = False) -> None:
        self._uncased = uncased
        self._segments = segments
        self._whole = [segment.inflected.openings for segment in segments]
        self._begun = [segment.inflected.begun_openings for segment in segments]
        self._nodes: dict[Standing, Node] = {}
        self._steps = 0
        self._pairs: dict[tuple[str, str], bool] = {}
        self._spoken: dict[str, bool] = {}
        self._are_begun: dict[tuple[str, bool], bool] = {}
        self.start = self._node(Standing())

    def step(self, node: Node, text: str) -> Node | None:
        """Where a chunk leads; None where it has to be read character by character."""
        if text in node.steps:
            return node.steps[text]
        self._remember()
        standing = node.standing
        for at, char in enumerate(text, 1):
            standing = self._read(standing, char)
            if standing.called:
                node.steps[text] = None
                return None
            if standing == _IN_WORD and (rest := text[at:]).islower() and rest.isalpha():
                break
        node.steps[text] = following = self._node(standing)
        return following

    def read(self, node: Node, char: str) -> tuple[Node, int]:
        """Where a character leads, and what is called there."""
        standing = self._read(node.standing, char)
        return self._node(standing._replace(called=0)), standing.called

    def _node(self, standing: Standing) -> Node:
        known = self._nodes.get(standing)
        if known is None:
            known = self._nodes[standing] = Node(standing)
        return known

    def _remember(self) -> None:
        self._steps += 1
        if self._steps >= _MOST_STEPS:
            self._steps = 0
            for node in self._nodes.values():
                node.steps.clear()
            self._nodes = {self.start.standing: self.start}

    def _read(self, standing: Standing, char: str) -> Standing:
        symbol = SYMBOLS[char]
        kind = symbol.kind
        if kind == Kind.IGNORED:
            return standing._replace(called=0)
        last, before, word, first, foreign, run, called = standing
        edge = is_edge(last, kind)
        if not (edge or word or run):
            return standing if kind == last and not called else Standing(kind, foreign=foreign)
        called = 0
        if edge and last != Kind.SEPARATOR:
            if word == _CAPITAL:
                called = TURNED if kind == Kind.SEPARATOR else 0
                word = ""
            elif before and 0 < len(word) < _FIRST and self._is_pair(before, word):
                called = PAIR
            before = word[:_FIRST] if first and self._is_first(word) else ""
            word = ""
        if kind in (Kind.SEPARATOR, Kind.BARRIER):
            return Standing(kind, before, foreign=foreign and char in INSIDE, called=called)
        begins, small = edge, kind == Kind.LOWER and char <= _LAST_CASED
        if begins and kind == Kind.UPPER and last == Kind.LOWER:
            word, first = _CAPITAL, False
        elif begins or word:
            first = first if not begins else kind in (Kind.UPPER, Kind.LOWER) and not small
            word, found = self._worded("" if begins or word == _CAPITAL else word, before, first, symbol)
            called |= found
        if begins:
            before_foreign, foreign = foreign, self._is_foreign(char, kind)
            called |= SOUND if before_foreign and foreign and last == Kind.SEPARATOR else 0
        if run or last in (Kind.SEPARATOR, Kind.BARRIER):
            run, found = self._run(run + char)
            called |= found
        if not word:
            before, first = "", False
        return Standing(kind, before, word, first, foreign, run, called)

    def _worded(self, word: str, before: str, first: bool, symbol: Symbol) -> tuple[str, int]:
        """A word with one more character, empty where it is none of a name; and whether two may be a name."""
        read = len(word)
        word = (word + symbol.letters)[: _SECOND if before else _FIRST]
        if not before:
            return (word if first and self._is_begun(word, ciphered=True) else ""), 0
        for length in range(max(read + 1, _FIRST), len(word) + 1):
            if self._is_pair(before, word[:length]):
                return word, PAIR
        return word, 0

    def _is_first(self, word: str) -> bool:
        return any(self.is_opened(word.translate(cipher)) for cipher in _ciphers(word))

    def _is_begun(self, word: str, *, ciphered: bool = False) -> bool:
        known = self._are_begun.get((word, ciphered))
        if known is None:
            ways = (word[:_FIRST].translate(cipher) for cipher in (_ciphers(word) if ciphered else CIPHERS[:1]))
            known = any(way in begun for way in ways for begun in self._begun) or self._is_first(word)
            if len(self._are_begun) < _MOST_PAIRS:
                self._are_begun[word, ciphered] = known
        return known

    def _is_pair(self, before: str, word: str) -> bool:
        """Whether the openings of two words are those of a name, in some cipher."""
        known = self._pairs.get((before, word))
        if known is None:
            if len(self._pairs) >= _MOST_PAIRS:
                self._pairs.clear()
            known = any(
                segment.inflected.begin(first, second)
                for cipher, first, second in self._ways(before, word)
                for segment in self._segments
            )
            self._pairs[before, word] = known
        return known

    def _ways(self, before: str, word: str) -> Iterator[tuple[int, str, str]]:
        for number, cipher in enumerate(_ciphers(before + word)):
            plain = before.translate(cipher)
            for first in dict.fromkeys((plain, plain[:2])):
                if any(first in whole for whole in self._whole):
                    yield number, first, word.translate(cipher)

    def begun(self, before: str, word: str) -> Iterator[tuple[int, tuple[str, ...]]]:
        """The names that may begin with two words, each with the number of the cipher."""
        for length in range(min(len(word), _FIRST), min(len(word), _SECOND) + 1):
            for number, first, second in self._ways(before[:_FIRST], word[:length]):
                for segment in self._segments:
                    yield from ((number, words) for words in segment.inflected.begun(first, second))

    def is_opened(self, word: str) -> bool:
        """Whether a name may begin with a word."""
        return any(word[:length] in whole for whole in self._whole for length in (_FIRST, 2))

    def _is_foreign(self, char: str, kind: int) -> bool:
        """Whether a word of another script that begins so may be of a name."""
        if char < _FOREIGN:
            return False
        return kind == Kind.UPPER if char <= _LAST_CASED else kind == Kind.LOWER and self._uncased

    def is_spoken(self, word: str) -> bool:
        """Whether a name may begin with a word of another script."""
        known = self._spoken.get(word)
        if known is None:
            if len(self._spoken) >= _MOST_PAIRS:
                self._spoken.clear()
            least = 1 if word[0] <= _LAST_CASED else _LEAST_CLASSES
            ways = [sound for sound in sounds(word) if len(sound) >= least] if word[0] >= _FOREIGN else []
            known = self._spoken[word] = any(self._sounds_begun(f"{way}{BETWEEN}") for way in ways)
        return known

    def may_sound(self, first: str, second: str) -> bool:
        """Whether a name may begin with a word of another script and what there is of the next."""
        if second[0] <= _LAST_CASED and not second[0].isupper():
            return False
        if second[-1] < _FOREIGN and SYMBOLS[second[-1]].kind != Kind.IGNORED:
            return False
        sound = sounds(second)[0]
        if len(sound) < OPENING_CLASSES or (len(sound) == OPENING_CLASSES and sound[-1] in _STOPS):
            return True
        return any(self._sounds_begun(f"{way}{BETWEEN}{sound[:OPENING_CLASSES]}") for way in sounds(first))

    def _sounds_begun(self, opening: str) -> bool:
        return any(segment.spoken.begin(opening) for segment in self._segments)

    def _run(self, run: str) -> tuple[str, int]:
        """What may be a name in base64 or hex, with one more character; and whether it may be one."""
        alive = False
        for data, whole in _packed(run):
            word = data.partition(b" ")[0].decode("ascii").lower()
            if whole and self.is_opened(word):
                return "", RUN
            alive = alive or (not whole and (not word or self._is_begun(word)))
        return (run if alive else ""), 0


@lru_cache(maxsize=4096)
def _packed(run: str) -> tuple[tuple[bytes, bool], ...]:
    """What a run of base64 and of hex says so far where that may be a name, and whether that is enough to tell."""
    read = []
    if run[0] in _BASE64_FIRST and run.isascii():
        with suppress(binascii.Error):
            data = binascii.a2b_base64(run + "A" * (-len(run) % 4))[: len(run) * 6 // 8]
            read.append((data, len(run) >= _RUN_BASE64))
    if run[0] in _HEX_FIRST and _HEX.issuperset(run):
        read.append((bytes.fromhex(run[: len(run) // 2 * 2]), len(run) >= _RUN_HEX))
    return tuple((data, whole) for data, whole in read if not data or _is_worded(data))


def _is_worded(data: bytes) -> bool:
    """Whether bytes are ASCII letters, as names are written, and spaces."""
    first = data.partition(b" ")[0]
    written = len(first) < 2 or first[1:].islower() or first.isupper()
    return first.isalpha() and written and data.replace(b" ", b"").isalpha()


def is_uncased(char: str) -> bool:
    """Whether a letter is of another script than Latin that has no capitals."""
    return char > _LAST_CASED and SYMBOLS[char].kind == Kind.LOWER


@lru_cache(maxsize=4096)
def sounds(word: str) -> tuple[str, ...]:
    """The skeletons of a word of another script, as it is and without the one case ending that has a consonant."""
    stems = (word, word[:-2]) if len(word) > _SECOND and word[-1] == "м" and word[-2] in "оеёыи" else (word,)
    return tuple(skeletons_of(stems))
