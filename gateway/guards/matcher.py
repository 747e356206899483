"""Where a text mentions a name, in any spelling, one letter wrong, or encoded; however many names there are."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from gateway.guards.encodings import View, decoded_views
from gateway.guards.lookalike import fold_lookalike
from gateway.guards.masks import fold_masked
from gateway.guards.normalise import Folded, fold
from gateway.guards.segment import Hits, Names, Reading, Segment, Span

_SMALL_SHARE = 16  # what was added lately is compiled anew at each addition until it is this part of everything
_SMALL_TARGETS = (1024, 8192)  # but at least, and at most, so many targets


@dataclass(frozen=True, slots=True, order=True)
class Match:
    """`target` is named in text[start:end]; `decoded` where that span is an encoding of the name (or of more)."""

    start: int
    end: int
    target: str
    decoded: bool = False


class NameMatcher:
    """Finds the targets' names. `exclusions` are other people's names, by target: an exact one is never a misspelling.

    With `previous`, what has not changed is not compiled again: it is only compared. `with_changes` does not even
    compare.
    """

    def __init__(
        self,
        targets: Mapping[str, Sequence[str]],
        exclusions: Mapping[str, Sequence[str]] | None = None,
        previous: "NameMatcher | None" = None,
    ):
        excluded = exclusions or {}
        kept: set[str] = set()
        self._segments: list[tuple[Segment, frozenset[str]]] = []  # with the targets that are no longer wanted
        for segment, dead in previous._segments if previous else ():
            same = {
                target
                for target, names in segment.names.items()
                if target in targets
                and _equal(names.wanted, targets[target])
                and _equal(names.excluded, excluded.get(target, ()))
            }
            same -= dead
            kept |= same
            self._segments.append((segment, frozenset(segment.names.keys() - same)))
        self._add({target: _names(targets[target], excluded.get(target)) for target in targets if target not in kept})

    def with_changes(
        self,
        added: Mapping[str, Sequence[str]],
        exclusions: Mapping[str, Sequence[str]] | None = None,
        removed: Iterable[str] = (),
    ) -> "NameMatcher":
        """A matcher with some targets more, changed or fewer; what that costs hardly depends on how many there are.

        `exclusions` are those of the added targets.
        """
        gone = {*removed, *added}
        matcher = NameMatcher({})
        matcher._segments = [(segment, dead | (segment.names.keys() & gone)) for segment, dead in self._segments]
        matcher._add({target: _names(names, (exclusions or {}).get(target)) for target, names in added.items()})
        return matcher

    @property
    def segments(self) -> list[Segment]:
        """The names as they are compiled, and maybe some that are no longer wanted."""
        return [segment for segment, _ in self._segments]

    @property
    def crowded(self) -> bool:
        """Whether so much has changed that `compacted` is worth its while."""
        small = sum(len(segment.names) for segment, _ in self._segments[1:])
        return small >= _SMALL_TARGETS[0] or any(2 * len(dead) > len(segment.names) for segment, dead in self._segments)

    def compacted(self) -> "NameMatcher":
        """The same matcher in one piece, which is quickest to search.

        Additions do this when very many have come together, which takes a moment: a caller who finds the matcher
        `crowded` may do it before, in a thread, and go on from the result.
        """
        matcher = NameMatcher({})
        if self._segments:
            matcher._segments = [(Segment.merged(self._segments), frozenset())]
        return matcher

    def _add(self, names: dict[str, Names]) -> None:
        """Compile new names, together with what else was added lately, and drop what is mostly unwanted."""
        segments = [(segment, dead) for segment, dead in self._segments if len(dead) < len(segment.names)]
        if names:
            segments.append((Segment.compiled(names), frozenset()))
        segments.sort(key=lambda kept: -len(kept[0].names))
        least, most = _SMALL_TARGETS
        total = sum(len(segment.names) for segment, _ in segments)
        small = segments[1:]
        if sum(len(segment.names) for segment, _ in small) >= min(max(total // _SMALL_SHARE, least), most):
            small = segments
        elif segments and 2 * len(segments[0][1]) > len(segments[0][0].names):
            segments[0] = (Segment.merged(segments[:1]), frozenset())
        if len(small) > 1:
            segments = [*(segments[:1] if small is not segments else ()), (Segment.merged(small), frozenset())]
        self._segments = segments

    def find(self, text: str) -> list[Match]:
        """All mentions, sorted; per target none lies inside another. Linear in the text; never raises."""
        if not self._segments:
            return []
        matches = self._find_in(text, None)
        for view in decoded_views(text):
            matches += self._find_in(view.text, view)
        kept: list[Match] = []
        reach: dict[str, int] = {}
        for match in sorted(matches, key=lambda m: (m.start, -m.end, m.decoded, m.target)):
            if match.end > reach.get(match.target, -1):
                reach[match.target] = match.end
                kept.append(match)
        return kept

    def suspicious(self, text: str) -> list[int]:
        """Where something in a text is like a name or near an escape: elsewhere `find` finds nothing, in any part."""
        if not self._segments:
            return []
        places = [
            int(folded.starts[start])
            for folded, hits in self._hits(text)
            for start, _, _ in (*hits.exact, *hits.excluded, *hits.fuzzy)
        ]
        for view in decoded_views(text):
            places += view.starts.tolist()
        return places

    def _find_in(self, text: str, view: View | None) -> list[Match]:
        return [_to_source(hit, folded, view) for folded, hits in self._hits(text) for hit in _decide(hits)]

    def _hits(self, text: str) -> Iterator[tuple[Folded, Hits]]:
        """What is found in each way of folding a text where anything is."""
        segments = self.segments
        readings = (
            (fold(text), Reading.plain, Segment.search),
            (fold_lookalike(text), Reading.lookalike, Segment.search_lookalike),
            (fold_masked(text), Reading.masked, Segment.search_masked),
        )
        for folded, prepare, search in readings:
            if folded is None:
                continue
            hits = Hits()
            reading = prepare(text, folded, segments)
            for segment, dead in self._segments:
                own = Hits()
                search(segment, reading, own)
                for group, part in ((hits.exact, own.exact), (hits.excluded, own.excluded), (hits.fuzzy, own.fuzzy)):
                    group += [hit for hit in part if hit[2] not in dead]
            if hits.exact or hits.excluded or hits.fuzzy:
                yield folded, hits


def _names(wanted: Sequence[str], excluded: Sequence[str] | None) -> Names:
    return Names(tuple(wanted), tuple(excluded or ()))


def _equal(known: tuple[str, ...], given: Sequence[str]) -> bool:
    return known is given or known == tuple(given)


def _decide(hits: Hits) -> Iterator[Span]:
    """Exact beats fuzzy, whoever is named; a longer exclusion beats the name inside it."""
    excluded: dict[str, list[tuple[int, int]]] = {}
    for start, end, target in hits.excluded:
        excluded.setdefault(target, []).append((start, end))
    covers = {target: _Cover(spans) for target, spans in excluded.items()}
    nobody = _Cover([])
    for start, end, target in hits.exact:
        if not covers.get(target, nobody).exceeds(start, end):
            yield start, end, target
    if hits.fuzzy:
        named = _Cover([(start, end) for start, end, _ in hits.exact])
        for start, end, target in hits.fuzzy:
            if not named.overlaps(start, end) and not covers.get(target, nobody).overlaps(start, end):
                yield start, end, target


class _Cover:
    """Spans asked for overlap, in logarithmic time."""

    def __init__(self, spans: list[tuple[int, int]]):
        self._spans = sorted(spans)
        self._starts = [start for start, _ in self._spans]
        self._reach = list(accumulate((end for _, end in self._spans), max))

    def overlaps(self, start: int, end: int) -> bool:
        before = bisect_left(self._starts, end)
        return before > 0 and self._reach[before - 1] > start

    def exceeds(self, start: int, end: int) -> bool:
        """Whether a longer span contains this one."""
        before = bisect_right(self._starts, start)
        if before and self._reach[before - 1] > end:
            return True
        earlier = bisect_left(self._starts, start)
        return earlier > 0 and self._reach[earlier - 1] >= end


def _to_source(hit: Span, folded: Folded, view: View | None) -> Match:
    start, end = int(folded.starts[hit[0]]), int(folded.ends[hit[1] - 1])
    if view is None:
        return Match(start, end, hit[2])
    return Match(int(view.starts[start]), int(view.ends[end - 1]), hit[2], decoded=True)
