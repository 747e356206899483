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

_NESTINGS = 2
_ESCAPES = re.compile(
    r"""(?P<percent>(?:%[0-9A-Fa-f]{2})++)
    | (?P<html>&\#?[0-9A-Za-z]{1,31};)
    | (?P<unicode>(?:\\u[0-9A-Fa-f]{4}|\\u\{[0-9A-Fa-f]{1,6}\}|\\x[0-9A-Fa-f]{2}|U\+[0-9A-Fa-f]{4,6}[ ]?)++)
    | (?P<tags>[\U000E0020-\U000E007E]++)
    | (?P<hex>(?<![0-9A-Za-z])(?:(?:0x)?[0-9A-Fa-f]{2}[ ,:-]{0,2}+){4,}+(?![0-9A-Za-z]))
    | (?P<base64>(?:[A-Za-z0-9+/_-]{60,76}+\r?\n)*+[A-Za-z0-9+/_-]{6,}+={0,2}+)""",
    re.VERBOSE,
)
_CODE = re.compile(r"(?:\\u\{?|\\x|U\+)([0-9A-Fa-f]+)")
_HEX_NOISE = re.compile(r"0x|[ ,:-]")
_LOOKS_BASE64 = re.compile(r"[a-z0-9+/][A-Z]|[A-Za-z][0-9]|[0-9][a-z]")
_WORTH_A_LOOK = re.compile(r"%[0-9A-Fa-f]{2}|&[#A-Za-z]|\\[ux]|U\+|[\U000E0020-\U000E007E]|[0-9A-Za-z+/][A-Z0-9]")


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
    if not _WORTH_A_LOOK.search(text):
        return None
    pieces: list[str] = []
    bounds: list[tuple[int, int, bool]] = []  # source start and end of each piece, whether it is verbatim
    copied = 0
    for found in _ESCAPES.finditer(text):
        said = _decode(found)
        if not said:
            continue
        pieces += (text[copied : found.start()], said)
        bounds += ((copied, found.start(), True), (found.start(), found.end(), False))
        copied = found.end()
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


def _decode(found: re.Match[str]) -> str | None:
    """What one escape says, or None where it is not an escape after all."""
    written = found[0]
    match found.lastgroup:
        case "percent":
            return unquote_to_bytes(written).decode("utf-8", "replace")
        case "html":
            said = html.unescape(written)
            return said if said != written else None
        case "unicode":
            return "".join(_character(code) for code in _CODE.findall(written))
        case "tags":
            return "".join(chr(ord(char) - 0xE0000) for char in written)
        case "hex":
            digits = _HEX_NOISE.sub("", written)
            return _as_text(bytes.fromhex(digits)) or (_base64(written) if digits == written else None)
        case _:
            return _base64(written)


def _character(code: str) -> str:
    value = int(code, 16)
    return chr(value) if value < 0x110000 and not 0xD800 <= value < 0xE000 else "\ufffd"


def _base64(written: str) -> str | None:
    if not _LOOKS_BASE64.search(written):
        return None
    digits = re.sub(r"[\r\n=]", "", written).translate(str.maketrans("-_", "+/"))
    for skipped in range(4):  # letters glued in front shift the groups of four
        group = digits[skipped:]
        group = group[: len(group) - (len(group) % 4 == 1)]
        try:
            said = _as_text(base64.b64decode(group + "=" * (-len(group) % 4)))
        except binascii.Error:
            continue
        if said:
            return said
    return None


def _as_text(data: bytes) -> str | None:
    """Bytes that are text in UTF-8: anything else was no encoded text."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return text if len(text) > 3 and all(char.isprintable() or char in "\t\r\n" for char in text) else None
