"""The names of an answer as prompts are read for them: in their cases, turned round, in ciphers and other scripts.

`Openings` say where a name may begin; from there the text is held while its words agree with those of a name, and only
where all do is it read as a prompt is.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise, product

from gateway.guards.audit import Audit, Released
from gateway.guards.endings import endings
from gateway.guards.matcher import Match
from gateway.guards.normalise import BARRIER, SYMBOLS, Kind, fold
from gateway.guards.openings import CIPHERS, PAIR, RUN, SOUND, TURNED, Node, Openings, is_uncased, sounds
from gateway.guards.phrase_set import is_edge
from gateway.guards.segment import Segment
from gateway.guards.skeletons import MOST_WORDS
from gateway.guards.slips import one_wrong
from gateway.guards.sounds import BETWEEN

CONTEXT = 128  # characters before a name, which show the language
MOST_RUN = 512  # characters of base64 or hex
_MOST_HELD = 160
_MOST_WORD = 80
_BEHIND = 3  # words behind what may be a case, which show the language
_RECENT = 256  # chunks, each of a character at least: more than what is read before a name
_LEAST_COMMON = 2

Find = Callable[[str], Iterable[Match]]
Beginning = tuple[int, tuple[str, ...]]  # the number of a cipher, the words of a name


class AnswerNames:
    """Whose names answers may not tell. Shared by all answers under one policy.

    Args:
        segments: the names, and maybe others.
        find: every mention of a name in a text.
        members: ids of those who may not be told.
    """

    def __init__(self, segments: Sequence[Segment], find: Find, members: Sequence[frozenset[str]]) -> None:
        self._openings = Openings(segments), Openings(segments, uncased=True)
        self.segments = segments
        self._find = find
        self._members = members

    def openings(self, *, uncased: bool) -> Openings:
        """What the names begin with, in scripts without capitals, too."""
        return self._openings[uncased]

    def named(self, text: str, behind: int) -> int | None:
        """Where the first name begins in a text that ends behind a place."""
        starts = (
            match.start
            for match in self._find(text)
            if match.end > behind and any(match.target in members for members in self._members)
        )
        return min(starts, default=None)


@dataclass(slots=True, repr=False)
class _Candidate:
    """A place where a name may begin, and what of it is still to come."""

    start: int
    sort: int
    beginnings: list[Beginning] = field(default_factory=list)
    left: int = _BEHIND + 1  # words, once it may be a name

    def agrees(self, text: str, segments: Sequence[Segment], openings: Openings) -> tuple[bool, bool]:
        """Whether the words of a text may be a name's first ones, and whether they may be all of them."""
        if self.sort == SOUND:
            return _heard(_written(text), segments)
        words = _worded(text) if self.sort == PAIR else _turned(text)
        if len(words) < 2:
            return True, False
        if not self.beginnings:
            self.beginnings = list(_begun(words, openings, plain=self.sort == TURNED))
        agreeing = [one for one in self.beginnings if _agree(words, one)]
        return any(len(name) > len(words) for _, name in agreeing), any(len(name) <= len(words) for _, name in agreeing)


class NamesAudit:
    """Reads what another audit lets through; the same interface. Never raises.

    Args:
        asked: the end of the question, which shows the language.
        said: what was told of the answer before.
    """

    def __init__(self, audit: Audit, names: AnswerNames, asked: str = "", said: str = "") -> None:
        self._audit = audit
        self._names = names
        self._openings = names.openings(uncased=not any(map(is_uncased, asked[-CONTEXT:])))
        self._node: Node = self._openings.start
        self._recent = deque([asked[-CONTEXT:]], _RECENT)
        self._candidates: list[_Candidate] = []
        self._text = ""  # while something is held: the end of what was read, and all that is held
        self._released = 0  # how much of it
        self._blocked = False
        for char in said:
            self._node, _ = self._openings.read(self._node, char)
        if said:
            self._recent.append(said)

    @property
    def holds(self) -> bool:
        """Whether something is held back."""
        return bool(self._candidates) or bool(getattr(self._audit, "holds", False))

    def feed(self, text: str, final: bool = False) -> Released:
        """Take in the next chunk; give out what is settled."""
        if self._blocked:
            return Released("", True)
        released = self._audit.feed(text, final)
        if not self._candidates:
            text = released.text
            node = self._node.steps.get(text) or self._openings.step(self._node, text)
            if node is not None and not (final and self._openings.step(node, "\n") is None):
                self._node = node
                if text:
                    self._recent.append(text)
                return released
        return self._read(released.text, final or released.blocked, released.blocked)

    def _read(self, text: str, final: bool, blocked: bool) -> Released:
        """Read a chunk character by character."""
        if not self._candidates:
            self._text = "".join(self._recent)
            self._released = len(self._text)
        at = len(self._text)
        self._text += text
        if text:
            self._recent.append(text)
        found = None
        for char in text:
            found = self._see(char, at)
            at += 1
            if found is not None:
                break
        if final and found is None:
            found = self._see("\n", at)
        self._blocked = blocked or found is not None
        until = len(self._text)
        if found is not None:
            until = max(found, self._released)
        elif self._candidates and not final:
            until = max(min(candidate.start for candidate in self._candidates), self._released)
        given, self._released = self._text[self._released : until], until
        return Released(given, self._blocked)

    def _see(self, char: str, at: int) -> int | None:
        """Take in a character at a place; where a name begins that ends there."""
        last, kind = self._node.standing.last, SYMBOLS[char].kind
        following, called = self._openings.step(self._node, char), 0
        if following is None:
            following, called = self._openings.read(self._node, char)
        self._node = following
        for sort in (PAIR, SOUND, RUN, TURNED) if called else ():
            if called & sort:
                self._call(sort, at, inside=kind != Kind.SEPARATOR)
        ended = kind != Kind.IGNORED and is_edge(last, kind) and last != Kind.SEPARATOR
        long = any(at - candidate.start >= MOST_RUN for candidate in self._candidates)
        found = None
        if long or (ended and self._candidates):
            found = self._ended(at, separated=long or kind == Kind.SEPARATOR)
        self._candidates = [one for one in self._candidates if one.sort != SOUND or self._may_sound(one.start, at + 1)]
        return found

    def _may_sound(self, start: int, end: int) -> bool:
        words = _written(self._text[start:end])
        return len(words) != 2 or self._openings.may_sound(*words)

    def _call(self, sort: int, at: int, *, inside: bool) -> None:
        if sort in (RUN, TURNED):
            start = _run_start(self._text, at)
            begun = sort == RUN or self._openings.is_opened(_folded(self._text[start:at][::-1]))
        elif sort == SOUND:
            start = _word_start(self._text, at)
            begun = self._openings.is_spoken(_written(self._text[start:at])[0])
        else:
            start = _word_start(self._text, _word_start(self._text, at) if inside else at)
            begun = True
        if not begun:
            return
        if not any(one.start == start and one.sort == sort for one in self._candidates):
            self._candidates.append(_Candidate(start, sort))

    def _ended(self, at: int, *, separated: bool) -> int | None:
        """At the end of a word at a place: where a name begins that may not be told."""
        going, found = [], None
        for one in self._candidates:
            if one.sort in (RUN, TURNED) and not separated:
                going.append(one)
                continue
            text = self._text[one.start : at]
            begun, whole = (False, True) if one.sort == RUN else one.agrees(text, self._names.segments, self._openings)
            if one.left <= _BEHIND:
                whole = True
            if whole and found is None:
                cut = max(one.start - CONTEXT, 0)
                found = self._names.named(self._text[cut:at], one.start - cut)
                found = None if found is None else found + cut
                one.left -= 1
            undecided = whole and one.sort == PAIR and one.left
            if (begun or undecided) and at - one.start < _MOST_HELD:
                going.append(one)
        self._candidates = going
        return found


def _begun(words: Sequence[str], openings: Openings, *, plain: bool) -> Iterable[Beginning]:
    if len(words) > 1:
        yield from (one for one in openings.begun(words[0], words[1]) if not (plain and one[0]))


def _agree(words: Sequence[str], beginning: Beginning) -> bool:
    cipher, name = beginning
    if cipher:
        return all(word.translate(CIPHERS[cipher]) == own for word, own in zip(words, name, strict=False))
    return all(_is_form(word, own) for word, own in zip(words, name, strict=False))


def _is_form(written: str, word: str) -> bool:
    """Whether a word may be a case of a name's word, or that with a letter wrong."""
    common = next((at for at, (one, own) in enumerate(zip(written, word, strict=False)) if one != own), None)
    common = min(len(written), len(word)) if common is None else common
    bent = common >= min(_LEAST_COMMON, len(word)) and (word[common:], written[common:]) in endings()
    return written == word or bent or one_wrong(written, word)


def _heard(words: tuple[str, ...], segments: Sequence[Segment]) -> tuple[bool, bool]:
    """Whether words of another script may be the first of a name, and whether all of one."""
    begun = whole = False
    for ways in product(*(dict.fromkeys(sounds(word)) for word in words)) if 2 <= len(words) <= MOST_WORDS else ():
        skeleton = BETWEEN.join(ways)
        whole = whole or any(segment.sounding(words, skeleton) for segment in segments)
        begun = begun or any(segment.spoken.begin(f"{skeleton}{BETWEEN}") for segment in segments)
    return begun, whole


def _folded(text: str) -> str:
    return fold(text.replace(BARRIER, "")).text


def _worded(text: str) -> tuple[str, ...]:
    """The folded words of a text."""
    folded = fold(text)
    bounds = [at for at, edge in enumerate(folded.edges) if edge]
    return tuple(folded.text[start:end] for start, end in pairwise(bounds))


def _written(text: str) -> tuple[str, ...]:
    """The words of a text as they are written."""
    spaced = (char if SYMBOLS[char].kind != Kind.SEPARATOR else " " for char in text)
    return tuple("".join(spaced).split())


def _turned(text: str) -> tuple[str, ...]:
    """The folded words of a text, each read backwards."""
    return tuple(_folded(word[::-1]) for word in _written(text))


def _run_start(text: str, at: int) -> int:
    """Where the characters begin that stand together before a place."""
    start = at
    while start and at - start < _MOST_WORD and SYMBOLS[text[start - 1]].kind != Kind.SEPARATOR:
        start -= 1
    return start


def _word_start(text: str, at: int) -> int:
    """Where the last word begins before a place."""
    start, behind = at, Kind.SEPARATOR
    while start and at - start < _MOST_WORD:
        kind = SYMBOLS[text[start - 1]].kind
        if kind != Kind.IGNORED:
            if behind != Kind.SEPARATOR and is_edge(kind, behind):
                break
            behind = kind
        start -= 1
    return start
