"""What of a target's phrases and description is salient enough to know it by, and how much each fact tells."""

import math
import re
from collections.abc import Iterable, Sequence, Set
from itertools import groupby, pairwise
from typing import NamedTuple, Protocol

from rapidfuzz import process
from rapidfuzz.distance import Indel

from gateway.guards.normalise import BARRIER
from gateway.guards.words import RARE_BITS, surprisal, words

LONGEST_FACT_WORDS = 6  # of a longer one its beginning and end are known
FACTS_PER_TARGET = 128
SALIENT_BITS = 7.0  # what is more ordinary is no fact: stop words, numerals
DESCRIPTION_BITS = 11.0  # the same for single words out of a description
BRIEF = 5.0  # words that a description may tell at their full weight
NAME_BITS = 24.0  # weight of a name, a title or a long number
SAME_FACT = 0.6  # likeness of two spellings of one fact (Lisbon, Lisboa)


class Describable(Protocol):
    """What is known of a target: its names are left out of the index, they are found by themselves."""

    @property
    def id(self) -> str: ...
    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def phrases(self) -> tuple[str, ...]: ...
    @property
    def description(self) -> str: ...


class Fact(NamedTuple):
    stems: tuple[str, ...]
    bits: float
    spelt: str  # alike for what is the same fact


def facts_of(target: Describable) -> list[Fact]:
    """The salient facts, each sequence of words once; none of them is one of the names or part of one."""
    parts = {word for name in _all_words(target.names) for word in name}
    found: dict[tuple[str, ...], Fact] = {}
    for phrase, stems in zip(target.phrases, _all_words(target.phrases), strict=True):
        bits = _bits(phrase, stems)
        if bits < SALIENT_BITS or all(word in parts for word in stems):
            continue
        spelt = "".join(stems)
        for part in {tuple(stems[:LONGEST_FACT_WORDS]), tuple(stems[-LONGEST_FACT_WORDS:])}:
            found.setdefault(part, Fact(part, bits, spelt))
    for fact in _told(target.description, parts):
        found.setdefault(fact.stems, fact)
    return list(found.values())[:FACTS_PER_TARGET]


def grouped(facts: Sequence[Fact]) -> list[int]:
    """The group of each fact: spellings of one fact in several languages are the same fact, said twice."""
    letters = [fact.spelt for fact in facts]
    if not letters:
        return []
    alike = process.cdist(letters, letters, scorer=Indel.normalized_similarity, score_cutoff=SAME_FACT) > 0
    groups: list[int] = []
    for at, first in enumerate(alike.argmax(axis=1).tolist()):
        groups.append(groups[first] if first < at else at)
    return groups


def _told(description: str, names: Set[str]) -> list[Fact]:
    """What a description tells: its rare words, and pairs of letters in a script without spaces.

    The more it tells, the less each word alone; or else long texts would be found in everything.
    """
    chunks: dict[str, list[tuple[str, ...]]] = {}
    for clause in _all_words(re.split(r"\W+", description)):
        for unspaced, group in groupby(clause, lambda word: len(word) == 1 and surprisal(word) >= SALIENT_BITS):
            letters = list(group)
            if unspaced:
                chunks["".join(letters)] = list(pairwise(letters))
            else:
                rare = (word for word in letters if len(word) > 1 and surprisal(word) >= DESCRIPTION_BITS)
                chunks |= {word: [(word,)] for word in rare if word not in names}
    share = min(1.0, math.sqrt(BRIEF / max(1, len(chunks))))
    return [
        Fact(stems, share * min(RARE_BITS, sum(map(surprisal, stems))), spelt)
        for spelt, parts in chunks.items()
        for stems in parts
    ]


def _all_words(texts: Iterable[str]) -> list[list[str]]:
    """`words` of many short texts at once."""
    found: list[list[str]] = [[]]
    for word in words("".join(text.replace(BARRIER, "") + BARRIER for text in texts)):
        if word == BARRIER:
            found.append([])
        else:
            found[-1].append(word)
    return found[:-1]


def _bits(phrase: str, stems: Sequence[str]) -> float:
    """How much it tells that a phrase is said; a name, a title and a long number tell more than a word can."""
    bits = [surprisal(word) for word in stems]
    cased = [word for word in phrase.split() if word[0].isalpha() and word[0].lower() != word[0].upper()]
    rare = sum(one >= RARE_BITS - 1 for one in bits)
    if len(cased) > 1 and rare > 1 and sum(word[0].isupper() for word in cased) > 1:
        return NAME_BITS
    if len(stems) == 1 and len(stems[0]) >= 7 and stems[0].isdigit():
        return NAME_BITS
    return min(RARE_BITS, sum(bits))
