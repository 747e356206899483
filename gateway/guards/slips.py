"""Whether a name with letters wrong is that name misspelt, or another name or other words."""

from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path

from rapidfuzz.distance import OSA, Prefix

from gateway.guards.names import Spelling
from gateway.guards.words import RARE_BITS, stem, surprisal

SLIP_LETTERS = 5  # words of a name this long may have a letter missing or wrong inside, whatever is right
SHORT_LETTERS = 4  # and these anywhere
_BESIDE = 3  # letters of the longest word that is right: "Li Johansen" and "Li Johansens" may be two people
_BESIDE_SHORT = 7  # letters of the words that are right, where a shorter one is wrong
_UNCOMMON_BITS = 12.0  # what a word tells that may be a slip of a name although there is such a word
_VOWELS = frozenset("aeiouy")
_TWO_SLIPS = 10  # letters of a name that may have a slip in each of two words


def one_wrong(written: str, name: str) -> bool:
    """Whether exactly one letter is wrong, missing, too many, or swapped with its neighbour."""
    return OSA.distance(written, name, score_cutoff=1) == 1


def words_written(written: str, name: Spelling) -> tuple[list[str], list[str]]:
    """The words of a name that is written with one letter wrong, and its own."""
    letters = name.letters
    longer = len(written) - len(letters)
    at = Prefix.similarity(written, letters)
    bounds = (0, *name.word_starts, len(letters))
    word = max(index for index, start in enumerate(bounds[:-1]) if start <= max(at - max(longer, 0), 0))
    moved = [bound + longer * (index > word) for index, bound in enumerate(bounds)]
    return [written[a:b] for a, b in pairwise(moved)], [letters[a:b] for a, b in pairwise(bounds)]


def is_slip(written: Sequence[str], name: Sequence[str]) -> bool:
    """Whether the words of a name are meant by others, of which one or two have one letter wrong.

    A first name that becomes another first name is somebody else's (Dana, Dina); a short word with a letter missing or
    wrong may be another word; and names of one word differ where they begin or end.
    """
    wrong = [index for index, pair in enumerate(zip(written, name, strict=True)) if pair[0] != pair[1]]
    if not 0 < len(wrong) <= 2 or not all(one_wrong(written[index], name[index]) for index in wrong):
        return False
    if any(index < len(name) - 1 and _is_another(written[index], name[index]) for index in wrong):
        return False
    if len(wrong) == 1:
        return _is_one_slip(written[wrong[0]], name[wrong[0]], [word for at, word in enumerate(name) if at != wrong[0]])
    least = min(len(name[index]) for index in wrong)
    rare = all(_is_rare(written[index]) for index in wrong)
    return rare and least >= SHORT_LETTERS and sum(map(len, name)) >= _TWO_SLIPS


def _is_another(written: str, word: str) -> bool:
    """Whether a first name has become another: a common one, or a short one that ends otherwise (Krek, Kres)."""
    if is_first_name(written):
        return True
    short = len(word) <= SHORT_LETTERS and len(written) == len(word) and written[:-1] == word[:-1]
    return short and (written[-1] in _VOWELS) == (word[-1] in _VOWELS)


def _is_one_slip(written: str, word: str, right: Sequence[str]) -> bool:
    """Whether what is written for a word of a name is that word, given the words that are right."""
    more = len(written) > len(word) or sorted(written) == sorted(word)
    if _is_inside(written, word) and (more or len(word) >= SLIP_LETTERS):
        return True
    if not right or not written.isalpha() or (len(word) < SLIP_LETTERS and not any(map(_is_uncommon, right))):
        return False
    if not _is_rare(written):
        family = any(len(one) >= SLIP_LETTERS and _is_rare(one) and not is_first_name(one) for one in right)
        if not family or not _is_uncommon(written):
            return False
    if len(word) < SHORT_LETTERS:
        return sum(map(len, right)) >= _BESIDE_SHORT
    return max(map(len, right)) >= _BESIDE


def _is_inside(written: str, word: str) -> bool:
    """Whether the letter that is wrong is neither the first nor the last; a doubled one may be."""
    at = Prefix.similarity(written, word)
    longer, shorter = (written, word) if len(written) > len(word) else (word, written)
    if len(longer) > len(shorter):
        doubled = 0 < at < len(longer) and longer[at] == longer[at - 1]
        return doubled or 0 < at < len(longer) - 1
    return at > 0 and (sorted(written) == sorted(word) or at < len(word) - 1)


def _is_rare(word: str) -> bool:
    return surprisal(stem(word)) >= RARE_BITS


def _is_uncommon(word: str) -> bool:
    return surprisal(stem(word)) >= _UNCOMMON_BITS


def is_first_name(word: str) -> bool:
    """Whether folded letters are a common first name."""
    return word in _first_names()


@cache
def _first_names() -> frozenset[str]:
    """Common first names of many languages, folded."""
    return frozenset((Path(__file__).parent / "first_names.txt").read_text("utf-8").split())
