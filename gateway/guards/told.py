"""What a guarded answer may not say, out of what the model told when it was asked: never long answers verbatim.

A short answer is forbidden as it is. Of a longer one (a sentence of a biography, a paragraph of a work) its entities,
numbers and dates are forbidden, and the word sequences that tell enough: n-grams weighed by inverse document frequency,
after GUARD (arXiv 2505.13312, section 4), whose every 1- to 5-gram would ban ordinary words with them.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

from gateway.guards.facts import tells_alone
from gateway.guards.forms import dates, forms
from gateway.guards.normalise import fold
from gateway.guards.words import RARE_BITS, stem, surprisal

SHORT_WORDS = 6  # so many are forbidden as they are
MOST_PHRASES = 1_000  # of a target
LONGEST_WORDS = 7  # of an n-gram; ordinary words between the telling ones count
CONTENT_BITS = 10.0  # what is more ordinary counts for nothing
NGRAM_BITS = 27.5  # two words that are in nobody's mouth tell 28
NGRAM_WORDS = 2  # telling ones
_HAN_BITS, _HAN_LETTERS = 36.0, 4  # letters of a script without spaces tell less each
_HAN_CONTENT_BITS = 8.0
_MOST_READ = 50_000  # characters of one answer
_SENTENCE = re.compile(r"[.!?;:\n](?=\s|\Z)|[。！？；]|\s[-–—]\s|[\"“”«»()]")
_CAPITALISED = r"[^\W\d_a-z][\w'’-]*"
_ENTITY = re.compile(
    rf"[\"“«](?P<title>[^\"“”«»\n]{{4,80}})[\"”»]"
    rf"|(?P<span>{_CAPITALISED}(?:\s+(?:(?:of|the|de|del|di|du|des|la|von|van|der|and|y|e)\s+){{0,2}}{_CAPITALISED})*)"
)
_NUMBER = re.compile(r"\d[\d\s.,/()-]*\d")
_LAST_LATIN = "\u024f"
_FEW = 50  # targets: with fewer, sharing says little
_SHARED_BITS = 4.0  # a stem keeps its weight until about one target in ten shares it
_LEAST_NUMBER = 4  # digits; three tell nothing outside of a short answer

Weight = Callable[[str], float]


@dataclass(frozen=True, slots=True)
class _Word:
    stem: str
    start: int
    end: int
    unspaced: bool


def told_phrases(answers: Iterable[str], names: Iterable[str] = (), weight: Weight = surprisal) -> tuple[str, ...]:
    """The phrases to forbid, sorted; `MOST_PHRASES` at most: short answers first, then what tells most.

    No single letters but words of a script without spaces that are not ordinary.

    `weight` gives the bits of a stem (`words.surprisal`, or less where many targets share it); words of the target's
    `names` tell nothing besides. Never raises.
    """

    @cache  # most targets have short answers only, for which nobody asks
    def own() -> set[str]:
        return {word.stem for name in names for word in _words(name)}

    def told(word: str) -> float:
        return 0.0 if word in own() else weight(word)

    whole: dict[str, None] = {}
    parts: dict[str, float] = {}
    for answer in dict.fromkeys(answers):
        if len(answer) == 1 and not tells_alone(answer):
            continue
        if _surely_short(answer) or _length(found := _words(answer[:_MOST_READ])) <= SHORT_WORDS:
            whole.update(dict.fromkeys(forms(answer)))
        else:
            for bits, part in _parts(answer[:_MOST_READ], found, told):
                parts[part] = max(bits, parts.get(part, 0.0))
    telling = sorted(parts, key=lambda part: (-parts[part], part))
    return tuple(sorted([*whole, *(part for part in telling if part not in whole)][:MOST_PHRASES]))


@dataclass(frozen=True)
class Commonness:
    """In how many targets' long answers each stem stands: what all of them say tells nothing of one."""

    counts: Mapping[str, int]
    targets: int = 0

    def weight(self, word: str) -> float:
        """Bits of a stem, less the more of the targets share it; alone or nearly so a target loses nothing."""
        share = (1 + self.counts.get(word, 0)) / (_FEW + self.targets)
        return min(surprisal(word), max(0.0, _SHARED_BITS * -math.log2(share)))

    def with_changes(self, added: Iterable[Iterable[str]], removed: Iterable[Iterable[str]]) -> "Commonness":
        """After answers of some targets came and went, each target's given together."""
        more, fewer = [long_stems(one) for one in added], [long_stems(one) for one in removed]
        more, fewer = [one for one in more if one], [one for one in fewer if one]
        if not more and not fewer:
            return self
        counts = Counter(self.counts)
        for stems in more:
            counts.update(stems)
        for stems in fewer:
            counts.subtract(stems)
            for word in stems:
                if counts[word] <= 0:
                    del counts[word]
        return Commonness(counts, self.targets + len(more) - len(fewer))


UNCOMMON = Commonness({})


def long_stems(answers: Iterable[str]) -> set[str]:
    """The stems of the long ones among the answers about one target."""
    read = (_words(answer[:_MOST_READ]) for answer in answers if not _surely_short(answer))
    return {word.stem for found in read if _length(found) > SHORT_WORDS for word in found}


def _surely_short(answer: str) -> bool:
    """Without reading it; most answers are."""
    if len(answer) <= 2 * SHORT_WORDS:
        return True
    return len(answer) <= 40 and answer.count(" ") < 3 and max(answer) <= _LAST_LATIN


def _parts(answer: str, found: list[_Word], weight: Weight) -> Iterator[tuple[float, str]]:
    """Bits and text of everything in a long answer that is forbidden."""
    for date in dates(answer):
        yield from ((2 * RARE_BITS, form) for form in forms(date))
    for number in _NUMBER.findall(answer):
        if sum(map(str.isdecimal, number)) >= _LEAST_NUMBER:
            yield from ((RARE_BITS, form) for form in forms(number))
    for entity in _ENTITY.finditer(answer):
        yield from _entity(answer, entity, weight)
    breaks = [match.start() for match in _SENTENCE.finditer(answer)]
    at, sentence = 0, list[_Word]()
    for word in found:
        while at < len(breaks) and breaks[at] < word.start:
            at += 1
            yield from _ngrams(answer, sentence, weight)
            sentence = []
        sentence.append(word)
    yield from _ngrams(answer, sentence, weight)


def _entity(answer: str, entity: re.Match[str], weight: Weight) -> Iterator[tuple[float, str]]:
    """A title, a name of several words, or one word that is in no language's ordinary words."""
    text, start = (entity["title"], entity.start("title")) if entity["title"] else (entity["span"], entity.start())
    bits = [weight(word.stem) for word in _words(text)]
    told = [one for one in bits if one >= CONTENT_BITS]
    opens = not answer[:start].strip() or answer[:start].rstrip()[-1] in ".!?:。！？"
    if len(told) > 1 or (len(bits) == 1 and told and bits[0] >= RARE_BITS and not opens):
        yield sum(told), text


def _ngrams(answer: str, words: list[_Word], weight: Weight) -> Iterator[tuple[float, str]]:
    """From every telling word the shortest sequence that tells enough."""
    bits = [weight(word.stem) for word in words]
    for first, word in enumerate(words):
        least, enough, count = _needs(word)
        if bits[first] < least:
            continue
        total, telling = 0.0, 0
        for last in range(first, min(first + LONGEST_WORDS * (2 if word.unspaced else 1), len(words))):
            if words[last].unspaced != word.unspaced:
                break
            if bits[last] >= least:
                total, telling = total + bits[last], telling + 1
                if total >= enough and telling >= count:
                    yield total, answer[word.start : words[last].end]
                    break


def _needs(word: _Word) -> tuple[float, float, int]:
    return (_HAN_CONTENT_BITS, _HAN_BITS, _HAN_LETTERS) if word.unspaced else (CONTENT_BITS, NGRAM_BITS, NGRAM_WORDS)


def _words(text: str) -> list[_Word]:
    """The words of a text with their places; a letter of a script without spaces is one of its own."""
    folded = fold(text)
    bounds = [at for at, edge in enumerate(folded.edges) if edge]
    found = []
    for start, end in pairwise(bounds):
        letters = folded.text[start:end]
        unspaced = len(letters) == 1 and not letters.isascii() and letters.isalpha()
        found.append(_Word(stem(letters), int(folded.starts[start]), int(folded.ends[end - 1]), unspaced))
    return found


def _length(words: Iterable[_Word]) -> float:
    """In words; two letters without spaces between are about one."""
    return sum(0.5 if word.unspaced else 1.0 for word in words)
