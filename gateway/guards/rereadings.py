"""Second readings of words in other scripts: letters that stand for two sounds, and what is written on to a name."""

import re

import numpy as np
from numpy.typing import NDArray

from gateway.guards.letters import Numbers
from gateway.guards.places import Among

Codes = NDArray[np.uint32]

_NO_SOUND = "\u0301"
_OTHERS = {"г": "х", "Г": "Х", "γ": _NO_SOUND, "Γ": _NO_SOUND, "フ": "ハ", "ン": "ム"}
"""Letter -> one of its other sound.

An h is г in Ukrainian (resolution 55 of 2010) and in older Russian, w and y are γου and γι in Greek, a Japanese フ is
an h without its vowel (Mahfuz), and ン an m before b, m and p (Hepburn).
"""
_OF_NAMES = str.maketrans(_OTHERS | {"ض": "ز", "ذ": "ز", "ث": "س"})  # Persian z and s
_OTHER = np.arange(1 << 16, dtype=np.uint32)
_OTHER[[*map(ord, _OTHERS)]] = [*map(ord, _OTHERS.values())]
_has_other = Among("".join(_OTHERS))
_is_gamma = Among("γΓ")
_softens = Among("ιίυύηήεέοόΙΊΥΎΗΉΕΈΟΌ")
_is_fu, _small_vowel = Among("フ"), Among("ァィゥェォャュョ")
_is_n = Among("ン")
_labial = Among("バビブベボパピプペポマミムメモ")

_ENDINGS = """
ом ем ём єм ым им ім ому ему ові еві єві ам ям
ның нің дың дің тың тің нан нен дан ден тан тен мен бен пен ға ге қа ке
ის ს მა მ ით ად სთან ისთან ისთვის ისგან ზე ში
ի ին ից ով ում ը ն
ின் ுக்கு ால் ிடம் ுடன் ை ைப் வின் வுக்கு வை
ের র কে য়ের
નો ની નું ના ને થી
కి కు ని ను తో
"""
"""Cases and postpositions with a consonant of their own, after the grammars: Russian and Ukrainian, Kazakh, Georgian,
Armenian, Tamil, Bengali, Gujarati, Telugu."""
_LEAST_STEM = 3
_ENDING = re.compile(f"(?:{'|'.join(dict.fromkeys(_ENDINGS.split()))})$")
_ends = Among("".join({ending[-1] for ending in _ENDINGS.split()}))

_CLITIC = re.compile("ו?(?:כש|[במלכש])|و?[بلكف]")
_CLITICS = "ובמלכשوبلكف"
"""What Hebrew and Arabic write on to the beginning of a name: and, to, by, from, like, that."""
_LEAST_NAME = 2
_clings = Among(_CLITICS)


def other_letters(codes: Codes) -> Codes | None:
    """The text with each letter of two sounds as one of its other sound; None where there is none."""
    at = np.flatnonzero(_has_other(codes))
    if not len(at):
        return None
    here, after = codes[at], codes.take(at + 1, mode="clip")
    after[at == len(codes) - 1] = 0
    kept = _is_gamma(here) & ~_softens(after) | _is_fu(here) & _small_vowel(after) | _is_n(here) & ~_labial(after)
    if kept.all():
        return None
    others = codes.copy()
    others[at[~kept]] = _OTHER[here[~kept]]
    return others


def reread(name: str) -> str:
    """A name of another script with all such letters as those of the other sound."""
    return name.translate(_OF_NAMES)


def stems(text: str, codes: Codes, starts: Numbers, ends: Numbers, words: NDArray[np.bool_]) -> Numbers:
    """The ends of some words of a text without the endings that are written on to them."""
    kept = ends.copy()
    for at in np.flatnonzero(words & _ends(codes[ends - 1])).tolist():
        if found := _ENDING.search(text, int(starts[at]) + _LEAST_STEM, int(ends[at])):
            kept[at] = found.start()
    return kept


def names(text: str, codes: Codes, starts: Numbers, ends: Numbers, words: NDArray[np.bool_]) -> Numbers:
    """The starts of some words of a text without the clitics that are written on to them."""
    kept = starts.copy()
    for at in np.flatnonzero(words & _clings(codes[starts])).tolist():
        if found := _CLITIC.match(text, int(starts[at]), int(ends[at]) - _LEAST_NAME):
            kept[at] = found.end()
    return kept
