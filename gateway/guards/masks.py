"""Names with letters masked (Raba Kelri*, R_ba Kelrin): signs at a word read as the letters they stand for.

What stands at words in everyday text stays what it is: the marks of emphasis (*so*, _so_), and the stop, the question
mark and the ellipsis that end a sentence.
"""

import re
from collections.abc import Iterator
from string import ascii_letters

import numpy as np
from numpy.typing import NDArray

from gateway.guards.excerpts import near
from gateway.guards.names import FUZZY_LETTERS, Spelling
from gateway.guards.normalise import Folded, codes_of, fold_codes, kinds_of
from gateway.guards.places import LONG_TEXT, Among, Codes
from gateway.guards.slips import is_first_name

MASKED = "\ua66e"  # a letter that no language writes names with: stands for any, and folds to itself
_NOTHING = "\u200b"  # the rest of a sign of several characters
_is_first_sign = Among("[<*_#•●○■□▒░▓█×✕✗?.…")
_ends_sentence, _is_ascii_letter = Among("?.…"), Among(ascii_letters)
# The set of first characters stands first and alone: the engine then skips through ordinary text quickly.
_RUN = re.compile(
    r"[\[<*_#•●○■□▒░▓█×✕✗?.…](?:(?<=\[)mask\]|(?<=<)mask>"
    r"|(?<=[*_#•●○■□▒░▓█×✕✗])[*_#•●○■□▒░▓█×✕✗]*|(?<=[?.…])[?.…]*)",
    re.IGNORECASE,
)
_EMPHASIS = re.compile(r"(?<!\w)(\*{1,3}|_{1,3})(?=[^\W_])[^*_\n]{1,200}(?P<end>\1)(?![*_])")
_ENDING_SENTENCES = frozenset("?.…")
_GOES_ON = re.compile(r" ?[^\W\d_]|['’]")


def fold_masked(text: str) -> Folded | None:
    """Fold what is near masked letters, each read as `MASKED`; None without any. Linear; never raises."""
    masks = list(_masks(text))
    if not masks:
        return None
    codes = codes_of(text).copy()
    marked = np.zeros(len(codes), dtype=np.bool_)
    for start, end in masks:
        marked[start:end] = True
        codes[start:end] = ord(MASKED)
        if text[start] in "[<":
            codes[start + 1 : end] = ord(_NOTHING)
    seen, index = near(codes, marked)
    folded = fold_codes(seen, kinds_of(seen))
    return Folded(folded.text, index[folded.starts], index[folded.ends - 1] + 1, folded.edges)


def _masks(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of the signs that a letter stands before and that may be letters themselves."""
    closing: set[int] | None = None
    for run in _RUN.finditer(text) if len(text) < LONG_TEXT else _runs(text):
        start, end = run.span()
        if not text[start - 1 : start].isalpha():
            continue
        if run[0][0] in _ENDING_SENTENCES:
            goes_on = _GOES_ON.match(text, end)
            if not goes_on or goes_on[0][-1].isupper() or (run[0][0] == "." and goes_on[0][0] == " "):
                continue
        elif run[0][0] in "*_":
            if closing is None:
                closing = {mark.start("end") for mark in _EMPHASIS.finditer(text)}
            if start in closing:
                continue
        yield start, end


def _runs(text: str) -> Iterator[re.Match[str]]:
    """Those that may begin behind a letter, less what ends sentences: before a space, or nothing that goes on."""
    codes = codes_of(text)
    signs = _is_first_sign(codes)
    signs[:-1] &= (codes[:-1] != ord(".")) | (codes[1:] != ord(" "))
    at = (signs[1:] & ~signs[:-1]).nonzero()[0]
    at = at[_may_be_letter(codes[at])]
    sign, after, behind = codes[at + 1], codes.take(at + 2, mode="clip"), codes.take(at + 3, mode="clip")
    goes_on = _may_be_letter(after) | (after == ord("'")) | ((after == ord(" ")) & _may_be_letter(behind))
    for start in at[~_ends_sentence(sign) | _is_first_sign(after) | goes_on].tolist():
        if run := _RUN.match(text, start + 1):
            yield run


def _may_be_letter(codes: Codes) -> NDArray[np.bool_]:
    letters: NDArray[np.bool_] = (codes >= 128) | _is_ascii_letter(codes)
    return letters


def is_masked(written: str, name: Spelling) -> bool:
    """Whether letters with some masked are a name: the others agree, and enough of them, and of each word, are there.

    What is left of a word is no first name: a sign after it may be a sign.
    """
    letters = name.letters
    if MASKED not in written or len(written) != len(letters) or len(letters) - written.count(MASKED) < FUZZY_LETTERS:
        return False
    if any(sign not in (letter, MASKED) for sign, letter in zip(written, letters, strict=True)):
        return False
    bounds = (0, *name.word_starts, len(letters))
    for word, first in enumerate(bounds[:-1]):
        part = written[first : bounds[word + 1]]
        left = part.replace(MASKED, "")
        if 2 * len(left) < len(part) or (left != part and word < len(name.word_starts) and is_first_name(left)):
            return False
    return True
