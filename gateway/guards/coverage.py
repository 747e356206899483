"""How much a window of text states of one target: each fact once, by its weight; a relation counts as a fact."""

from collections.abc import Sequence
from typing import NamedTuple

from gateway.guards.words import words

WINDOW_WORDS = 40
_COUNTED_BITS = 4.0  # a fact that is left with less does not count
_CUE, CUE_BITS = -1, 8.0


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


def best_coverage(hits: list[Hit], stems: Sequence[str]) -> float:
    """The highest coverage of a window; 0.0 where no window states two facts."""
    taken: list[Hit] = []
    occupied: set[int] = set()
    for hit in sorted(hits, key=lambda one: (one.start - one.end, one.start)):
        span = range(hit.start, hit.end)
        if hit.weight >= _COUNTED_BITS and occupied.isdisjoint(span):
            occupied.update(span)
            taken.append(hit)
            if cue := _cue(hit, stems):
                taken.append(cue)
    taken.sort()
    most = _stated(taken)
    best, first = 0.0, 0
    for at, hit in enumerate(taken):
        while taken[first].start < hit.end - WINDOW_WORDS:
            first += 1
        best = max(best, _stated(taken[first : at + 1]))
        if best == most:  # saves the rest of a long text that says the same again and again
            break
    return best


def _stated(hits: Sequence[Hit]) -> float:
    """The weight of the distinct facts, 0.0 for a single one."""
    weights: dict[int, float] = {}
    for hit in hits:
        weights[hit.group] = max(weights.get(hit.group, 0.0), hit.weight)
    return sum(sorted(weights.values())) if len(weights) > 1 else 0.0


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
