"""The text behind escapes: percent, HTML, \\u and \\x escapes, hex, base32, base64, tags, markup, read in place.

One pass replaces every escape that decodes to text by what it says; a second pass over the result reads one nesting
more. The work is linear in the text. (rot13 and reversed writing are patterns of the matcher, not views.)
"""

import base64
import binascii
import html
import re
import string
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gateway.guards.ciphers import Stretch, ciphers
from gateway.guards.excerpts import near, reaches
from gateway.guards.letters import Numbers
from gateway.guards.normalise import codes_of, text_of
from gateway.guards.pieces import left_out, quoted
from gateway.guards.places import LONG_TEXT, Among, Codes, matches, runs

_NESTINGS = 2
_LONG_PIECE = 2048  # characters between two escapes, of which the middle is too far from both to be read again
# The set of first characters stands first and alone: the engine then skips through ordinary text quickly.
_LOCAL = re.compile(
    r"""[%&<\\U\U000E0020-\U000E007E](?:
      (?P<percent>(?<=%)[0-9A-Fa-f]{2}(?:%[0-9A-Fa-f]{2})*+)
    | (?P<html>(?<=&)(?:\#?[0-9A-Za-z]{1,31};|\#[0-9]{2,7}|\#x[0-9A-Fa-f]{2,6}))
    | (?P<code>(?<=%)u[0-9A-Fa-f]{4}|(?<=U)\+[0-9A-Fa-f]{4,6}|(?<=\\)(?:0{2,4}[0-9A-Fa-f]{2}(?![0-9A-Fa-f])
      |u[0-9A-Fa-f]{4}|u\{[0-9A-Fa-f]{1,6}\}|x[0-9A-Fa-f]{2}))
    | (?P<space>(?<=\\)[nrt])
    | (?P<markup>(?<=<)/?[A-Za-z][^<>\n]{0,100}>)
    | (?P<tags>(?<=[\U000E0020-\U000E007E])[\U000E0020-\U000E007E]*+))""",
    re.VERBOSE,
)
_CODE = re.compile(r"[0-9A-Fa-f]+")
_HEX = re.compile(r"(?:0x)?[0-9A-Fa-f]{2}(?:[ ,:-]{0,2}+(?:0x)?[0-9A-Fa-f]{2}){3,}+")
_QUOTED_BYTES = re.compile(r"=[0-9A-F]{2}(?:=[0-9A-F]{2}){2,}+")
_WRAPPED = re.compile(r"\n[A-Za-z0-9+/]{1,76}(?:\r?\n[A-Za-z0-9+/]{1,76})*+={0,2}")
_LEAST_SPREAD = 7  # characters behind the first
_SPREAD = re.compile(rf"(?<!\S)[A-Za-z0-9+/](?: [A-Za-z0-9+/=](?!\S)){{{_LEAST_SPREAD},}}+")
_LEAST_LINE, _LINE = 4, 76  # characters of base64
_SPACES = re.compile(r"\s")
_is_space = Among("".join(char for char in map(chr, range(1 << 16)) if char.isspace()))
_BASE64_DIGITS = f"{string.ascii_letters}{string.digits}+/"
_is_base64 = Among(f"{_BASE64_DIGITS}=")
_HEX_NOISE = re.compile(r"0x|[ ,:-]")
_LEAST_HEX_CHARS = 8
_LEAST_BASE64_CHARS = 6
_LEAST_DIGEST_CHARS = 32  # base64 so long has other letters than hex
_LEAST_WORDLIKE_CHARS = 8
_BASE32 = re.compile(r"[A-Z2-7]{7,}+|[a-z2-7]{7,}+")
_LEAST_DECODED_BYTES = 4
_LEAST_SHIFTED_CHARS = 8
_READABLE_SHARE = 0.6  # the rest are words like "de" before hex, or characters cut in two
_UNREADABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]+")

# Bytes that are in no readable text become zeros: most of what decodes to no text is known by them.
_NEVER_READABLE = bytes(
    0 if (byte < 32 and byte not in b"\t\n\r") or byte in b"\x7f\xc0\xc1" or byte > 0xF4 else byte
    for byte in range(256)
)

_LOWER, _UPPER, _DIGIT, _HEX_CHAR, _BASE64_CHAR = 1, 2, 4, 8, 16
_GROUP = (32, 64, 128)  # may be the first, second, third character of four that say three of ASCII


_BASE64_ALPHABET = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
_GROUP_CHARS = (
    "".join(char for value, char in enumerate(_BASE64_ALPHABET) if 8 <= value < 32),
    "".join(char for value, char in enumerate(_BASE64_ALPHABET) if 2 <= value % 16 < 8),
    "".join(char for value, char in enumerate(_BASE64_ALPHABET) if value % 4 < 2),
)
_FIRST, *_NEXT = (f"[{re.escape(chars)}]" for chars in (*_GROUP_CHARS, f"{_BASE64_ALPHABET}+/"))
_FOUR = "".join(_NEXT)
# All base64 that is read has one of these, a change or two fours at the start of a run; most ordinary text has none.
# (A set of characters stands first and alone in each: the engine then skips through the rest quickly.)
_MAYBE_BASE64 = re.compile(r"[A-Z0-9=](?:(?<==)|(?<=[a-z0-9][A-Z])|(?<=[A-Za-z][0-9])|(?<=[0-9])(?=[a-z]))")
_MAYBE_WORDLIKE = re.compile(rf"{_FIRST}(?<![A-Za-z0-9+/_-]{_FIRST}){_FOUR}{_FIRST}{_FOUR}")
_MAYBE_HEX = re.compile(r"[0-9A-Fa-f]{2}(?:[ ,:-]{0,2}+(?:0x)?[0-9A-Fa-f]{2}){3}")
_MAYBE_PACKED = (_MAYBE_BASE64, _MAYBE_WORDLIKE, _MAYBE_HEX)


def _class_table() -> NDArray[np.uint8]:
    """What each ASCII character may be part of, as flags; 128 stands for all others."""
    table = np.zeros(129, dtype=np.uint8)
    for flags, characters in (
        (_LOWER | _BASE64_CHAR, string.ascii_lowercase),
        (_UPPER | _BASE64_CHAR, string.ascii_uppercase),
        (_DIGIT | _BASE64_CHAR, string.digits),
        (_BASE64_CHAR, "+/_-"),
        (_HEX_CHAR, string.hexdigits + "x ,:-"),
        *zip(_GROUP, _GROUP_CHARS, strict=True),
    ):
        table[[ord(char) for char in characters]] |= flags
    return table


_CLASSES = _class_table()
_NO_RUNS = np.zeros((0, 2), dtype=np.int64)


@dataclass(frozen=True, slots=True)
class View:
    """A reading of a text: character i of `text` was written in source[starts[i]:ends[i]]."""

    text: str
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]

    def over(self, source: "View") -> "View":
        """This view of source.text, as a view of what `source` is a view of."""
        return View(self.text, source.starts[self.starts], source.ends[self.ends - 1])


def decoded_views(text: str) -> Iterator[View]:
    """What is near the escapes of a text, with them read, and that with its own escapes read. Never raises."""
    current: View | None = None
    yield from _put_together(text)
    for _ in range(_NESTINGS):
        said = text if current is None else current.text
        read = _replaced(said, (*_local(said), *_packed(said), *ciphers(said)))
        if read is None:
            return
        current = read if current is None else read.over(current)
        yield current
        yield from (view.over(current) for view in _put_together(current.text))


def _put_together(text: str) -> Iterator[View]:
    """Apart from each other and from escapes: one may not hide another."""
    for stretches in (quoted(text), left_out(text)):
        if view := _replaced(text, tuple(stretches)):
            yield view


def _replaced(text: str, stretches: Sequence[Stretch]) -> View | None:
    """What is near some stretches of a text, with what they say; the longest of those that begin together."""
    pieces: list[str] = []
    bounds: list[tuple[int, int, bool]] = []  # source start and end of each piece, whether it is verbatim
    cuts: list[int] = []
    copied = 0
    for start, end, said in sorted(stretches, key=lambda one: (one[0], -one[1])):
        if start >= copied:
            _copy(text, copied, start, pieces, bounds, cuts)
            pieces.append(said)
            bounds.append((start, end, False))
            copied = end
    if not pieces:
        return None
    _copy(text, copied, len(text), pieces, bounds, cuts)
    lengths = np.array([len(piece) for piece in pieces], dtype=np.int64)
    origin = np.repeat(np.arange(len(pieces)), lengths)
    source = np.array(bounds, dtype=np.int64)
    within = np.arange(len(origin)) - (np.cumsum(lengths) - lengths)[origin]
    verbatim = source[origin, 2].astype(np.bool_)
    starts = source[origin, 0] + np.where(verbatim, within, 0)
    ends = np.where(verbatim, starts + 1, source[origin, 1])
    read = ~verbatim
    apart = starts[1:] != ends[:-1]  # something was here that says nothing, a tag
    if cuts:
        apart &= ~np.isin(ends[:-1], cuts)
    read[1:] |= apart
    read[:-1] |= apart
    codes, kept = near(codes_of("".join(pieces)), read)
    return View(text_of(codes), starts[kept], ends[kept])


def _copy(
    text: str, start: int, end: int, pieces: list[str], bounds: list[tuple[int, int, bool]], cuts: list[int]
) -> None:
    """Add a piece as it is, or the ends of a long one; where it is cut is noted."""
    codes, half = codes_of(text), _LONG_PIECE // 2
    if end - start > _LONG_PIECE and reaches(codes[start : start + half]) and reaches(codes[end - half : end]):
        pieces += (text[start : start + half], text[end - half : end])
        bounds += ((start, start + half, True), (end - half, end, True))
        cuts.append(start + half)
    else:
        pieces.append(text[start:end])
        bounds.append((start, end, True))


def _local(text: str) -> Iterator[Stretch]:
    """Escapes that stand for single characters: start, end, what they say."""
    for found in _LOCAL.finditer(text):
        written = found[0]
        match found.lastgroup:
            case "percent":
                said = bytes.fromhex(written.replace("%", "")).decode("utf-8", "replace")
            case "html":
                said = html.unescape(written)
            case "space":
                said = " "
            case "markup":
                said = ""
            case "code":
                said = _character(_CODE.findall(written)[-1])
            case _:
                said = "".join(chr(ord(char) - 0xE0000) for char in written)
        if said != written:
            yield found.start(), found.end(), said


def _packed(text: str) -> Iterator[Stretch]:
    """Stretches of hex and base64 that decode to text: start, end, what they say."""
    if len(text) < LONG_TEXT and not any(maybe.search(text) for maybe in _MAYBE_PACKED):
        return
    for start, end in (*_wrapped(text), *(found.span() for found in matches(_SPREAD, text, _spread_beginnings))):
        if said := _base64(_SPACES.sub("", text[start:end]).rstrip("="), guessed=True):
            yield start, end, said
    for found in _QUOTED_BYTES.finditer(text):
        yield found.start(), found.end(), bytes.fromhex(found[0].replace("=", "")).decode("utf-8", "replace")
    codes = codes_of(text)
    classes: NDArray[np.uint8] = _CLASSES.take(codes, mode="clip")
    digit = classes & _DIGIT
    digits = np.flatnonzero(digit)
    maybe_hex = runs(classes & _HEX_CHAR > 0, _LEAST_HEX_CHARS) if len(digits) else _NO_RUNS
    counts = _within(digits, maybe_hex[:, 0], maybe_hex[:, 1])
    for start, end in maybe_hex[6 * counts >= maybe_hex[:, 1] - maybe_hex[:, 0]].tolist():
        for found in _HEX.finditer(text, start, end):
            said = _as_text(bytes.fromhex(_HEX_NOISE.sub("", found[0])))
            if said:
                yield found.start(), found.end(), said
    # Words are not base64: that changes between cases and digits in the middle, or is padded.
    small, big = classes & _LOWER, classes & _UPPER
    changes = ((small | digit)[:-1] > 0) & (big[1:] > 0)
    changes |= (((small | big)[:-1] > 0) & (digit[1:] > 0)) | ((digit[:-1] > 0) & (small[1:] > 0))
    together = runs(classes & _BASE64_CHAR > 0, _LEAST_BASE64_CHARS)
    starts, ends = together[:, 0], together[:, 1]
    hex_only = _within(np.flatnonzero(classes & _HEX_CHAR == 0), starts, ends) == 0
    packed = _within(np.flatnonzero(changes), starts, ends - 1) > 0
    packed |= np.append(codes, np.uint32(0))[ends] == ord("=")
    packed &= ~hex_only | (ends - starts < _LEAST_DIGEST_CHARS)  # else it is hex, read above
    for start, end in together[packed].tolist():
        said = _base32(text[start:end]) or _base64(text[start:end])
        if said:
            padding = len(text[end : end + 8]) - len(text[end : end + 8].lstrip("="))
            yield start, end + padding, said
    guessed = ~packed & ~hex_only & (ends - starts >= _LEAST_WORDLIKE_CHARS)
    wordlike = together[guessed & (classes[starts] & _GROUP[0] > 0)]
    for offset in (1, 2, 4, 5, 6) if len(wordlike) else ():
        wordlike = wordlike[classes[wordlike[:, 0] + offset] & _GROUP[offset % 4] > 0]
    for start, end in wordlike.tolist():
        if said := _base64(text[start:end], guessed=True):
            yield start, end, said


def _spread_beginnings(codes: Codes) -> Numbers:
    spaces, digits = _is_space(codes), _is_base64(codes)
    digits[:-1] &= spaces[1:]
    first: Numbers = np.flatnonzero(digits)
    first = first[(first == 0) | spaces[first - 1]]
    digits[2:] &= codes[1:-1] == ord(" ")
    for ahead in range(2, 2 * _LEAST_SPREAD + 1, 2):
        first = first[first + ahead < len(codes)]
        first = first[digits[first + ahead]]
    return first


def _wrapped(text: str) -> Iterator[tuple[int, int]]:
    """Where base64 may go on over several lines: start, end; with the line before, and without it."""
    for found in _WRAPPED.finditer(text):
        if "\n" in found[0][1:]:
            yield found.start() + 1, found.end()
        line = text[max(0, found.start() - _LINE) : found.start()]
        rest = line.removesuffix("\r").rstrip(_BASE64_DIGITS)
        if len(line.removesuffix("\r")) - len(rest) >= _LEAST_LINE:
            yield found.start() - (len(line) - len(rest)), found.end()


def _within(places: NDArray[np.int64], starts: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many of some places, sorted, are in each stretch."""
    return places.searchsorted(ends) - places.searchsorted(starts)


def _character(code: str) -> str:
    value = int(code, 16)
    return chr(value) if value < 0x110000 and not 0xD800 <= value < 0xE000 else "\ufffd"


def _base64(written: str, guessed: bool = False) -> str | None:
    """What base64 says; where only a `guessed` word suggests that it is some, all of it must be readable."""
    digits = written.replace("-", "+").replace("_", "/")
    for skipped in range(1 if guessed else 4):  # letters glued in front shift the groups of four
        group = digits[skipped:]
        group = group[: len(group) - (len(group) % 4 == 1)]
        try:
            said = _as_text(binascii.a2b_base64(group + "=" * (-len(group) % 4)), 1 if guessed else _READABLE_SHARE)
        except binascii.Error:
            continue
        if said and (not skipped or len(said) >= _LEAST_SHIFTED_CHARS):
            return said
    return None


def _base32(written: str) -> str | None:
    if not _BASE32.fullmatch(written):
        return None
    try:
        return _as_text(base64.b32decode(written.upper() + "=" * (-len(written) % 8)), 1)
    except binascii.Error:
        return None


def _as_text(data: bytes, share: float = _READABLE_SHARE) -> str | None:
    """The longest readable stretch of bytes as UTF-8, if it is most of them: else this was no encoded text."""
    if len(data) > 1 and not data[1::2].strip(b"\0"):  # UTF-16
        data = data[::2]
    least = max(_LEAST_DECODED_BYTES, share * len(data))
    if max(map(len, data.translate(_NEVER_READABLE).split(b"\0"))) < least:
        return None
    stretches = _UNREADABLE.split(data.decode("utf-8", "surrogateescape"))
    longest = max(stretches, key=len).encode("utf-8", "replace")
    return longest.decode() if len(longest) >= least else None
