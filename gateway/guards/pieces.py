"""Names in pieces: quoted halves, fields of a record, letters in a list, a middle initial, mark-up around some letters.

Stretches of a text with what is left of them, as those of `gateway.guards.ciphers`. All expressions are bounded.
"""

import re
from collections.abc import Iterator, Sequence

import numpy as np

from gateway.guards.ciphers import Stretch
from gateway.guards.letters import Numbers
from gateway.guards.normalise import codes_of
from gateway.guards.places import (
    Among,
    Codes,
    before,
    chained,
    matches,
    may_be_digit,
    occurrences,
    places,
    run_starts,
)

_QUOTED = re.compile(r"""(["'`“”‘’«»「])(?P<inside>[^"'`“”‘’«»「」\n]{1,40})["'`“”‘’«»」](?P<key>\s{0,2}:)?""")
_MOST_BETWEEN = 48  # characters between two pieces
_MOST_PIECES = 8

_LABEL = (
    r"(?:(?:first|given|last|family|middle|fore|sur|full)[ _-]?names?|first|last|given|family|surname|forename"
    r"|vornamen?|nachnamen?|familienname|prénom|prenom|nom de famille|nombre|apellidos?|nome|cognome|sobrenome|apelido"
    r"|имя|имени|имени|фамилия|фамилией|фамилии|отчество|名字|姓氏|姓|名)"
)
_LABELLED = re.compile(
    rf"""[\s,;.{{("'<-]{{0,8}}(?:(?:and|und|y|et|e|и|with|the|his|her|is|of|de)\s)?(?<!\w)(?:the\s|a\s)?{_LABEL}"""
    r"""(?!\w)["']?(?:\s{0,2}[:=>]\s{0,2}|\s(?:is|ist|es|est|è|of)\s|\s)["']?(?=\w)""",
    re.IGNORECASE,
)
_IN_LABELS = ("name", "first", "last", "family", "nom", "apell")
_IN_FOREIGN_LABELS = ("имя", "имен", "фамил", "姓", "名")
_LEAST_LABELS = 2  # one field says nothing
_ALSO_IN_LABELS = ("given", "apelid", "отчеств")  # all labels have one of these
_BEFORE_LABEL = 26  # characters in which one begins, with what may stand before it
_NUMBERED = re.compile(
    r"(?<!\w)\d{1,2}[:.)=-] ?[^\W\d_](?![^\W_])(?:[ ,;\n]{1,2}\d{1,2}[:.)=-] ?[^\W\d_](?![^\W_])){3,}+"
)
_DIGIT = re.compile(r"\d")
_LETTER = re.compile(r"[^\W\d_]")
_MIDDLE = re.compile(
    r"""\x20(?<=[^\W\d_]\x20)(?:[^\W\d_]\.\x20?){1,2}(?=[^\W\d_])"""
    r"""|\x20(?<=[^\W\d_]\x20)["“«(][^\s"”»()]{1,24}["”»)]\x20(?=[^\W\d_])"""
)
_COMMAND = re.compile(r"\\[A-Za-z]{2,12}\{([^{}\\\n]{1,60})\}")
_LINK = re.compile(r"\[([^\[\]\n]{1,60})\]\([^()\s]{0,200}\)")
_DRAWN_OUT = re.compile(r"([^\W\d_])\1{2,}+")
_RUBBED_OUT = re.compile("[^\x08\n]\x08")

_after_number = Among(":.)=-")
_opens_nickname = Among('"“«(')


def left_out(text: str) -> Iterator[Stretch]:
    """What may stand between the words or letters of a name, or draws it out: start, end, what is left."""
    lowered = text.casefold()
    labels = _IN_LABELS if text.isascii() else (*_IN_LABELS, *_IN_FOREIGN_LABELS)
    if sum(map(lowered.count, labels)) >= _LEAST_LABELS:
        labelled = matches(_LABELLED, text, lambda codes: _label_beginnings(labels, text, len(codes)))
        yield from ((found.start(), found.end(), " ") for found in labelled)
    for found in matches(_NUMBERED, text, _numbered_beginnings) if _DIGIT.search(text) else ():
        yield found.start(), found.end(), "".join(_LETTER.findall(found[0]))
    yield from ((found.start(), found.end(), " ") for found in matches(_MIDDLE, text, _middle_beginnings))
    codes = codes_of(text)
    thrice = b"\1\1" in (codes[1:] == codes[:-1]).tobytes()
    commands = _COMMAND.finditer(text) if "\\" in text else ()
    links = _LINK.finditer(text) if "[" in text else ()
    drawn_out = matches(_DRAWN_OUT, text, _thrice_beginnings) if thrice else ()
    yield from ((found.start(), found.end(), found[1]) for found in (*commands, *links, *drawn_out))
    if "\b" in text:
        yield from ((found.start(), found.end(), "") for found in _RUBBED_OUT.finditer(text))


def _label_beginnings(labels: Sequence[str], text: str, length: int) -> Numbers:
    lowered = text.lower().replace("ſ", "s").replace("ı", "i")
    if len(lowered) != length:
        return np.arange(length)
    known = [at + 1 for label in (*labels, *_ALSO_IN_LABELS) for at in occurrences(label, lowered)]
    return before(np.array(known, dtype=np.int64), _BEFORE_LABEL, np.ones(length, dtype=np.bool_))


def _numbered_beginnings(codes: Codes) -> Numbers:
    digits = may_be_digit(codes)
    signs = places(digits[:-1] & _after_number(codes[1:])) + 1
    return before(chained(signs, 3, 7), 2, digits)


def _middle_beginnings(codes: Codes) -> Numbers:
    spaces = places(codes[:-2] == ord(" "))
    before: Numbers = spaces[(codes[spaces + 2] == ord(".")) | _opens_nickname(codes[spaces + 1])]
    return before


def _thrice_beginnings(codes: Codes) -> Numbers:
    return run_starts(codes[1:] == codes[:-1], 2)


def quoted(text: str) -> Iterator[Stretch]:
    """What quoted pieces say together, those left out that are the keys of fields."""
    together: list[re.Match[str]] = []
    for found in _QUOTED.finditer(text):
        if found["key"]:
            continue
        if together and (found.start() - together[-1].end() > _MOST_BETWEEN or len(together) == _MOST_PIECES):
            yield from _joined(together)
            together = []
        together.append(found)
    yield from _joined(together)


def _joined(together: list[re.Match[str]]) -> Iterator[Stretch]:
    if len(together) > 1:
        yield together[0].start(), together[-1].end(), " ".join(found["inside"] for found in together)
