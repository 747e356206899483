"""Whether a name with one letter wrong is that name misspelt, or another name or other words."""

from functools import cache
from itertools import pairwise
from pathlib import Path

from rapidfuzz.distance import OSA, Prefix

from gateway.guards.names import Spelling
from gateway.guards.words import RARE_BITS, stem, surprisal

SLIP_LETTERS = 5  # words of a name this long may have a letter missing or wrong, whatever the name's other words are
SHORT_LETTERS = 4  # and these where another word of the name, so long, is no ordinary one


def one_wrong(written: str, name: str) -> bool:
    """Whether exactly one letter is wrong, missing, too many, or swapped with its neighbour."""
    return OSA.distance(written, name, score_cutoff=1) == 1


def is_slip(written: str, name: Spelling) -> bool:
    """Whether one wrong letter is a slip.

    Other names differ where a word begins or ends; a short word with a letter missing or wrong may be another word; and
    a first name that becomes another first name is somebody else's (Dana, Dina).
    """
    letters = name.letters
    at = Prefix.similarity(written, letters)
    longer = len(written) - len(letters)
    bounds = (0, *name.word_starts, len(letters))
    word = max(index for index, start in enumerate(bounds[:-1]) if start <= max(at - max(longer, 0), 0))
    first, after = bounds[word], bounds[word + 1]
    changed = written[first : after + longer]
    if word < len(name.word_starts) and is_first_name(changed):
        return False
    if longer > 0:
        doubled = at > 0 and written[at] == written[at - 1]
        return doubled or first < at < after
    if not longer and sorted(written) == sorted(letters):
        return at > first
    halved = at > first and longer < 0 and letters[at] == letters[at - 1]
    if not (halved or first < at < after - 1):
        return False
    return after - first >= SLIP_LETTERS or (
        after - first >= SHORT_LETTERS and _is_rare(changed) and _others_tell(letters, bounds, word)
    )


def _others_tell(letters: str, bounds: tuple[int, ...], changed: int) -> bool:
    """Whether one of the words that are right is long and no ordinary word."""
    return any(
        after - first >= SLIP_LETTERS and _is_rare(letters[first:after])
        for word, (first, after) in enumerate(pairwise(bounds))
        if word != changed
    )


def _is_rare(word: str) -> bool:
    return surprisal(stem(word)) >= RARE_BITS


def is_first_name(word: str) -> bool:
    """Whether folded letters are a common first name."""
    return word in _first_names()


@cache
def _first_names() -> frozenset[str]:
    """Common first names of many languages, folded."""
    return frozenset((Path(__file__).parent / "first_names.txt").read_text("utf-8").split())
