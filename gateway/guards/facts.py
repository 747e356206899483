"""What of the targets' phrases and descriptions is salient enough to know them by, and how much each fact tells."""

import math
import re
from collections.abc import Iterable, Iterator, Sequence, Set
from itertools import groupby, pairwise, repeat
from typing import NamedTuple, Protocol

from gateway.guards.normalise import BARRIER, SYMBOLS, Kind
from gateway.guards.words import RARE_BITS, surprisal, words

LONGEST_FACT_WORDS = 6  # of a longer one its beginning and end are known
FACTS_PER_TARGET = 128
SALIENT_BITS = 7.0  # what is more ordinary is no fact: stop words, numerals
DESCRIPTION_BITS = 11.0  # the same for single words out of a description
BRIEF = 5.0  # words that a description may tell at their full weight
LETTER_BITS = 10.0  # a word of a single letter, as in Chinese, is a part of too many others if it is more ordinary
NAME_BITS = 24.0  # weight of a name, a title or a long number

Stems = tuple[str, ...]


class Describable(Protocol):
    """What is known of a target: its names are left out of the facts, they are found by themselves."""

    @property
    def id(self) -> str: ...
    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def phrases(self) -> tuple[str, ...]: ...
    @property
    def attributes(self) -> tuple[str, ...]: ...  # what each phrase is a value of, "" where unknown; empty: unknown
    @property
    def description(self) -> str: ...


class Fact(NamedTuple):
    """`attribute` is "" where it is not known; `spelt` is alike for what is the same fact."""

    stems: Stems
    bits: float
    attribute: str
    spelt: str


def facts_of(targets: Sequence[Describable]) -> Iterator[list[Fact]]:
    """The salient facts of each target, every sequence of words once; none is one of its names or part of one.

    Phrases that several of the targets have are read once.
    """
    distinct = list(dict.fromkeys(told for target in targets for told in _told_of(target)))
    words_of = all_words(phrase for phrase, _ in distinct)
    salient = {told: _salient(*told, stems) for told, stems in zip(distinct, words_of, strict=True)}
    names = iter(all_words(name for target in targets for name in target.names))
    for target in targets:
        parts = {word for _, name in zip(target.names, names, strict=False) for word in name}
        found: dict[Stems, Fact] = {}
        for told in _told_of(target):
            for fact in salient[told]:
                if not parts.issuperset(fact.stems):
                    found.setdefault(fact.stems, fact)
        for fact in _described(target.description, parts) if target.description else ():
            found.setdefault(fact.stems, fact)
        yield list(found.values())[:FACTS_PER_TARGET]


def _told_of(target: Describable) -> Iterator[tuple[str, str]]:
    """Each phrase with its attribute."""
    known = len(target.attributes) == len(target.phrases)
    return zip(target.phrases, target.attributes if known else repeat(""), strict=False)


def all_words(texts: Iterable[str]) -> list[list[str]]:
    """`words` of many short texts at once."""
    found: list[list[str]] = [[]]
    for word in words("".join(text.replace(BARRIER, "") + BARRIER for text in texts)):
        if word == BARRIER:
            found.append([])
        else:
            found[-1].append(word)
    return found[:-1]


def tells_alone(letter: str) -> bool:
    """Whether a single letter is a fact: a word of a script without spaces, and not an ordinary one."""
    return SYMBOLS[letter].kind is Kind.UNSPACED and surprisal(SYMBOLS[letter].letters) >= LETTER_BITS


def _salient(phrase: str, attribute: str, stems: Sequence[str]) -> list[Fact]:
    """A phrase as a fact, a long one by its beginning and its end; nothing if it is too ordinary."""
    if (bits := bits_of(phrase, stems)) < SALIENT_BITS:
        return []
    parts = dict.fromkeys((tuple(stems[:LONGEST_FACT_WORDS]), tuple(stems[-LONGEST_FACT_WORDS:])))
    return [Fact(part, bits, attribute, "".join(stems)) for part in parts]


def _described(description: str, names: Set[str]) -> list[Fact]:
    """What a description tells: its rare words, and pairs of letters in a script without spaces.

    The more it tells, the less each word alone; or else long texts would be found in everything.
    """
    chunks: dict[str, list[Stems]] = {}
    for clause in all_words(re.split(r"\W+", description)):
        for unspaced, group in groupby(clause, lambda word: len(word) == 1 and surprisal(word) >= SALIENT_BITS):
            letters = list(group)
            if unspaced:
                chunks["".join(letters)] = list(pairwise(letters))
            else:
                rare = (word for word in letters if len(word) > 1 and surprisal(word) >= DESCRIPTION_BITS)
                chunks |= {word: [(word,)] for word in rare if word not in names}
    share = min(1.0, math.sqrt(BRIEF / max(1, len(chunks))))
    return [
        Fact(stems, share * min(RARE_BITS, sum(map(surprisal, stems))), "", spelt)
        for spelt, parts in chunks.items()
        for stems in parts
    ]


def bits_of(phrase: str, stems: Sequence[str]) -> float:
    """How much it tells that a phrase is said; a name, a title and a long number tell more than a word can."""
    if len(phrase) == 1 and not tells_alone(phrase):
        return 0.0
    bits = [surprisal(word) for word in stems]
    cased = [word for word in phrase.split() if word[0].isalpha() and word[0].lower() != word[0].upper()]
    rare = sum(one >= RARE_BITS - 1 for one in bits)
    if len(cased) > 1 and rare > 1 and sum(word[0].isupper() for word in cased) > 1:
        return NAME_BITS
    if len(stems) == 1 and len(stems[0]) >= 7 and stems[0].isdigit():
        return NAME_BITS
    return min(RARE_BITS, sum(bits))
