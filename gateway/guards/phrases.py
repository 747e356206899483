"""Forbidden phrases while decoding: which tokens would complete one, at text level, whatever tokens spell it.

Used inside the engine process at every step. The state is what has been read of the phrases plus the bytes of a
character begun, so letters split over tokens are seen; the tokens to forbid are ranges of the folded vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gateway.guards.normalise import EDGE, SYMBOLS, Kind
from gateway.guards.phrase_set import ANCHORED, FREE, PhraseSet, Threads
from gateway.guards.vocabulary import NO_TOKENS, TokenIds, View, VocabularyIndex

__all__ = ["PhraseTable", "State", "VocabularyIndex"]

_CACHED_STEPS = 200_000


@dataclass(slots=True, eq=False)
class State:
    """Where a text stands with regard to a table's phrases. Opaque; belongs to the table that made it."""

    threads: Threads
    last: Kind
    pending: bytes
    steps: dict[int, "State"] = field(default_factory=dict, repr=False)
    banned: TokenIds | None = field(default=None, repr=False)


class _ViewHits:
    """What one table forbids among the tokens of one view."""

    def __init__(self, view: View, phrases: PhraseSet):
        self._view = view
        self._phrases = phrases
        anchored = [pattern[1:] for pattern in phrases.patterns if pattern.startswith(ANCHORED)]
        free = [pattern[1:] for pattern in phrases.patterns if pattern.startswith(FREE)]
        inside, self._leading, self._lead = view.containing_as_word(anchored)
        self._always = np.union1d(view.containing(free), inside)
        self._by_thread: dict[str, TokenIds] = {}

    def parts(self, threads: Threads, last: Kind) -> list[TokenIds]:
        """Arrays whose union is forbidden after `threads` and a character of kind `last`."""
        found = [self._always, *(self._completing(thread) for thread in threads)]
        if len(self._leading):
            found.append(self._leading[EDGE[last, self._lead]])
        return [part for part in found if len(part)]

    def _completing(self, thread: str) -> TokenIds:
        tokens = self._by_thread.get(thread)
        if tokens is None:
            ends_word = thread.startswith(ANCHORED)
            rests = self._phrases.continuations(thread)
            found = [self._view.beginning_with(rest, ends_word=ends_word) for rest in rests]
            tokens = self._by_thread[thread] = np.unique(np.concatenate(found)) if found else NO_TOKENS
        return tokens


class PhraseTable:
    """The tokens that must not come next. Never raises: unknown ids and special tokens leave the state as it is.

    `banned` treats the end of a token as a possible end of word, since nothing is known of what follows.
    """

    def __init__(self, index: VocabularyIndex, phrases: Sequence[str]):
        self._index = index
        self._phrases = PhraseSet(phrases)
        self.START = State((), Kind.SEPARATOR, b"")
        self._states: dict[tuple[Threads, Kind, bytes], State] = {((), Kind.SEPARATOR, b""): self.START}
        self._hits: dict[bytes | None, _ViewHits] = {}
        self._cached_steps = 0

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
        last = Kind.SEPARATOR if state.pending else state.last
        parts = self._view_hits(None).parts(state.threads, last)
        parts += self._view_hits(state.pending).parts(state.threads, state.last)
        if len(parts) <= 1:
            return parts[0] if parts else NO_TOKENS
        return np.unique(np.concatenate(parts))

    def _view_hits(self, pending: bytes | None) -> _ViewHits:
        hits = self._hits.get(pending)
        if hits is None:
            view = self._index.plain if pending is None else self._index.continuing(pending)
            hits = self._hits[pending] = _ViewHits(view, self._phrases)
        return hits

    def _forget_states(self) -> None:
        """Start the caches afresh; states in use stay valid and go with the requests that hold them."""
        self._cached_steps = 0
        self._states = {((), Kind.SEPARATOR, b""): self.START}
        self._hits.clear()
        self.START.steps.clear()
