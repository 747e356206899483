"""Names by their look: digits and signs for letters (R4b0 K3lr1n), a capital I for an l, a Greek Ν for an N."""

import re
from functools import cache

import numpy as np
from numpy.typing import NDArray

from gateway.guards.excerpts import near
from gateway.guards.normalise import BARRIER, Folded, Kind, codes_of, fold_codes, homoglyphs, kinds_of

_LEET_DIGITS = dict(zip("0123456789", "oizeasbtbg", strict=True))
_LEET_SIGNS = {"@": "a", "$": "s", "!": "i", "|": "i", "€": "e"}
_LOOKALIKE_LETTERS = str.maketrans({"l": "i", "g": "b", **_LEET_DIGITS, "9": "b"})
_GENUINE_SHARE = 0.3
_ALWAYS, _FOLLOWED = 1, 2
_LONG_TEXT = 2048  # characters: in a longer one counting is quicker than searching
# Ordinary English text has none of this: a digit or sign beside a letter, an I after a small letter, another script.
# (The set of first characters stands first and alone: the engine then skips through the rest quickly.)
_OTHERS = f"\x80-{chr(ord(BARRIER) - 1)}{chr(ord(BARRIER) + 1)}-\U0010ffff"
_MAYBE = re.compile(
    rf"[0-9@$!|I{_OTHERS}]"
    r"(?:(?<=[^\x00-\x7f])|(?<=[A-Za-z][0-9@$!|])|(?<=[a-z]I)|(?<=[0-9@$!|])(?=[A-Za-z]))"
)


@cache
def _lookalikes() -> tuple[NDArray[np.uint32], NDArray[np.uint8]]:
    """Code point -> the letter it looks like; and whether it looks like one, or does so when a letter follows it."""
    table = np.arange(0x3000, dtype=np.uint32)
    looks = np.zeros(0x3000, dtype=np.uint8)
    for written, letter in (_LEET_DIGITS | _LEET_SIGNS).items():
        table[ord(written)] = ord(letter)
        looks[ord(written)] = _FOLLOWED if written in _LEET_SIGNS else _ALWAYS
    for written, letter in homoglyphs().items():
        if ord(written) < len(table) - 1 and written.isupper():  # a capital nu is an N by its look, a small one a v
            table[ord(written)] = ord(letter)
            looks[ord(written)] = _ALWAYS
    return table, looks


def lookalike_key(letters: str) -> str:
    """The letters of a name as they come out of `fold_lookalike`."""
    return letters.translate(_LOOKALIKE_LETTERS)


def fold_lookalike(text: str) -> Folded | None:
    """Fold what is near digits and signs among letters, read as those they imitate, and i = l; None without any."""
    if len(text) < _LONG_TEXT and not _MAYBE.search(text):
        return None
    table, looks = _lookalikes()
    codes = codes_of(text)
    alike = looks.take(codes, mode="clip")
    at = (alike > 0).nonzero()[0]
    if not len(at) and "I" not in text:
        return None
    kinds = kinds_of(codes)
    before, after = kinds[at - 1], kinds.take(at + 1, mode="clip")
    before[at == 0] = after[at == len(codes) - 1] = Kind.SEPARATOR
    swapped = (alike[at] == _ALWAYS) | (after >= Kind.LOWER)
    at, before, after = at[swapped], before[swapped], after[swapped]
    suspect = np.zeros(len(codes), dtype=np.bool_)
    suspect[at] = _is_letter(after)
    suspect[at[_is_letter(before)] - 1] = True
    capital_i = (codes[1:] == ord("I")).nonzero()[0]
    suspect[capital_i[kinds[capital_i] == Kind.LOWER]] = True
    if not suspect.any():
        return None
    looking = codes.copy()
    looking[at] = table[codes[at]]
    seen, index = near(looking, suspect)
    folded = fold_codes(seen, kinds_of(seen))
    starts, ends = index[folded.starts], index[folded.ends - 1] + 1
    guessed = np.zeros(len(codes), dtype=np.bool_)
    guessed[at[codes[at] < 128]] = True
    return Folded(folded.text.replace("l", "i").replace("g", "b"), starts, ends, folded.edges, ~guessed[starts])


def _is_letter(kinds: NDArray[np.uint8]) -> NDArray[np.bool_]:
    letters: NDArray[np.bool_] = (kinds == Kind.LOWER) | (kinds == Kind.UPPER)
    return letters


def is_genuine(folded: Folded, start: int, end: int) -> bool:
    """Whether enough of a look-alike match is real letters (a bare number is nobody's name)."""
    if folded.genuine is None:
        return True
    real = int(folded.genuine[start:end].sum())
    return real >= 3 and real >= _GENUINE_SHARE * (end - start)
