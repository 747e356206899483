"""Patterns of secrets: a regular expression without the parts that could cost unbounded time, compiled to a DFA.

Positions of the expression are Glushkov's (The abstract theory of automata, 1961), their sets bit masks; states are
made by subset construction, and refused where they become too many. Text is read without case, as ASCII: other
characters are one symbol that only `.` and negated classes match, but for wide letters and other dashes; invisible ones
are skipped.
"""

import re
import unicodedata
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

from gateway.guards.normalise import SYMBOLS, Kind

LEAST_LENGTH = 6  # characters of the shortest match: whatever is shorter is somebody's ordinary word
MOST_LENGTH = 500  # of the expression
MOST_POSITIONS = 512
MOST_STATES = 512
_MOST_DEPTH = 50
_MOST_WORK = 100_000  # steps of compiling: some tens of milliseconds
_OTHER = 128
IGNORED = -1
_SYMBOLS = frozenset(range(_OTHER + 1))
_CATEGORIES = {
    "CATEGORY_DIGIT": frozenset(range(ord("0"), ord("9") + 1)),
    "CATEGORY_WORD": frozenset(code for code in range(128) if chr(code).isalnum() or chr(code) == "_"),
    "CATEGORY_SPACE": frozenset(map(ord, " \t\n\r\f\v")),
}
_CATEGORIES |= {name.replace("_", "_NOT_"): _SYMBOLS - codes for name, codes in _CATEGORIES.items()}
_ALLOWED = (
    r"allowed are literals, escapes, classes like [A-Z0-9] and \d \w \s, '.', groups, |, ?, *, + and {m,n}; "
    "no anchors, look-around, back-references or flags"
)


class BadPattern(ValueError):
    """Says what is wrong with a pattern, without quoting it."""


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Pattern:
    """A DFA. State 0 is the start; `rows[state][class_of[symbol]]` the next state, -1 where nothing matches."""

    class_of: tuple[int, ...]
    rows: tuple[tuple[int, ...], ...]
    accepts: tuple[bool, ...]

    @property
    def beginnings(self) -> frozenset[int]:
        """The symbols that a match begins with."""
        return frozenset(symbol for symbol in _SYMBOLS if self.rows[0][self.class_of[symbol]] >= 0)

    @property
    def shortest(self) -> int | None:
        """Length of the shortest match; None where nothing matches."""
        length, reached, fresh = 0, {0}, {0}
        while fresh:
            if any(self.accepts[state] for state in fresh):
                return length
            fresh = {following for state in fresh for following in self.rows[state] if following >= 0} - reached
            reached |= fresh
            length += 1
        return None


class _Codes(dict[str, int]):
    def __missing__(self, char: str) -> int:
        code = self[char] = _code(char)
        return code


def _code(char: str) -> int:
    if not char.isascii():
        if SYMBOLS[char].kind == Kind.IGNORED:
            return IGNORED
        plain = unicodedata.normalize("NFKC", char)
        char = "-" if unicodedata.category(char) == "Pd" else plain if len(plain) == 1 else char
    return ord(char.lower()) if char.isascii() else _OTHER


CODES = _Codes()
"""Character -> symbol: its ASCII code in lower case, another one's, or IGNORED."""


def compiled(expression: str) -> Pattern:
    """Compile, whatever the expression matches.

    Raises:
        BadPattern: it is no regular expression, uses what is not allowed, or is too large.
    """
    if len(expression) > MOST_LENGTH:
        raise BadPattern(f"is longer than {MOST_LENGTH} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # classes that may once be read as nested
            parsed = parser.parse(expression)
    except (re.error, OverflowError, RecursionError):
        raise BadPattern(f"is no regular expression; {_ALLOWED}") from None
    if parsed.state.flags != re.UNICODE:
        raise BadPattern(_ALLOWED)
    positions = _Positions()
    whole = positions.add_all(parsed)
    return _determined(positions, whole)


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of an expression: whether it matches nothing, and with which positions its matches begin and end."""

    empty: bool
    first: int
    last: int


_NOTHING = _Part(True, 0, 0)


@dataclass(slots=True)
class _Positions:
    """Where in an expression a symbol is read: which symbols, and which positions may follow (bit masks)."""

    symbols: list[frozenset[int]] = field(default_factory=list)
    follow: list[int] = field(default_factory=list)
    work: int = 0
    depth: int = 0

    def spend(self, steps: int = 1) -> None:
        self.work += steps
        if self.work > _MOST_WORK or len(self.symbols) > MOST_POSITIONS:
            raise BadPattern("is too large: repeat less often, or leave the end open with + or *")

    def add_all(self, items: Iterable[tuple[Any, Any]]) -> _Part:
        part = _NOTHING
        self.depth += 1
        if self.depth > _MOST_DEPTH:
            raise BadPattern("has too many groups in groups")
        for operation, argument in items:
            part = self._then(part, self._add(str(operation), argument))
        self.depth -= 1
        return part

    def _add(self, operation: str, argument: Any) -> _Part:
        self.spend()
        match operation:
            case "LITERAL" | "NOT_LITERAL" | "ANY" | "IN":
                return self._position(_symbols(operation, argument))
            case "SUBPATTERN" if not argument[1] and not argument[2]:
                return self.add_all(argument[3])
            case "BRANCH":
                ways = [self.add_all(way) for way in argument[1]]
                first = last = 0
                for way in ways:
                    first, last = first | way.first, last | way.last
                return _Part(any(way.empty for way in ways), first, last)
            case "MAX_REPEAT":
                return self._repeated(*argument)
        raise BadPattern(_ALLOWED)

    def _position(self, symbols: frozenset[int]) -> _Part:
        bit = 1 << len(self.symbols)
        self.symbols.append(symbols)
        self.follow.append(0)
        return _Part(False, bit, bit)

    def _repeated(self, least: int, most: Any, items: Any) -> _Part:
        part = _NOTHING
        endless = most == parser.MAXREPEAT
        for number in range(max(least, 1) if endless else most):
            once = self.add_all(items)
            if not once.first:  # it only matches nothing, however often
                break
            if endless and number >= least - 1:
                self._link(once.last, once.first)
            if number >= least:
                once = _Part(True, once.first, once.last)
            part = self._then(part, once)
            self.spend()
        return part

    def _then(self, one: _Part, other: _Part) -> _Part:
        self._link(one.last, other.first)
        first = one.first | other.first if one.empty else one.first
        last = one.last | other.last if other.empty else other.last
        return _Part(one.empty and other.empty, first, last)

    def _link(self, before: int, after: int) -> None:
        for position in _bits(before):
            self.spend()
            self.follow[position] |= after


def _symbols(operation: str, argument: Any) -> frozenset[int]:
    if operation == "ANY":
        return _SYMBOLS - {ord("\n")}
    if operation in ("LITERAL", "NOT_LITERAL"):
        found = _plain(argument, argument)
        return found if operation == "LITERAL" else _SYMBOLS - found
    found, negated = frozenset[int](), False
    for kind, value in argument:
        match str(kind):
            case "NEGATE":
                negated = True
            case "LITERAL":
                found |= _plain(value, value)
            case "RANGE":
                found |= _plain(*value)
            case _:
                found |= _CATEGORIES[str(value)]
    return _SYMBOLS - found if negated else found


def _plain(first: int, last: int) -> frozenset[int]:
    if last >= _OTHER:
        raise BadPattern("has other characters than ASCII: give such a secret by its value")
    if first == last == ord("\\"):
        raise BadPattern("asks for a backslash, which is read as the escape of JSON: write . in its place")
    return frozenset(ord(chr(code).lower()) for code in range(first, last + 1))


def _bits(mask: int) -> Iterator[int]:
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


def _determined(positions: _Positions, whole: _Part) -> Pattern:
    """Subset construction: a state is the set of positions that may have been read last."""
    having = [sum(1 << at for at, symbols in enumerate(positions.symbols) if code in symbols) for code in range(129)]
    classes = list(dict.fromkeys(having))
    numbers = {mask: number for number, mask in enumerate(classes)}
    states, sets, rows = {0: 0}, [0], list[tuple[int, ...]]()
    while len(rows) < len(sets):
        reach = 0 if rows else whole.first
        for position in _bits(sets[len(rows)]):
            positions.spend()
            reach |= positions.follow[position]
        row = []
        for mask in classes:
            if not (read := reach & mask):
                row.append(-1)
                continue
            if read not in states:
                states[read] = len(sets)
                sets.append(read)
            row.append(states[read])
        positions.spend(len(row))
        if len(sets) > MOST_STATES:
            raise BadPattern("needs too many states: repeat less often, or begin with something fixed")
        rows.append(tuple(row))
    accepts = (whole.empty, *(bool(read & whole.last) for read in sets[1:]))
    return Pattern(tuple(numbers[mask] for mask in having), tuple(rows), accepts)
