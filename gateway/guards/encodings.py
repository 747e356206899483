"""The text behind escapes: percent, HTML, \\u and \\x escapes, hex, base64 and tag characters, read in place.

One pass replaces every escape that decodes to text by what it says; a second pass over the result reads one nesting
more. The work is linear in the text. (rot13 and reversed writing are patterns of the matcher, not views.)
"""

import base64
import binascii
import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

import numpy as np
from numpy.typing import NDArray

from gateway.guards.normalise import codes_of

_NESTINGS = 2
# The set of first characters stands first and alone: the engine then skips through ordinary text quickly.
_LOCAL = re.compile(
    r"""[%&\\U\U000E0020-\U000E007E](?:
      (?P<percent>(?<=%)[0-9A-Fa-f]{2}(?:%[0-9A-Fa-f]{2})*+)
    | (?P<html>(?<=&)\#?[0-9A-Za-z]{1,31};)
    | (?P<code>(?<=\\)(?:u[0-9A-Fa-f]{4}|u\{[0-9A-Fa-f]{1,6}\}|x[0-9A-Fa-f]{2})|(?<=U)\+[0-9A-Fa-f]{4,6})
    | (?P<tags>(?<=[\U000E0020-\U000E007E])[\U000E0020-\U000E007E]*+))""",
    re.VERBOSE,
)
_CODE = re.compile(r"[0-9A-Fa-f]+")
_HEX = re.compile(r"(?:0x)?[0-9A-Fa-f]{2}(?:[ ,:-]{0,2}+(?:0x)?[0-9A-Fa-f]{2}){3,}+")
_HEX_NOISE = re.compile(r"0x|[ ,:-]")
_LEAST_HEX_CHARS = 8
_LEAST_BASE64_CHARS = 6
_LEAST_DECODED_BYTES = 4
_LEAST_SHIFTED_CHARS = 8
_READABLE_SHARE = 0.6  # the rest are words like "de" before hex, or characters cut in two
_UNREADABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]+")


def _ascii_set(characters: str) -> NDArray[np.bool_]:
    table = np.zeros(129, dtype=np.bool_)
    table[[ord(char) for char in characters]] = True
    return table


_LOWER, _UPPER, _DIGITS = "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789"
_IS_BASE64 = _ascii_set(_LOWER + _UPPER + _DIGITS + "+/_-")
_IS_HEX = _ascii_set(_DIGITS + "abcdefABCDEFx ,:-")
_IS_UPPER, _IS_LOWER, _IS_DIGIT = _ascii_set(_UPPER), _ascii_set(_LOWER), _ascii_set(_DIGITS)


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
    """The text with its escapes read, and that result with its own escapes read, where there are any. Never raises."""
    current: View | None = None
    for _ in range(_NESTINGS):
        read = _read_escapes(text if current is None else current.text)
        if read is None:
            return
        current = read if current is None else read.over(current)
        yield current


def _read_escapes(text: str) -> View | None:
    pieces: list[str] = []
    bounds: list[tuple[int, int, bool]] = []  # source start and end of each piece, whether it is verbatim
    copied = 0
    for start, end, said in sorted([*_local(text), *_packed(text)]):
        if start >= copied:
            pieces += (text[copied:start], said)
            bounds += ((copied, start, True), (start, end, False))
            copied = end
    if not pieces:
        return None
    pieces.append(text[copied:])
    bounds.append((copied, len(text), True))
    lengths = np.array([len(piece) for piece in pieces], dtype=np.int64)
    origin = np.repeat(np.arange(len(pieces)), lengths)
    source = np.array(bounds, dtype=np.int64)
    within = np.arange(len(origin)) - (np.cumsum(lengths) - lengths)[origin]
    verbatim = source[origin, 2].astype(np.bool_)
    starts = source[origin, 0] + np.where(verbatim, within, 0)
    return View("".join(pieces), starts, np.where(verbatim, starts + 1, source[origin, 1]))


def _local(text: str) -> Iterator[tuple[int, int, str]]:
    """Escapes that stand for single characters: start, end, what they say."""
    for found in _LOCAL.finditer(text):
        written = found[0]
        match found.lastgroup:
            case "percent":
                said = unquote_to_bytes(written).decode("utf-8", "replace")
            case "html":
                said = html.unescape(written)
            case "code":
                said = _character(_CODE.findall(written)[-1])
            case _:
                said = "".join(chr(ord(char) - 0xE0000) for char in written)
        if said != written:
            yield found.start(), found.end(), said


def _packed(text: str) -> Iterator[tuple[int, int, str]]:
    """Stretches of hex and base64 that decode to text: start, end, what they say."""
    codes = np.minimum(codes_of(text), 128)
    digits = np.append(0, np.cumsum(_IS_DIGIT[codes]))
    for start, end in _runs(_IS_HEX[codes], _LEAST_HEX_CHARS):
        if 6 * (digits[end] - digits[start]) >= end - start:
            for found in _HEX.finditer(text, start, end):
                said = _as_text(bytes.fromhex(_HEX_NOISE.sub("", found[0])))
                if said:
                    yield found.start(), found.end(), said
    lower, upper, digit = _IS_LOWER[codes], _IS_UPPER[codes], _IS_DIGIT[codes]
    mixed = ((lower | digit)[:-1] & upper[1:]) | ((lower | upper)[:-1] & digit[1:]) | (digit[:-1] & lower[1:])
    changes = np.append(0, np.cumsum(mixed))
    for start, end in _runs(_IS_BASE64[codes], _LEAST_BASE64_CHARS):
        if changes[end - 1] > changes[start]:  # words are not: base64 changes case in the middle
            said = _base64(text[start:end])
            if said:
                padding = len(text[end : end + 2]) - len(text[end : end + 2].lstrip("="))
                yield start, end + padding, said


def _runs(member: NDArray[np.bool_], least: int) -> list[tuple[int, int]]:
    """Maximal stretches of true values at least that long."""
    bounds = np.flatnonzero(np.diff(member, prepend=False, append=False)).reshape(-1, 2)
    return [(start, end) for start, end in bounds[bounds[:, 1] - bounds[:, 0] >= least].tolist()]


def _character(code: str) -> str:
    value = int(code, 16)
    return chr(value) if value < 0x110000 and not 0xD800 <= value < 0xE000 else "\ufffd"


def _base64(written: str) -> str | None:
    digits = written.replace("-", "+").replace("_", "/")
    for skipped in range(4):  # letters glued in front shift the groups of four
        group = digits[skipped:]
        group = group[: len(group) - (len(group) % 4 == 1)]
        try:
            said = _as_text(base64.b64decode(group + "=" * (-len(group) % 4)))
        except binascii.Error:
            continue
        if said and (not skipped or len(said) >= _LEAST_SHIFTED_CHARS):
            return said
    return None


def _as_text(data: bytes) -> str | None:
    """The longest readable stretch of bytes as UTF-8, if it is most of them: else this was no encoded text."""
    stretches = _UNREADABLE.split(data.decode("utf-8", "surrogateescape"))
    longest = max(stretches, key=len).encode("utf-8", "replace")
    return longest.decode() if len(longest) >= max(_LEAST_DECODED_BYTES, _READABLE_SHARE * len(data)) else None
