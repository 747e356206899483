"""Where a text mentions a name, in any spelling, one letter wrong, or encoded; however many names there are."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from gateway.guards.encodings import View, decoded_views
from gateway.guards.lookalike import fold_lookalike
from gateway.guards.normalise import Folded, fold
from gateway.guards.segment import Hits, Names, Segment, Span

_TIERS = (64, 1024)  # names added later sit in small automata, which are cheap to build anew


@dataclass(frozen=True, slots=True, order=True)
class Match:
    """`target` is named in text[start:end]; `decoded` where that span is an encoding of the name (or of more)."""

    start: int
    end: int
    target: str
    decoded: bool = False


class NameMatcher:
    """Finds the targets' names. `exclusions` are other people's names, by target: an exact one is never a misspelling.

    With `previous`, what has not changed is not compiled again.
    """

    def __init__(
        self,
        targets: Mapping[str, Sequence[str]],
        exclusions: Mapping[str, Sequence[str]] | None = None,
        previous: "NameMatcher | None" = None,
    ):
        excluded = exclusions or {}
        left = {target: Names(tuple(names), tuple(excluded.get(target, ()))) for target, names in targets.items()}
        self._segments: list[tuple[Segment, frozenset[str]]] = []  # with the targets that are no longer wanted
        for segment, _ in previous._segments if previous else ():
            kept = {target for target, names in segment.names.items() if left.get(target) == names}
            if 2 * len(kept) > len(segment.names):
                self._segments.append((segment, frozenset(segment.names.keys() - kept)))
                left = {target: names for target, names in left.items() if target not in kept}
        if left:
            self._add(left)

    def _add(self, names: dict[str, Names]) -> None:
        """Compile new names, together with the segments of the size class they fall into."""
        for limit in _TIERS:
            small = [(segment, dead) for segment, dead in self._segments if len(segment.names) < limit]
            live = {t: n for segment, dead in small for t, n in segment.names.items() if t not in dead}
            if len(names) + len(live) < limit:
                break
        else:
            small, live = (
                self._segments,
                {t: n for segment, dead in self._segments for t, n in segment.names.items() if t not in dead},
            )
        self._segments = [kept for kept in self._segments if kept not in small]
        self._segments.append((Segment(live | names), frozenset()))

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

    def _find_in(self, text: str, view: View | None) -> list[Match]:
        found: list[Match] = []
        for folded in (fold(text), fold_lookalike(text)):
            if folded is None:
                continue
            hits = Hits()
            for segment, dead in self._segments:
                own = Hits()
                if folded.genuine is None:
                    segment.search(text, folded, own)
                else:
                    segment.search_lookalike(text, folded, own)
                for group, part in ((hits.exact, own.exact), (hits.excluded, own.excluded), (hits.fuzzy, own.fuzzy)):
                    group += [hit for hit in part if hit[2] not in dead]
            found += [_to_source(hit, folded, view) for hit in _decide(hits)]
        return found


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
