"""Forbidden phrases while decoding: which tokens would complete one, at text level, whatever tokens spell it.

Used inside the engine process at every step. The state is what has been read of the phrases plus the bytes of a
character begun, so letters split over tokens are seen; the tokens to forbid are ranges of the folded vocabulary.
"""

from codecs import utf_8_decode
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gateway.guards.normalise import SYMBOLS, Kind
from gateway.guards.phrase_set import ANCHORED, FREE, GAP, PhraseSet, Threads
from gateway.guards.vocabulary import NO_TOKENS, TokenIds, View, VocabularyIndex

__all__ = ["PhraseTable", "State", "VocabularyIndex"]

_CACHED_STEPS = 200_000


@dataclass(slots=True, eq=False, repr=False)
class State:
    """Where a text stands with regard to a table's phrases. Opaque; belongs to the table that made it."""

    threads: Threads
    last: Kind
    pending: bytes
    steps: dict[int, "State"] = field(default_factory=dict)
    banned: TokenIds | None = None


class _ViewHits:
    """What one table forbids among the tokens of one view."""

    def __init__(self, view: View, phrases: PhraseSet):
        self._view = view
        self._phrases = phrases
        anchored = [pattern[1:] for pattern in phrases.patterns if pattern.startswith(ANCHORED)]
        free = [pattern[1:] for pattern in phrases.patterns if pattern.startswith(FREE)]
        inside, self._leading = view.containing_as_word(anchored)
        self.always = np.union1d(view.containing(free), inside)
        self._by_thread: dict[str, tuple[TokenIds, TokenIds]] = {}

    def completing(self, thread: str) -> tuple[TokenIds, TokenIds]:
        """Tokens that complete a phrase after a thread: in any case, and if they begin at an edge."""
        tokens = self._by_thread.get(thread)
        if tokens is None:
            ends_word = thread.startswith(ANCHORED)
            found: tuple[list[TokenIds], list[TokenIds]] = ([NO_TOKENS], [NO_TOKENS])
            for rest in self._phrases.continuations(thread):
                found[rest.startswith(GAP)].append(self._view.beginning_with(rest, ends_word=ends_word))
            tokens = self._by_thread[thread] = (np.concatenate(found[0]), np.concatenate(found[1]))
        return tokens

    def parts(self, threads: Threads, last: Kind) -> list[TokenIds]:
        """Arrays whose union is forbidden after `threads` and a character of kind `last`."""
        completing = [self.completing(thread) for thread in threads]
        after_edge = [self._leading, *(tokens for _, tokens in completing)]
        return [
            self.always,
            *(tokens for tokens, _ in completing),
            *(self._view.after_edge(tokens, last) for tokens in after_edge),
        ]

    def parts_after_heads(
        self, threads: Threads, last: Kind, breaks_off: NDArray[np.bool_], ends_with: NDArray[np.uint8]
    ) -> list[TokenIds]:
        """The same where other characters come between; by token id, if they break off threads, and their last kind."""
        found = [self.always]
        after_edge = [self._leading]
        for thread in threads:
            for tokens, group in zip(self.completing(thread), (found, after_edge), strict=True):
                group.append(tokens[~breaks_off[tokens]])
        for tokens in after_edge:
            before = np.where(ends_with[tokens] == Kind.IGNORED, last, ends_with[tokens])
            found.append(self._view.after_edge(tokens, before))
        return found


class _ContinuingHits:
    """What one table forbids among the tokens that complete a character begun with certain bytes.

    Few such characters are letters of a phrase. Tokens with those are read as a view of their own; for all others it
    matters only whether they break off what was under way (a letter does, a separator does not) and leave an edge.
    """

    def __init__(self, index: VocabularyIndex, phrases: PhraseSet, rests: _ViewHits, pending: bytes):
        self._rests = rests
        texts = [utf_8_decode(pending + head, "replace", False)[0] for head in index.heads]
        read = {text: _read_head(text, phrases) for text in set(texts)}
        heads = np.array([read[text] for text in texts] or [(False, False, Kind.UNKNOWN)], dtype=np.uint8)
        spelled = heads[:, 0].astype(np.bool_)
        self._spelled = _ViewHits(index.with_heads(pending, spelled), phrases) if spelled.any() else None
        self._breaks_off = heads[index.head_of, 1].astype(np.bool_)
        self._ends_with = heads[index.head_of, 2]

    def parts(self, threads: Threads, last: Kind) -> list[TokenIds]:
        """As `_ViewHits.parts`."""
        found = self._rests.parts_after_heads(threads, last, self._breaks_off, self._ends_with)
        return found + (self._spelled.parts(threads, last) if self._spelled else [])


def _read_head(text: str, phrases: PhraseSet) -> tuple[bool, bool, Kind]:
    """Whether the characters of a head could spell a phrase, whether one is a letter, the kind of the last one.

    A head that could spell one counts as letters of unknown kind, after which nothing else is found.
    """
    symbols = [SYMBOLS[char] for char in text or "\ufffd"]
    letters = [letter for symbol in symbols for letter in symbol.letters]
    if any(letter in phrases.letters for letter in letters):
        return True, True, Kind.UNKNOWN
    kinds = [symbol.kind for symbol in symbols if symbol.kind != Kind.IGNORED]
    return False, bool(letters), kinds[-1] if kinds else Kind.IGNORED


class PhraseTable:
    """The tokens that must not come next. Never raises: unknown ids and special tokens leave the state as it is.

    `banned` treats the end of a token as a possible end of word, since nothing is known of what follows.
    """

    def __init__(self, index: VocabularyIndex, phrases: Iterable[str]):
        self._index = index
        self._phrases = PhraseSet(phrases)
        self._plain = _ViewHits(index.plain, self._phrases)
        self._rests = _ViewHits(index.rests, self._phrases)
        self._continuing: dict[bytes, _ContinuingHits] = {}
        self.START = State((), Kind.SEPARATOR, b"")
        self._forget_states()

    def step(self, state: State, token_id: int) -> State:
        """The state after one more token."""
        following = state.steps.get(token_id)
        if following is None:
            following = self._read(state, token_id)
            self._cached_steps += 1
            if self._cached_steps > _CACHED_STEPS:
                self._forget_states()
            state.steps[token_id] = following
        return following

    def banned(self, state: State) -> NDArray[np.int64]:
        """Sorted ids of the tokens that would complete a phrase. Do not write to it."""
        if state.banned is None:
            state.banned = self._forbidden(state) if self._phrases else NO_TOKENS
        return state.banned

    def _read(self, state: State, token_id: int) -> State:
        text, pending = self._index.read(state.pending, token_id)
        threads, last = state.threads, state.last
        for char in text:
            symbol = SYMBOLS[char]
            if symbol.kind == Kind.SEPARATOR:
                last = Kind.SEPARATOR
            elif symbol.kind != Kind.IGNORED:
                threads = self._phrases.advance(threads, last, symbol)
                last = symbol.kind
        key = (threads, last, pending)
        known = self._states.get(key)
        if known is None:
            known = self._states[key] = State(*key)
        return known

    def _forbidden(self, state: State) -> TokenIds:
        # A token that begins a new character breaks off one begun before it, which then reads as a separator.
        parts = self._plain.parts(state.threads, Kind.SEPARATOR if state.pending else state.last)
        continuing = self._continuing.get(state.pending)
        if continuing is None:
            continuing = _ContinuingHits(self._index, self._phrases, self._rests, state.pending)
            self._continuing[state.pending] = continuing
        parts += continuing.parts(state.threads, state.last)
        parts = [part for part in parts if len(part)]
        return np.unique(np.concatenate(parts)) if parts else NO_TOKENS

    def _forget_states(self) -> None:
        """Start the caches afresh; states in use stay valid and go with the requests that hold them."""
        self._cached_steps = 0
        self._continuing.clear()
        self.START.steps.clear()
        self._states: dict[tuple[Threads, Kind, bytes], State] = {((), Kind.SEPARATOR, b""): self.START}
