"""A fact in other written forms: its digits in words, its dates in other orders and languages.

Case, accents, width, spacing and look-alikes need no forms here: folding takes care of them (`normalise`).
"""

import re
from collections.abc import Iterator

LEAST_DIGITS = 3  # shorter numbers are written as anything
MOST_DIGITS = 16

_DIGITS = tuple(
    words.split()
    for words in (
        "zero one two three four five six seven eight nine",
        "oh one two three four five six seven eight nine",
        "cero uno dos tres cuatro cinco seis siete ocho nueve",
        "null eins zwei drei vier fünf sechs sieben acht neun",
        "null eins zwo drei vier fünf sechs sieben acht neun",
        "zéro un deux trois quatre cinq six sept huit neuf",
        "zero uno due tre quattro cinque sei sette otto nove",
        "zero um dois três quatro cinco seis sete oito nove",
        "ноль один два три четыре пять шесть семь восемь девять",
        "〇 一 二 三 四 五 六 七 八 九",
        "零 一 二 三 四 五 六 七 八 九",
    )
)
_ENGLISH, _TENS = (
    words.split()
    for words in (
        "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
        "eighteen nineteen",
        "twenty thirty forty fifty sixty seventy eighty ninety",
    )
)
_MONTHS = {
    language: names.split()
    for language, names in {
        "en": "January February March April May June July August September October November December",
        "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
        "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
        "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
        "it": "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
        "pt": "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
    }.items()
}
_MONTH = {name.casefold(): number for names in _MONTHS.values() for number, name in enumerate(names, start=1)}
_MONTH |= {name[:3].casefold(): number for number, name in enumerate(_MONTHS["en"], start=1)}
_NAMED = "|".join(sorted(map(re.escape, _MONTH), key=len, reverse=True))
_DAY, _YEAR = r"(?P<day>\d{1,2})(?:st|nd|rd|th|er|º|\.)?", r"(?P<year>\d{4})"
_DATES = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"(?<!\w){_DAY}\s*(?:of |de )?(?P<month>{_NAMED})\.?,?\s*(?:de |of )?{_YEAR}(?!\d)",
        rf"(?<!\w)(?P<month>{_NAMED})\.?\s+{_DAY},?\s+{_YEAR}(?!\d)",
        r"(?<!\d)(?P<year>\d{4})\s*[-/.年]\s*(?P<month>\d{1,2})\s*[-/.月]\s*(?P<day>\d{1,2})(?!\d)",
        r"(?<!\d)(?P<day>\d{1,2})[-/.](?P<month>\d{1,2})[-/.](?P<year>\d{4})(?!\d)",
    )
)
_DIGIT = re.compile(r"\d")  # every date and number has one
_RUN = re.compile(r"\d(?:[\d\s.,/()-]*\d)?")


def forms(text: str) -> Iterator[str]:
    """A short text, then the same with its numbers or its date written otherwise. Never raises."""
    yield text
    if _DIGIT.search(text) is None:
        return
    for date, written in _dated(text):
        yield text.replace(date, written)
    for run in _RUN.findall(text):
        for spelt in spelt_numbers(run):
            yield text.replace(run, spelt)


def dates(text: str) -> list[str]:
    """The dates of a text, as they are written there."""
    return [found[0] for pattern in _DATES for found in pattern.finditer(text)]


def spelt_numbers(run: str) -> list[str]:
    """A run of digits digit by digit in several languages, and in English as a year or in pairs."""
    digits = [int(char) for char in run if char.isdecimal()]
    if not LEAST_DIGITS <= len(digits) <= MOST_DIGITS:
        return []
    found = [" ".join(words[digit] for digit in digits) for words in _DIGITS]
    if len(digits) % 2 == 0:
        pairs = [10 * tens + ones for tens, ones in zip(digits[::2], digits[1::2], strict=True)]
        if all(pair >= 10 for pair in pairs):
            found.append(" ".join(map(_below_hundred, pairs)))
    if len(digits) == 4 and digits[0]:
        found += [_thousands(int("".join(map(str, digits))), link) for link in ("", "and ")]
    return list(dict.fromkeys(found))


def _dated(text: str) -> Iterator[tuple[str, str]]:
    """Each date of a text with every other way to write it."""
    for pattern in _DATES:
        for found in pattern.finditer(text):
            named = found["month"]
            month = int(named) if named.isdecimal() else _MONTH[named.casefold()]
            day, year = int(found["day"]), int(found["year"])
            if 1 <= month <= 12 and 1 <= day <= 31:
                yield from ((found[0], written) for written in _date_forms(day, month, year))


def _date_forms(day: int, month: int, year: int) -> Iterator[str]:
    for language, names in _MONTHS.items():
        yield f"{day} {names[month - 1]} {year}"
        if language in ("es", "pt"):
            yield f"{day} de {names[month - 1]} de {year}"
    english = _MONTHS["en"][month - 1]
    ending = "th" if 11 <= day <= 13 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    yield from (f"{english} {day} {year}", f"{english} {day}{ending} {year}", f"{day}{ending} of {english} {year}")
    yield from (f"{year}-{month:02}-{day:02}", f"{day:02}.{month:02}.{year}", f"{month:02}/{day:02}/{year}")
    yield from (f"{year}年{month}月{day}日", f"{day}.{month}.{year}", f"{month}/{day}/{year}")


def _below_hundred(number: int) -> str:
    if number < 20:
        return _ENGLISH[number - 1]
    tens, ones = divmod(number, 10)
    return _TENS[tens - 2] + (f" {_ENGLISH[ones - 1]}" if ones else "")


def _thousands(number: int, link: str) -> str:
    """1000 to 9999 in English."""
    thousands, rest = divmod(number, 1000)
    hundreds, rest = divmod(rest, 100)
    words = [f"{_ENGLISH[thousands - 1]} thousand"]
    words += [f"{_ENGLISH[hundreds - 1]} hundred"] if hundreds else []
    words += [link + _below_hundred(rest)] if rest else []
    return " ".join(words)
