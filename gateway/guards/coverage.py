"""How much a window of text states of one target: each fact once, by its weight; a relation counts as a fact."""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from gateway.guards.words import words

WINDOW_WORDS = 40
_COUNTED_BITS = 4.0  # a fact that is left with less does not count
_CUE, CUE_BITS = -1, 8.0
AROUND_WORDS = 20  # so near to the window other values speak against it
_UNDOUBTED = 2  # "the baker from Venice who lives in Milan with a painter"
_DOUBT_BITS, _MOST_DOUBT = 8.0, 12.0  # for each more; outweighs two ordinary facts, not three nor a name
_MOST_DOUBTED = 64  # windows


def _stems(spelt: str) -> frozenset[str]:
    return frozenset(word for one in spelt.split() for word in words(one))


# One whom a name says by a relation: "the pupil of ...", "...'s pupil".
_RELATIONS = _stems("""
    pupil student apprentice disciple protege taught trained author writer written daughter son wife
    husband brother sister widow
    alumno alumna estudiante discípulo aprendiz autor autora escritor hija hijo esposa marido hermano hermana
    Schüler Lehrling Student Autor Verfasser Tochter Sohn Ehefrau Ehemann Bruder Schwester
    élève étudiant apprenti disciple auteur fille fils épouse mari frère soeur
    allievo studente apprendista autore scrittore figlia figlio moglie marito fratello sorella aluno discípulo
""")
_HAN_RELATIONS = (
    "学生", "徒弟", "弟子", "作者", "女儿", "儿子", "妻子", "丈夫", "哥哥", "弟弟", "姐姐", "妹妹",
)  # fmt: skip
_OF = _stems("of de del do da di von vom du des by")
_AFTER_OWNER = frozenset({"s", "的"})
_NUMBER_CUES = _stems(
    "phone number call teléfono número llamar Telefonnummer Nummer téléphone numéro telefono numero 电 话 号 码"
)


class Hit(NamedTuple):
    """A fact stated by the words [start, end)."""

    start: int
    end: int
    group: int
    weight: float
    strong: bool  # a name, a title, a long number
    share: float = 1.0  # of the fact's weight; less where it is stated in other words


class Values(NamedTuple):
    """What a text states of attributes, whoever has them: first words, sorted, and the attributes' numbers."""

    starts: list[int]
    attributes: list[int]


class Coverage(NamedTuple):
    """What a window states of a target, in bits, and how much of it by each group of facts."""

    score: float
    weights: Mapping[int, float]


def best_coverage(hits: list[Hit], stems: Sequence[str], values: Values, attributes: int) -> Coverage:
    """The highest coverage of a window, less what speaks against it; 0.0 where no window states two facts.

    `attributes` has a bit for each of which a value of the target is known.
    """
    taken = _taken(hits, stems)
    most = _sum(_stated(taken))
    best, first, looked_at = Coverage(0.0, {}), 0, 0
    for at, hit in enumerate(taken):
        while taken[first].start < hit.end - WINDOW_WORDS:
            first += 1
        window = taken[first : at + 1]
        if (score := _sum(weights := _stated(window))) > best.score:
            if looked_at < _MOST_DOUBTED:  # in a text that is made to take long, nothing speaks against anybody
                score -= _doubt(window, values, attributes)
            looked_at += 1
            best = max(best, Coverage(score, weights), key=lambda one: one.score)
        if best.score == most:  # saves the rest of a long text that says the same again and again
            break
    return best


def _taken(hits: list[Hit], stems: Sequence[str]) -> list[Hit]:
    """Hits that do not overlap, the nearest and longest of them, and their cues, in order."""
    taken: list[Hit] = []
    occupied: set[int] = set()
    for hit in sorted(hits, key=_precedence):
        span = range(hit.start, hit.end)
        if hit.weight >= _COUNTED_BITS and occupied.isdisjoint(span):
            occupied.update(span)
            taken.append(hit)
            if cue := _cue(hit, stems):
                taken.append(cue)
    return sorted(taken)


def _precedence(hit: Hit) -> tuple[float, int, int]:
    return -hit.share, hit.start - hit.end, hit.start


def _doubt(window: Sequence[Hit], values: Values, attributes: int) -> float:
    """Bits against a target: of how many attributes a text has others' values around a window, and not the target's.

    Few other values are no doubt: whoever is described may be so beside others.
    """
    start, end = window[0].start - AROUND_WORDS, window[-1].end + AROUND_WORDS
    said = set(values.attributes[bisect_left(values.starts, start) : bisect_right(values.starts, end)])
    said -= {hit.group for hit in window}
    other = sum(attributes >> attribute & 1 for attribute in said)
    return min(_MOST_DOUBT, _DOUBT_BITS * max(0, other - _UNDOUBTED))


def _stated(hits: Sequence[Hit]) -> dict[int, float]:
    """The weights of the distinct facts by group; none for a single one, and where none is stated in its own words."""
    weights: dict[int, float] = {}
    for hit in hits:
        weights[hit.group] = max(weights.get(hit.group, 0.0), hit.weight)
    return weights if len(weights) > 1 and any(hit.share == 1.0 for hit in hits) else {}


def _sum(weights: Mapping[int, float]) -> float:
    return sum(sorted(weights.values()))


def _cue(hit: Hit, stems: Sequence[str]) -> Hit | None:
    """A second fact: that somebody is said by a strong one ("the pupil of ..."), or that a number is somebody's."""
    if not hit.strong:
        return None
    before, after = stems[max(0, hit.start - 3) : hit.start], stems[hit.end : hit.end + 4]
    if stems[hit.start].isdigit():
        told = any(word in _NUMBER_CUES for word in (*before, *after))
    else:
        owned = after[1:] if after and after[0] in _AFTER_OWNER else after[:1]
        of = next((at for at in range(len(before) - 1, -1, -1) if before[at] in _OF), 0)
        told = any(word in _RELATIONS for word in (*before[:of], *owned)) or "".join(owned[:2]) in _HAN_RELATIONS
    return Hit(hit.start, hit.start, _CUE, CUE_BITS, False) if told else None
