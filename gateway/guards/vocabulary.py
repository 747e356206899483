"""A tokenizer's vocabulary sorted by what its tokens fold to, so that "tokens that begin with x" is one range."""

from bisect import bisect_left
from codecs import utf_8_decode
from collections.abc import Iterable, Sequence

import ahocorasick
import numpy as np
from numpy.typing import NDArray

from gateway.guards.normalise import BARRIER, EDGE, SYMBOLS, Kind, fold
from gateway.guards.phrase_set import GAP

TokenIds = NDArray[np.int64]
NO_TOKENS: TokenIds = np.empty(0, dtype=np.int64)

_REMEMBERED_WORDS = 200_000
_SEARCH_ONE_BY_ONE_CHARS = 8_000_000  # below this, plain searches beat building an automaton


class View:
    """Some tokens read as text: their folded letters, sorted, and where in them a word may end."""

    def __init__(self, ids: Sequence[int], texts: Sequence[str]):
        folded = fold("".join(text + BARRIER for text in texts))
        letters = folded.text.split(BARRIER)[:-1]
        lengths = np.array([len(word) + 1 for word in letters], dtype=np.int64)
        self._starts = np.cumsum(lengths) - lengths
        self._letters = folded.text
        self._edges = np.frombuffer(folded.edges, dtype=np.bool_)
        plural = np.zeros(len(self._edges), dtype=np.bool_)
        if folded.text:
            is_s = np.frombuffer(folded.text.encode("utf-32-le", "surrogatepass"), dtype="<u4") == ord("s")
            plural[:-1] = is_s & self._edges[1:]
        self._may_end = self._edges | plural
        self._ids = np.array(ids, dtype=np.int64)
        self._leads = np.zeros(max(ids, default=0) + 1, dtype=np.uint8)  # by token id: kind of the first character
        self._leads[self._ids] = [_lead(text) for text in texts]
        order = sorted(range(len(letters)), key=letters.__getitem__)
        self._sorted = [letters[i] for i in order]
        self._order = np.array(order, dtype=np.int64)
        self._found: dict[str, NDArray[np.int64]] = {}

    def beginning_with(self, rest: str, *, ends_word: bool) -> TokenIds:
        """Tokens whose letters begin with `rest`, with edges where it has gaps inside.

        With `ends_word`, a word may end right after them.
        """
        letters, gaps = _without_gaps(rest)
        first = bisect_left(self._sorted, letters)
        last = bisect_left(self._sorted, letters + "\U0010ffff", lo=first)
        tokens = self._order[first:last]
        for gap in gaps:
            tokens = tokens[self._edges[self._starts[tokens] + gap]]
        if ends_word:
            tokens = tokens[self._may_end[self._starts[tokens] + len(letters)]]
        return self._ids[tokens]

    def after_edge(self, tokens: TokenIds, before: NDArray[np.uint8] | Kind) -> TokenIds:
        """Those of the tokens that begin at an edge after text that ends with kind `before` (or one kind per token)."""
        return tokens[EDGE[before, self._leads[tokens]]] if len(tokens) else tokens

    def containing(self, words: Iterable[str]) -> TokenIds:
        """Tokens that contain one of the words anywhere."""
        found = self._occurrences(list(words))
        return np.unique(self._ids[self._token_of(np.concatenate(found))]) if found else NO_TOKENS

    def containing_as_word(self, phrases: Iterable[str]) -> tuple[TokenIds, TokenIds]:
        """Tokens that contain one of the phrases between edges: inside the token, and at its very beginning.

        Whether the beginning of a token is an edge depends on the text before it (`after_edge`).
        """
        written = [_without_gaps(phrase) for phrase in phrases]
        found = [NO_TOKENS]
        for (letters, gaps), at in zip(written, self._occurrences([word for word, _ in written]), strict=True):
            if len(at):
                for gap in (0, *gaps):
                    at = at[self._edges[at + gap]]
                found.append(at[self._may_end[at + len(letters)]])
        positions = np.concatenate(found)
        tokens = self._token_of(positions)
        leading = positions == self._starts[tokens]
        return np.unique(self._ids[tokens[~leading]]), np.unique(self._ids[tokens[leading]])

    def _token_of(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.searchsorted(self._starts, positions, side="right") - 1

    def _occurrences(self, words: list[str]) -> list[NDArray[np.int64]]:
        """For each word its positions in the concatenated letters; remembered."""
        if len(self._found) + len(words) > _REMEMBERED_WORDS:
            self._found.clear()
        new = [word for word in words if word not in self._found]
        if len(new) * len(self._letters) <= _SEARCH_ONE_BY_ONE_CHARS:
            for word in new:
                self._found[word] = np.fromiter(self._find(word), dtype=np.int64)
        else:
            self._search(new)
        return [self._found[word] for word in words]

    def _search(self, words: list[str]) -> None:
        automaton = ahocorasick.Automaton()
        for word in words:
            automaton.add_word(word, word)
        automaton.make_automaton()
        ends: dict[str, list[int]] = {word: [] for word in words}
        for end, word in automaton.iter(self._letters):
            ends[word].append(end)
        for word, at in ends.items():
            self._found[word] = np.array(at, dtype=np.int64) - (len(word) - 1)

    def _find(self, word: str) -> Iterable[int]:
        at = self._letters.find(word)
        while at >= 0:
            yield at
            at = self._letters.find(word, at + 1)


class VocabularyIndex:
    """A vocabulary by token bytes (None: a special token, which writes nothing).

    Tokens that begin in the middle of a character are kept apart: what they say depends on the bytes before. Each is a
    *head* (the bytes that may complete a character) and a rest, which `rests` holds as text.
    """

    def __init__(self, token_bytes: Sequence[bytes | None]):
        self._bytes = list(token_bytes)
        plain: list[int] = []
        continuing: list[int] = []
        for token_id, token in enumerate(self._bytes):
            if token:
                (continuing if _continues(token[0]) else plain).append(token_id)
        self.plain = View(plain, [self.read(b"", token_id)[0] for token_id in plain])
        heads = [_head(self._bytes[token_id] or b"") for token_id in continuing]
        self.heads = list(dict.fromkeys(heads))
        numbers = {head: number for number, head in enumerate(self.heads)}
        self.head_of = np.zeros(len(self._bytes), dtype=np.int64)  # [vocabulary] number of the head; continuing only
        self.head_of[continuing] = [numbers[head] for head in heads]
        self._continuing = np.array(continuing, dtype=np.int64)
        self.rests = View(
            continuing, [self._rest(token_id, head) for token_id, head in zip(continuing, heads, strict=True)]
        )

    def __len__(self) -> int:
        return len(self._bytes)

    def read(self, pending: bytes, token_id: int) -> tuple[str, bytes]:
        """The characters complete after a token, and the bytes of a character begun."""
        token = self._bytes[token_id] if 0 <= token_id < len(self._bytes) else None
        if not token:
            return "", pending
        data = pending + token
        text, used = utf_8_decode(data, "replace", False)
        return text, data[used:]

    def with_heads(self, pending: bytes, heads: NDArray[np.bool_]) -> View:
        """The tokens whose heads are chosen ([heads]), read after the bytes of a character begun."""
        ids = self._continuing[heads[self.head_of[self._continuing]]].tolist()
        return View(ids, [self.read(pending, token_id)[0] for token_id in ids])

    def _rest(self, token_id: int, head: bytes) -> str:
        return utf_8_decode((self._bytes[token_id] or b"")[len(head) :], "replace", False)[0]


def _continues(byte: int) -> bool:
    return 0x80 <= byte <= 0xBF


def _head(token: bytes) -> bytes:
    return token[: next((at for at, byte in enumerate(token) if not _continues(byte)), len(token))]


def _without_gaps(phrase: str) -> tuple[str, list[int]]:
    """The letters of a phrase, and after how many of them it has gaps (never 0)."""
    if GAP not in phrase:
        return phrase, []
    gaps, count = [], 0
    for char in phrase:
        if char != GAP:
            count += 1
        elif count:
            gaps.append(count)
    return phrase.replace(GAP, ""), gaps


def _lead(text: str) -> Kind:
    """The kind of the first visible character (a separator where there is none: then it never matters)."""
    for char in text:
        if (kind := SYMBOLS[char].kind) != Kind.IGNORED:
            return kind
    return Kind.SEPARATOR
