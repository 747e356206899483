"""JSON escapes, read in a stream: a tool's arguments may spell a name as \\u0056enice."""

import re
from collections.abc import Iterator

_HEX = "[0-9a-fA-F]"
_PAIR = rf"\\u(?P<high>[dD][89abAB]{_HEX}{{2}})\\u(?P<low>[dD][c-fC-F]{_HEX}{{2}})"
_ESCAPE = re.compile(rf'{_PAIR}|\\u(?P<code>{_HEX}{{4}})|\\(?P<short>["\\/bfnrt])')
_ESCAPE_BEGUN = re.compile(
    rf"\\(?:u(?:{_HEX}{{0,3}}|[dD][89abAB]{_HEX}{{2}}(?:\\(?:u(?:[dD](?:[c-fC-F]{_HEX}?)?)?)?)?)?)?"
)
_SHORT = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


def characters(text: str, at: int = 0, *, final: bool) -> Iterator[tuple[str, int, int]]:
    """The characters from `at` on, each with the span it is written in; stops before an escape not yet complete."""
    while at < len(text):
        char, end = text[at], at + 1
        if char == "\\":
            if not final and _ESCAPE_BEGUN.fullmatch(text, at):
                return
            if escape := _ESCAPE.match(text, at):
                char, end = _unescape(escape), escape.end()
        yield char, at, end
        at = end


def _unescape(escape: re.Match[str]) -> str:
    if escape["high"]:
        return chr(0x10000 + ((int(escape["high"], 16) - 0xD800) << 10) + int(escape["low"], 16) - 0xDC00)
    if escape["code"]:
        char = chr(int(escape["code"], 16))
        return "\ufffd" if "\ud800" <= char <= "\udfff" else char
    return _SHORT.get(escape["short"], escape["short"])
