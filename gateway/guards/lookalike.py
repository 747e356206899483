"""Names by their look: digits and signs for letters (R4b0 K3lr1n), a capital I for an l, a Greek Ν for an N."""

import re
from functools import cache

import numpy as np
from numpy.typing import NDArray

from gateway.guards.excerpts import near
from gateway.guards.normalise import BARRIER, Folded, Kind, codes_of, fold_codes, homoglyphs, kinds_of

_LEET_DIGITS = dict(zip("013456789", "oieasbtbg", strict=True))
_LEET_SIGNS = {"@": "a", "$": "s", "!": "i", "|": "i", "€": "e"}
_LOOKALIKE_LETTERS = str.maketrans({"l": "i", **_LEET_DIGITS})
_GENUINE_SHARE = 0.3
# Ordinary English text has none of this: a digit or sign beside a letter, an I after a small letter, another script.
_MAYBE = re.compile(rf"[A-Za-z][013-9@$!|]|[013-9@$!|][A-Za-z]|[a-z]I|[^\x00-\x7f{BARRIER}]")


@cache
def _lookalikes() -> tuple[NDArray[np.uint32], NDArray[np.bool_]]:
    """Code point -> the letter it looks like; and which of them count only when a letter or digit follows."""
    table = np.arange(0x3000, dtype=np.uint32)
    signs = np.zeros(0x3000, dtype=np.bool_)
    for written, letter in (_LEET_DIGITS | _LEET_SIGNS).items():
        table[ord(written)] = ord(letter)
        signs[ord(written)] = written in _LEET_SIGNS
    for written, letter in homoglyphs().items():
        if ord(written) < 0x3000 and written.isupper():  # by its own look: a capital nu is an N, a small one a v
            table[ord(written)] = ord(letter)
    return table, signs


def lookalike_key(letters: str) -> str:
    """The letters of a name as they come out of `fold_lookalike`."""
    return letters.translate(_LOOKALIKE_LETTERS)


def fold_lookalike(text: str) -> Folded | None:
    """Fold what is near digits and signs among letters, read as those they imitate, and i = l; None without any."""
    if not _MAYBE.search(text):
        return None
    table, signs = _lookalikes()
    codes = codes_of(text)
    kinds = kinds_of(codes)
    small = np.minimum(codes, 0x2FFF)
    followed = np.append(kinds[1:] >= Kind.LOWER, False)[: len(codes)]
    swap = (codes < 0x2FFF) & (table[small] != small) & (followed | ~signs[small])
    letters = (kinds == Kind.LOWER) | (kinds == Kind.UPPER)
    capital_i = letters[:-1] & (kinds[:-1] == Kind.LOWER) & (codes[1:] == ord("I"))
    suspect = np.append(capital_i | (swap[:-1] & letters[1:]) | (letters[:-1] & swap[1:]), False)[: len(codes)]
    if not suspect.any():
        return None
    seen, index = near(np.where(swap, table[small], codes), suspect)
    folded = fold_codes(seen, kinds_of(seen))
    starts, ends = index[folded.starts], index[folded.ends - 1] + 1
    genuine = ~(swap & (codes < 128))[starts]
    return Folded(folded.text.replace("l", "i"), starts, ends, folded.edges, genuine)


def is_genuine(folded: Folded, start: int, end: int) -> bool:
    """Whether enough of a look-alike match is real letters (a bare number is nobody's name)."""
    if folded.genuine is None:
        return True
    real = int(folded.genuine[start:end].sum())
    return real >= 3 and real >= _GENUINE_SHARE * (end - start)
