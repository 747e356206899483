"""Forbidden phrases while decoding: which tokens would complete one, at text level, whatever tokens spell it.

Used inside the engine process at every step. The state is what has been read of the phrases plus the bytes of a
character begun, so letters split over tokens are seen; the tokens to forbid are ranges of the folded vocabulary.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gateway.guards.normalise import SYMBOLS, Kind
from gateway.guards.phrase_set import ANCHORED, FREE, GAP, PhraseSet, Threads, is_edge
from gateway.guards.vocabulary import NO_TOKENS, TokenIds, View, VocabularyIndex

__all__ = ["PhraseTable", "State", "VocabularyIndex"]

_CACHED_STEPS = 200_000
_IDS_PER_STEP = 64  # so many ids take as much memory as a step with its state


@dataclass(slots=True, eq=False, repr=False)
class State:
    """Where a text stands with regard to a table's phrases. Opaque; belongs to the table that made it."""

    threads: Threads
    last: int  # a kind as a plain number, which is quick to hash
    pending: bytes
    steps: dict[int, "State"] = field(default_factory=dict)
    banned: TokenIds | None = None
    begun: bool = False  # whether some of them end a phrase begun before; known with `banned`


class _ViewHits:
    """What one table forbids among the tokens of one view."""

    def __init__(self, view: View, phrases: PhraseSet):
        self._view = view
        self._phrases = phrases
        patterns = view.possible(phrases.patterns)
        anchored = [pattern[1:] for pattern in patterns if pattern.startswith(ANCHORED)]
        free = [pattern[1:] for pattern in patterns if pattern.startswith(FREE)]
        inside, self.leading = view.containing_as_word(anchored)
        self.always = np.union1d(view.containing(free), inside)
        self._by_thread: dict[str, tuple[TokenIds, TokenIds] | None] = {}

    def completing(self, thread: str) -> tuple[TokenIds, TokenIds] | None:
        """Tokens that complete a phrase after a thread: in any case, and if they begin at an edge. None: no tokens."""
        if thread not in self._by_thread:
            ends_word = thread.startswith(ANCHORED)
            found: tuple[list[TokenIds], list[TokenIds]] = ([], [])
            for rest in self._phrases.continuations(thread):
                if len(tokens := self._view.beginning_with(rest, ends_word=ends_word)):
                    found[rest.startswith(GAP)].append(tokens)
            self._by_thread[thread] = (_joined(found[0]), _joined(found[1])) if found[0] or found[1] else None
        return self._by_thread[thread]

    def after_edge(self, tokens: TokenIds, before: NDArray[np.uint8] | int) -> TokenIds:
        """As `View.after_edge`."""
        return self._view.after_edge(tokens, before)


class _HitsAfter:
    """What one table forbids after a text that ends with certain bytes of a character begun (mostly none).

    Tokens are read without their heads; of these it matters whether they break off what was under way (a letter does,
    a separator does not) and leave an edge. Few heads spell letters of a phrase: their tokens are a view of their own.
    """

    def __init__(self, index: VocabularyIndex, phrases: PhraseSet, rests: _ViewHits, pending: bytes):
        self._rests = rests
        self._head_of = index.head_of
        self._heads = index.heads_after(pending)
        spelt = [self._heads.spelling[letter] for letter in self._heads.spelling.keys() & phrases.letters]
        self._spells = np.zeros(len(self._heads.ends_with), dtype=np.bool_)
        self._spells[[row for rows in spelt for row in rows]] = True
        spelled = index.with_heads(pending, self._spells[self._heads.which]) if spelt else None
        self._spelled = _ViewHits(spelled, phrases) if spelled else None
        self._by_last: dict[int, TokenIds] = {}

    def regardless(self, last: int) -> TokenIds:
        """Sorted ids of what is forbidden after a character of kind `last` even where no thread is under way."""
        if last not in self._by_last:
            parts = [self._rests.always, self._after_edge(self._rests.leading, last)]
            if self._spelled:
                parts += self._spelled.always, self._spelled.after_edge(self._spelled.leading, last)
            self._by_last[last] = _sorted_once(_joined(parts))
        return self._by_last[last]

    def added(self, threads: Threads, last: int) -> list[TokenIds]:
        """Arrays of what is forbidden besides because of threads."""
        parts: list[TokenIds] = []
        for thread in threads:
            if found := self._rests.completing(thread):
                going_on, after_edge = (tokens[~self._heads.breaks_off[self._row_of(tokens)]] for tokens in found)
                parts += going_on, self._after_edge(after_edge, last)
            if self._spelled and (found := self._spelled.completing(thread)):
                parts += found[0], self._spelled.after_edge(found[1], last)
        return parts

    def _after_edge(self, tokens: TokenIds, last: int) -> TokenIds:
        if not len(tokens):
            return tokens
        tokens = tokens[~self._spells[self._row_of(tokens)]]
        before = self._heads.ends_with[self._row_of(tokens)]
        return self._rests.after_edge(tokens, np.where(before == Kind.IGNORED, np.uint8(last), before))

    def _row_of(self, tokens: TokenIds) -> NDArray[np.int64]:
        return self._heads.which[self._head_of[tokens]]


def _joined(parts: list[TokenIds]) -> TokenIds:
    return np.concatenate(parts) if parts else NO_TOKENS


def _sorted_once(tokens: TokenIds) -> TokenIds:
    """As `np.unique`, which takes three times as long for few."""
    tokens = np.sort(tokens)
    first = np.ones(len(tokens), dtype=np.bool_)
    np.not_equal(tokens[1:], tokens[:-1], out=first[1:])
    return tokens[first]


class PhraseTable:
    """The tokens that must not come next. Never raises: unknown ids and special tokens leave the state as it is.

    `banned` treats the end of a token as a possible end of word, since nothing is known of what follows.
    """

    def __init__(self, index: VocabularyIndex, phrases: Iterable[str]):
        self._index = index
        self._phrases = PhraseSet(phrases)
        self._rests = _ViewHits(index.rests, self._phrases)
        self._after: dict[bytes, _HitsAfter] = {}
        self._begun: dict[tuple[int, bool], Threads] = {}
        self.START = State((), int(Kind.SEPARATOR), b"")
        self._forget_states()

    def step(self, state: State, token_id: int) -> State:
        """The state after one more token."""
        following = state.steps.get(token_id)
        if following is None:
            following = self._read(state, token_id)
            self._remember(1)
            state.steps[token_id] = following
        return following

    def banned(self, state: State) -> NDArray[np.int64]:
        """Sorted ids of the tokens that would complete a phrase. Do not write to it."""
        if state.banned is None:
            state.banned = self._forbidden(state) if self._phrases else NO_TOKENS
        return state.banned

    def _read(self, state: State, token_id: int) -> State:
        token = self._index.reading(token_id)
        if token is None:
            return self._read_characters(state, token_id)
        # A token that begins a new character breaks off one begun before it, which then reads as a separator.
        last = int(Kind.SEPARATOR) if state.pending else state.last
        threads = state.threads
        if token.letters:
            edge = bool(token.edges[0]) and is_edge(last, token.lead)
            edges = token.edges if edge else b"\0" + token.edges[1:]
            begun = self._begun.get((token_id, edge))
            if begun is None:
                begun = self._begun[token_id, edge] = self._phrases.begun(token.letters, edges)
            going = [way for thread in threads for way in self._phrases.follow(thread, token.letters, edges)]
            threads = (*going, *begun) if going else begun
        return self._state(threads, last if token.trail == Kind.IGNORED else token.trail, token.pending)

    def _read_characters(self, state: State, token_id: int) -> State:
        text, pending = self._index.read(state.pending, token_id)
        threads, last = state.threads, state.last
        for char in text:
            symbol = SYMBOLS[char]
            if symbol.kind == Kind.SEPARATOR:
                last = int(Kind.SEPARATOR)
            elif symbol.kind != Kind.IGNORED:
                threads = self._phrases.advance(threads, last, symbol)
                last = int(symbol.kind)
        return self._state(threads, last, pending)

    def _state(self, threads: Threads, last: int, pending: bytes) -> State:
        key = (threads, last, pending)
        known = self._states.get(key)
        if known is None:
            known = self._states[key] = State(*key)
        return known

    def _forbidden(self, state: State) -> TokenIds:
        after = self._after.get(state.pending)
        if after is None:
            after = self._after[state.pending] = _HitsAfter(self._index, self._phrases, self._rests, state.pending)
        regardless = after.regardless(state.last)
        added = after.added(state.threads, state.last)
        state.begun = any(map(len, added))
        if not state.begun:
            return regardless
        forbidden = _sorted_once(np.concatenate([regardless, *added]))
        self._remember(len(forbidden) // _IDS_PER_STEP)
        return forbidden

    def _remember(self, steps: int) -> None:
        self._cached_steps += steps
        if self._cached_steps > _CACHED_STEPS:
            self._forget_states()

    def _forget_states(self) -> None:
        """Start the caches afresh; states in use stay valid and go with the requests that hold them."""
        self._cached_steps = 0
        self._after.clear()
        self._begun.clear()
        self.START.steps.clear()
        self._states: dict[tuple[Threads, int, bytes], State] = {
            (self.START.threads, self.START.last, self.START.pending): self.START
        }
