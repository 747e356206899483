"""Token ids as text and back: which tokens wrote which characters, and how to put other words in their place."""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

_BARRIER_BYTE = b"\xff"  # never part of UTF-8; `surrogateescape` reads it as normalise.BARRIER
_SURROGATES = re.compile("[\ud800-\udfff]")


class Span(Protocol):
    """A matched piece of text (`matcher.Match`)."""

    @property
    def target(self) -> str: ...
    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...


class TokenText:
    """The text of a token sequence: a special token is one BARRIER character, an undecodable byte one lone surrogate.

    Character i is bytes [char_bytes[i], char_bytes[i + 1]), token j is bytes [token_bytes[j], token_bytes[j + 1]).
    """

    def __init__(self, tokens: Sequence[bytes]) -> None:
        self._tokens = tokens
        self.text = b"".join(tokens).decode("utf-8", "surrogateescape")

    @cached_property
    def token_bytes(self) -> NDArray[np.int64]:
        """Where the tokens begin, [tokens + 1]; made when asked for, which few prompts are."""
        return _starts(np.fromiter(map(len, self._tokens), dtype=np.int64, count=len(self._tokens)))

    @cached_property
    def char_bytes(self) -> NDArray[np.int64]:
        """Where the characters begin, [characters + 1]."""
        codes = np.frombuffer(self.text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
        widths = 1 + (codes >= 0x80).astype(np.int64) + (codes >= 0x800) + (codes >= 0x10000)
        widths[(codes >= 0xDC80) & (codes <= 0xDCFF)] = 1
        return _starts(widths)

    def tokens(self, start: int, end: int) -> tuple[int, int]:
        """The token range [first, last) that wrote text[start:end]."""
        first = int(np.searchsorted(self.token_bytes, self.char_bytes[start], side="right")) - 1
        last = int(np.searchsorted(self.token_bytes, self.char_bytes[end], side="left"))
        return first, last


def _starts(widths: NDArray[np.int64]) -> NDArray[np.int64]:
    """[n] -> [n + 1]"""
    starts = np.zeros(len(widths) + 1, dtype=np.int64)
    np.cumsum(widths, out=starts[1:])
    return starts


class TokenTable:
    """The bytes of every token of a vocabulary.

    A special token (None) is a barrier: no match crosses it and no substitution touches it. An empty token (b"") is
    invisible: text runs on over it, and it goes where a matched span around it is replaced.
    """

    def __init__(self, token_bytes: Sequence[bytes | None]):
        # A token that holds the barrier byte itself would let a prompt of raw ids break up a name.
        self._bytes = [
            _BARRIER_BYTE if token is None else token.replace(_BARRIER_BYTE, b"\xfe") for token in token_bytes
        ]
        self._bytes.append(_BARRIER_BYTE)  # stands for every unknown id

    def __len__(self) -> int:
        return len(self._bytes) - 1

    def text(self, ids: Sequence[int]) -> TokenText:
        """Decode a token sequence in linear time; unknown ids are barriers."""
        unknown = len(self)
        if ids and not 0 <= min(ids) <= max(ids) < unknown:
            ids = [token if 0 <= token < unknown else unknown for token in ids]
        return TokenText([self._bytes[token] for token in ids])

    def substitute(
        self,
        ids: Sequence[int],
        matches: Sequence[Span],
        replacements: Mapping[str, str],
        encode: Callable[[str], Sequence[int]],
    ) -> list[int]:
        """Write replacements[match.target] in place of each match of `self.text(ids).text`.

        Only the tokens that touch a match are re-encoded (what else they hold is kept around the replacement); `encode`
        must add no special tokens. Where matches overlap, the earliest and then the longest is replaced. Matches
        without a replacement stay.
        """
        decoded = self.text(ids)
        result: list[int] = []
        copied = 0  # tokens before this one are dealt with
        pending = ""  # text that takes the place of tokens up to `copied`
        written = 0  # characters before this one are in `result` or `pending`
        for match in _disjoint(matches, replacements):
            first, last = decoded.tokens(match.start, match.end)
            first, last = self._whole_characters(decoded, first, last)
            if first >= copied:
                if pending:
                    result += encode(_plain(pending + self._slice(decoded, written, copied)))
                result += ids[copied:first]
                pending = ""
                written = self._character(decoded, first)
            pending += decoded.text[written : match.start] + replacements[match.target]
            written, copied = match.end, max(copied, last)
        if pending:
            result += encode(_plain(pending + self._slice(decoded, written, copied)))
        return [*result, *ids[copied:]]

    def _whole_characters(self, decoded: TokenText, first: int, last: int) -> tuple[int, int]:
        """Widen a token range until both its ends lie between characters."""
        while first > 0 and not self._between_characters(decoded, first):
            first -= 1
        while last < len(decoded.token_bytes) - 1 and not self._between_characters(decoded, last):
            last += 1
        return first, last

    @staticmethod
    def _between_characters(decoded: TokenText, token: int) -> bool:
        at = decoded.token_bytes[token]
        return bool(decoded.char_bytes[np.searchsorted(decoded.char_bytes, at)] == at)

    @staticmethod
    def _character(decoded: TokenText, token: int) -> int:
        return int(np.searchsorted(decoded.char_bytes, decoded.token_bytes[token]))

    def _slice(self, decoded: TokenText, start: int, token: int) -> str:
        """Text from a character up to the beginning of a token."""
        return decoded.text[start : self._character(decoded, token)]


def _plain(text: str) -> str:
    """Text that any tokenizer takes: undecodable bytes become replacement characters."""
    return _SURROGATES.sub("\ufffd", text)


def _disjoint(matches: Sequence[Span], replacements: Mapping[str, str]) -> list[Span]:
    kept: list[Span] = []
    for match in sorted(matches, key=lambda m: (m.start, -m.end)):
        if match.target in replacements and match.end > match.start and (not kept or match.start >= kept[-1].end):
            kept.append(match)
    return kept
