"""A tokenizer's vocabulary sorted by what its tokens fold to, so that "tokens that begin with x" is one range."""

from bisect import bisect_left
from codecs import utf_8_decode
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import ahocorasick
import numpy as np
from numpy.typing import NDArray

from gateway.guards.normalise import BARRIER, EDGE, SYMBOLS, Kind, fold
from gateway.guards.phrase_set import GAP

TokenIds = NDArray[np.int64]
NO_TOKENS: TokenIds = np.empty(0, dtype=np.int64)

_REMEMBERED_WORDS = 200_000
_FEW_CHARS = 10_000  # so few that most phrases can be ruled out by their first letters
_GRAM = 4  # letters
_LONG = 8  # letters; few tokens begin with the same eight
_REMEMBERED_PENDING = 1_000
_SEARCH_ONE_BY_ONE_CHARS = 8_000_000  # below this, plain searches beat building an automaton


class Reading(NamedTuple):
    """How a text goes on with a token, whatever stands before it. Kinds are plain numbers: those are quick to hash."""

    letters: str
    edges: bytes  # [letters] whether a word may begin at each; at the first only if `lead` lets it, too
    lead: int  # kind of the first visible character (a separator where there is none)
    trail: int  # kind of the last visible character (ignored where there is none)
    pending: bytes  # of a character begun


class View:
    """Some tokens read as text: their folded letters, sorted, and where in them a word may end."""

    def __init__(self, ids: Sequence[int], texts: Sequence[str]):
        folded = fold("".join(text + BARRIER for text in texts))
        letters = folded.text.split(BARRIER)[:-1]
        lengths = np.array([len(word) + 1 for word in letters], dtype=np.int64)
        self._starts = np.cumsum(lengths) - lengths
        self._letters = folded.text
        self._edge_bytes = folded.edges
        self._edges = np.frombuffer(folded.edges, dtype=np.bool_)
        plural = np.zeros(len(self._edges), dtype=np.bool_)
        if folded.text:
            is_s = np.frombuffer(folded.text.encode("utf-32-le", "surrogatepass"), dtype="<u4") == ord("s")
            plural[:-1] = is_s & self._edges[1:]
        self._may_end = self._edges | plural
        self._ids = np.array(ids, dtype=np.int64)
        self.leads = np.zeros(max(ids, default=0) + 1, dtype=np.uint8)  # by token id: kind of the first character
        self.leads[self._ids] = [_kind_of_first(text, Kind.SEPARATOR) for text in texts]
        order = sorted(range(len(letters)), key=letters.__getitem__)
        self._words = letters
        self._begins: list[int] = self._starts.tolist()
        self._long = frozenset(word[:_LONG] for word in letters if len(word) >= _LONG)
        self._sorted = [letters[i] for i in order]
        self._order = np.array(order, dtype=np.int64)
        self._found: dict[str, NDArray[np.int64]] = {}

    def letters_of(self, position: int) -> tuple[str, bytes]:
        """The letters of one of the tokens (counted from 0), and where words may begin in them."""
        letters = self._words[position]
        start = self._begins[position]
        return letters, self._edge_bytes[start : start + len(letters)]

    def beginning_with(self, rest: str, *, ends_word: bool) -> TokenIds:
        """Tokens whose letters begin with `rest`, with edges where it has gaps inside.

        With `ends_word`, a word may end right after them.
        """
        letters, gaps = _without_gaps(rest)
        if len(letters) >= _LONG and letters[:_LONG] not in self._long:
            return NO_TOKENS
        first = bisect_left(self._sorted, letters)
        if first == len(self._sorted) or not self._sorted[first].startswith(letters):
            return NO_TOKENS
        last = bisect_left(self._sorted, letters + "\U0010ffff", lo=first)
        tokens = self._order[first:last]
        for gap in gaps:
            tokens = tokens[self._edges[self._starts[tokens] + gap]]
        if ends_word:
            tokens = tokens[self._may_end[self._starts[tokens] + len(letters)]]
        return self._ids[tokens]

    def after_edge(self, tokens: TokenIds, before: NDArray[np.uint8] | int) -> TokenIds:
        """Those of the tokens that begin at an edge after text that ends with kind `before` (or one kind per token)."""
        return tokens[EDGE[before, self.leads[tokens]]] if len(tokens) else tokens

    def possible(self, patterns: list[str]) -> list[str]:
        """The patterns (a marker, then a phrase) that tokens may contain: all but some that they surely do not."""
        if len(self._letters) > _FEW_CHARS:
            return patterns
        grams = {self._letters[at : at + _GRAM] for at in range(len(self._letters))}
        openings = ((pattern, pattern[1 : _GRAM + 1]) for pattern in patterns)
        return [pattern for pattern, opening in openings if opening in grams or len(opening) < _GRAM or GAP in opening]

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


class Heads(NamedTuple):
    """What heads of tokens say after certain bytes of a character begun, [rows]; `which` [heads] is the row of each."""

    which: NDArray[np.int64]
    breaks_off: NDArray[np.bool_]  # there is a letter
    ends_with: NDArray[np.uint8]  # kind of the last visible character
    spelling: dict[str, list[int]]  # letter -> rows


class VocabularyIndex:
    """A vocabulary by token bytes (None: a special token, which writes nothing).

    What a token says that begins in the middle of a character depends on the bytes before. Each token is a *head* (the
    bytes that may complete a character, mostly none) and a rest, which `rests` holds as text, by token id.
    """

    def __init__(self, token_bytes: Sequence[bytes | None]):
        self._bytes = list(token_bytes)
        heads = [_head(token) if token and _continues(token[0]) else b"" for token in self._bytes]
        numbers: dict[bytes, int] = {b"": 0}
        self.head_of = np.array([numbers.setdefault(head, len(numbers)) for head in heads], dtype=np.int64)
        self._heads = list(numbers)
        self._heads_by_missing: dict[int, tuple[list[bytes], NDArray[np.int64]]] = {}
        self._heads_after: dict[bytes, Heads] = {}
        texts: list[str] = []
        self._pending: dict[int, bytes] = {}
        for token_id, head in enumerate(heads):
            rest = (self._bytes[token_id] or b"")[len(head) :]
            text, used = utf_8_decode(rest, "replace", False)
            texts.append(text)
            if used < len(rest):
                self._pending[token_id] = rest[used:]
        self.rests = View(range(len(texts)), texts)
        self._leads = self.rests.leads.tobytes()
        self._trails = bytes(_kind_of_first(reversed(text), Kind.IGNORED) for text in texts)
        self._reads_alone = bytes(bool(token) and not head for token, head in zip(self._bytes, heads, strict=True))
        for lead in range(0xC2, 0xF5):
            self.heads_after(bytes((lead,)))  # takes milliseconds: better here than while decoding

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

    def reading(self, token_id: int) -> Reading | None:
        """How a text goes on with a token; None if that depends on the bytes before it, or it writes nothing."""
        if not 0 <= token_id < len(self._bytes) or not self._reads_alone[token_id]:
            return None
        letters, edges = self.rests.letters_of(token_id)
        pending = self._pending.get(token_id, b"")
        return Reading(letters, edges, self._leads[token_id], self._trails[token_id], pending)

    def heads_after(self, pending: bytes) -> Heads:
        """What heads say after the bytes of a character begun."""
        found = self._heads_after.get(pending)
        if found is None:
            if len(self._heads_after) >= _REMEMBERED_PENDING:
                self._heads_after.clear()
            found = self._heads_after[pending] = self._read_heads(pending)
        return found

    def _read_heads(self, pending: bytes) -> Heads:
        missing = _length_of_character(pending[0]) - len(pending) if pending else 0
        if missing not in self._heads_by_missing:
            # Bytes beyond the missing ones complete nothing, so that it matters only whether there are any.
            short = [head[:missing] + b"\x80" * (len(head) > missing) for head in self._heads]
            numbers = {head: number for number, head in enumerate(dict.fromkeys(short))}
            self._heads_by_missing[missing] = list(numbers), np.array([numbers[head] for head in short], dtype=np.int64)
        heads, which = self._heads_by_missing[missing]
        breaks_off, ends_with = np.zeros(len(heads), dtype=np.bool_), np.zeros(len(heads), dtype=np.uint8)
        spelling: dict[str, list[int]] = {}
        for row, head in enumerate(heads):
            # What does not complete a character breaks it off: a separator, unless nothing was begun or comes here.
            text = utf_8_decode(pending + head, "replace", False)[0] or ("\ufffd" if pending else "")
            ends_with[row] = _kind_of_first(reversed(text), Kind.IGNORED)
            for letter in "".join(SYMBOLS[char].letters for char in text):
                breaks_off[row] = True
                spelling.setdefault(letter, []).append(row)
        return Heads(which, breaks_off, ends_with, spelling)

    def with_heads(self, pending: bytes, heads: NDArray[np.bool_]) -> View:
        """The tokens whose heads are chosen ([heads]), read after the bytes of a character begun."""
        ids = np.flatnonzero(heads[self.head_of]).tolist()
        return View(ids, [self.read(pending, token_id)[0] for token_id in ids])


def _continues(byte: int) -> bool:
    return 0x80 <= byte <= 0xBF


def _length_of_character(lead: int) -> int:
    return 4 if lead >= 0xF0 else 3 if lead >= 0xE0 else 2


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


def _kind_of_first(chars: Iterable[str], default: int) -> int:
    """The kind of the first visible character."""
    for char in chars:
        if (kind := SYMBOLS[char].kind) != Kind.IGNORED:
            return kind
    return default
