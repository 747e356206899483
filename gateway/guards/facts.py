"""What of the targets' phrases and descriptions is salient enough to know them by, and how much each fact tells."""

import math
import re
from collections.abc import Collection, Iterable, Iterator, Sequence, Set
from itertools import groupby, pairwise, repeat
from typing import NamedTuple, Protocol

from gateway.guards.encoder import common_english
from gateway.guards.forms import dates, forms
from gateway.guards.normalise import BARRIER, SYMBOLS, Kind
from gateway.guards.words import RARE_BITS, surprisal, words, words_as_written

LONGEST_FACT_WORDS = 6  # a longer one is read as a text
FACTS_PER_TARGET = 128
MOST_PROSE = 60  # of them
GENERIC_BITS = 9.0  # less, out of a long text, for what is common in texts of any kind
SALIENT_BITS = 7.0  # what is more ordinary is no fact: stop words, numerals
DESCRIPTION_BITS = 11.0  # the same for single words out of a description
BRIEF = 5  # words that a description may tell at their full weight
LONG = 20  # so many, and it is a text of which common words tell GENERIC_BITS less
LETTER_BITS = 10.0  # a word of a single letter, as in Chinese, is a part of too many others if it is more ordinary
NAME_BITS = 24.0  # weight of a name, a title or a long number

Stems = tuple[str, ...]

_CLAUSE = re.compile(r"[^\w\s]+")


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
    """`attribute` is "" where it is not known; `spelt` is alike for what is the same fact.

    `prose`: a word out of a text about the target, which texts about others share.
    """

    stems: Stems
    bits: float
    attribute: str
    spelt: str
    prose: bool = False


def facts_of(targets: Sequence[Describable]) -> Iterator[list[Fact]]:
    """The salient facts of each target, every sequence of words once; none is one of its names or part of one.

    Phrases that several of the targets have are read once.
    """
    distinct = list(dict.fromkeys(told for target in targets for told in _told_of(target)))
    words_of = all_words(phrase for phrase, _ in distinct)
    salient = {told: _salient(*told, stems) for told, stems in zip(distinct, words_of, strict=True)}
    texts = {told for told, stems in zip(distinct, words_of, strict=True) if _is_prose(*told, stems)}
    names = iter(all_words(name for target in targets for name in target.names))
    for target in targets:
        parts = {word for _, name in zip(target.names, names, strict=False) for word in name}
        found: dict[Stems, Fact] = {}
        prose = [target.description] if target.description else []
        for told in _told_of(target):
            if told in texts:
                prose.append(told[0])
            for fact in salient[told]:
                if not parts.issuperset(fact.stems):
                    found.setdefault(fact.stems, fact)
        for fact in (*_dated(prose), *_described(prose, parts)) if prose else ():
            found.setdefault(fact.stems, fact)
        yield _best(found.values())


def _best(facts: Collection[Fact]) -> list[Fact]:
    """`FACTS_PER_TARGET` at most: words out of texts, which are few, then what tells most."""
    if len(facts) <= FACTS_PER_TARGET:
        return [*facts]
    return sorted(facts, key=lambda fact: (not fact.prose, -fact.bits))[:FACTS_PER_TARGET]


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


def _is_prose(phrase: str, attribute: str, stems: Sequence[str]) -> bool:
    """Whether a phrase is nothing that is said again word by word: long, or out of a sentence about the target."""
    spaced = sum(len(word) > 1 for word in stems)
    return spaced > LONGEST_FACT_WORDS or (not attribute and spaced > 2 and phrase.islower())


def _salient(phrase: str, attribute: str, stems: Sequence[str]) -> list[Fact]:
    """A phrase as a fact, a long one by its beginning and its end; nothing if it is too ordinary, or prose."""
    if _is_prose(phrase, attribute, stems) or (bits := bits_of(phrase, stems)) < SALIENT_BITS:
        return []
    parts = dict.fromkeys((tuple(stems[:LONGEST_FACT_WORDS]), tuple(stems[-LONGEST_FACT_WORDS:])))
    return [Fact(part, bits, attribute, "".join(stems)) for part in parts]


def _dated(texts: Iterable[str]) -> Iterator[Fact]:
    """The dates of texts, in every form."""
    for text in texts:
        for date in dates(text):
            yield from (Fact(tuple(stems), RARE_BITS, "", date) for stems in all_words(forms(date)))


def _described(texts: Iterable[str], names: Set[str]) -> list[Fact]:
    """What texts about a target tell: rare words, and pairs of letters in a script without spaces.

    The more they tell, the less each word alone, since a long text has more chances to agree with another by accident.
    Common English words are then said in texts about anybody, unless they are part of a name or a title: the longer the
    text, the less they tell, while of a few words even those were chosen to describe somebody.
    """
    chunks: dict[str, list[tuple[Stems, bool]]] = {}
    for clause in (clause for text in texts for clause in _CLAUSE.split(text)):
        stems, written = words_as_written(clause)
        for at, (word, spelt) in enumerate(zip(stems, written, strict=True)):
            if len(word) > 1 and surprisal(word) >= DESCRIPTION_BITS and word not in names:
                generic = (at == 0 or spelt.islower()) and word in common_english()
                chunks.setdefault(word, [((word,), generic)])
        for unspaced, group in groupby(stems, lambda word: len(word) == 1 and surprisal(word) >= SALIENT_BITS):
            if unspaced:
                letters = [*group]
                chunks["".join(letters)] = [(pair, False) for pair in pairwise(letters)]
    chances = math.log2(max(1.0, len(chunks) / BRIEF))
    common = GENERIC_BITS * min(1.0, chances / math.log2(LONG / BRIEF))
    told = [
        Fact(stems, _bits(stems) - chances - common * generic, "", spelt, True)
        for spelt, parts in chunks.items()
        for stems, generic in parts
    ]
    return sorted((fact for fact in told if fact.bits > 0), key=lambda fact: -fact.bits)[:MOST_PROSE]


def _bits(stems: Stems) -> float:
    return min(RARE_BITS, sum(map(surprisal, stems)))


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
