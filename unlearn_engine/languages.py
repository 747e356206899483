"""In which languages to train so that the others are forgotten too: a greedy cover by linguistic likeness.

After "Languages You Know Influence Those You Learn" (arXiv 2212.01757): transfer between languages follows the
likeness of their structure more than that of their words, and grows with the logarithm of the data. We take likeness by
family, script and word order for it (not the paper's regression) and solve the facility-location problem. With w the
weight of a target language (its speakers), q in [0, 1] how well the model knows a source language (its data) and s the
likeness, the chosen set S is to maximise::

    F(S) = sum over targets t of  w_t max over sources u in S of  q_u s(u, t)

F is monotone and submodular, so choosing greedily reaches at least 1 - 1/e of the best (Nemhauser et al. 1978).

The feature table was typed in by hand after WALS Online (wals.info: family and genus; chapters 81A order of subject,
object and verb, 85A adpositions, 87A adjective and noun) and speakers, first and second language in millions, rounded
after Ethnologue's 2023 totals. It is good enough to choose by and not meant to be cited.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log1p


@dataclass(frozen=True)
class Language:
    """What we compare languages by; an empty order means that none dominates."""

    family: str
    genus: str
    scripts: frozenset[str]
    clause: str  # order of subject, verb and object
    adposition: str  # "pre" or "post"
    adjective: str  # "AN" or "NA"
    speakers: float  # millions


WEIGHTS = {"family": 0.25, "genus": 0.25, "scripts": 0.2, "clause": 0.1, "adposition": 0.1, "adjective": 0.1}
OTHER = 0.9  # likeness of two different languages with the same features

_TABLE = """
ar Afro-Asiatic  Semitic           Arabic     VSO pre  NA  335
bn Indo-European Indic             Bengali    SOV post AN  273
cs Indo-European Slavic            Latin      SVO pre  AN   12
de Indo-European Germanic          Latin      -   pre  AN  134
el Indo-European Greek             Greek      -   pre  AN   13
en Indo-European Germanic          Latin      SVO pre  AN 1500
es Indo-European Romance           Latin      SVO pre  NA  560
fa Indo-European Iranian           Arabic     SOV pre  NA   79
fi Uralic        Finnic            Latin      SVO post AN    6
fr Indo-European Romance           Latin      SVO pre  NA  310
he Afro-Asiatic  Semitic           Hebrew     SVO pre  NA    9
hi Indo-European Indic             Devanagari SOV post AN  610
hu Uralic        Ugric             Latin      -   post AN   13
id Austronesian  Malayo-Sumbawan   Latin      SVO pre  NA  199
it Indo-European Romance           Latin      SVO pre  NA   67
ja Japanese      Japanese          Han+Kana   SOV post AN  123
ko Korean        Korean            Hangul     SOV post AN   82
mr Indo-European Indic             Devanagari SOV post AN   99
nl Indo-European Germanic          Latin      -   pre  AN   25
pl Indo-European Slavic            Latin      SVO pre  AN   42
pt Indo-European Romance           Latin      SVO pre  NA  264
ro Indo-European Romance           Latin      SVO pre  NA   25
ru Indo-European Slavic            Cyrillic   SVO pre  AN  255
sv Indo-European Germanic          Latin      SVO pre  AN   13
sw Niger-Congo   Bantoid           Latin      SVO pre  NA   87
ta Dravidian     Southern          Tamil      SOV post AN   87
te Dravidian     South-Central     Telugu     SOV post AN   96
th Tai-Kadai     Kam-Tai           Thai       SVO pre  NA   61
tl Austronesian  Central-Philippine Latin     VSO pre  -    83
tr Altaic        Turkic            Latin      SOV post AN   90
uk Indo-European Slavic            Cyrillic   SVO pre  AN   39
ur Indo-European Indic             Arabic     SOV post AN  232
vi Austro-Asiatic Viet-Muong       Latin      SVO pre  NA   86
yo Niger-Congo   Defoid            Latin      SVO pre  NA   47
zh Sino-Tibetan  Chinese           Han        SVO -    AN 1140
"""


def _read(table: str) -> dict[str, Language]:
    languages = {}
    for line in table.strip().splitlines():
        code, family, genus, scripts, *orders, speakers = line.split()
        clause, adposition, adjective = ("" if order == "-" else order for order in orders)
        languages[code] = Language(
            family, genus, frozenset(scripts.split("+")), clause, adposition, adjective, float(speakers)
        )
    return languages


LANGUAGES: Mapping[str, Language] = _read(_TABLE)


def likeness(one: str, other: str) -> float:
    """Symmetric, 1 for a language with itself and at most OTHER for two; raises ValueError for unknown codes."""
    first, second = known(one), known(other)
    if one == other:
        return 1.0
    shared = len(first.scripts & second.scripts) / len(first.scripts | second.scripts)
    agreed = WEIGHTS["scripts"] * shared
    for feature in ("family", "genus", "clause", "adposition", "adjective"):
        value = getattr(first, feature)
        agreed += WEIGHTS[feature] * bool(value and value == getattr(second, feature))
    return OTHER * agreed


def known(code: str) -> Language:
    """The features of a language by its ISO 639-1 code; raises ValueError when it is not in the table."""
    try:
        return LANGUAGES[code]
    except KeyError:
        raise ValueError(f"no features for the language {code!r}; known are {', '.join(LANGUAGES)}") from None


def strengths(data: Mapping[str, float]) -> dict[str, float]:
    """How well a model knows each language by the size of its data (in any unit): logarithmic, 1 for the most."""
    most = max(data.values())
    return {code: log1p(size) / log1p(most) for code, size in data.items()}


def coverage(
    sources: Sequence[str],
    targets: Sequence[str],
    weights: Mapping[str, float],
    strength: Mapping[str, float] | None = None,
) -> float:
    """F(S) as a share of the total weight; 0 without sources."""
    known_well = {source: 1.0 if strength is None else strength.get(source, 0.0) for source in sources}
    reached = sum(
        weights[target] * max((known_well[source] * likeness(source, target) for source in sources), default=0.0)
        for target in targets
    )
    return reached / sum(weights[target] for target in targets)


def choose_sources(
    targets: Sequence[str],
    count: int,
    *,
    weights: Mapping[str, float] | None = None,
    data: Mapping[str, float] | None = None,
) -> tuple[str, ...]:
    """At most `count` of the targets to train in, the one that adds most first.

    `weights` say how much each target matters (None: its speakers), `data` how much of each language the model was
    trained on (None: enough of all; not named: none). Raises ValueError for languages without features.
    """
    weights = weights or {code: known(code).speakers for code in targets}
    strength = strengths(data) if data else None
    chosen: list[str] = []
    while len(chosen) < min(count, len(set(targets))):
        left = [code for code in dict.fromkeys(targets) if code not in chosen]
        chosen.append(max(left, key=lambda code: coverage([*chosen, code], targets, weights, strength)))
    return tuple(chosen)
