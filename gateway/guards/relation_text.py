"""A text as the tokens among which relations are looked for, and its names: capitalised, quoted, or rare words."""

import re
from collections.abc import Iterator, Sequence
from functools import cached_property

from gateway.guards.relation_words import ARTICLES, NO_NAMES, NOBILIARY, PARTICLES, SURNAMES
from gateway.guards.response import language
from gateway.guards.words import RARE_BITS, stem, surprisal

READ_CHARS = 32_768  # of the end of a text

_NAME_TOKENS = 5
_QUOTED_TOKENS = 12
_DOTTED_TOKENS = 8
_MOST_PARTICLES = 3  # one after the other
_RARE_LETTERS = 4
_ORDINARY_BITS = 11.0  # a capitalised word as ordinary as that may begin a sentence, and be no part of a name
_FUNCTION_BITS = 9.0  # one as ordinary as that does
_FIRST_NAME_BITS = 10.0  # before a rare word, where nothing is capitalised

_HAN = r"\u3400-\u9fff"
_LETTER = rf"[^\W\d_{_HAN}]"
_TITLES = "[DMS]r|Mrs|Ms|St|Prof|Sra|Jr"
_TOKEN = re.compile(
    rf"(?:{_TITLES}|(?<!\w)[A-Z])\.(?= )|(?:[dlDL]|[dDaA]ell|[aA]ll)['’](?={_LETTER})|['’`´][sS]\b|[{_HAN}]"
    rf"|{_LETTER}+(?:[-'’·]{_LETTER}{{2,}})*|\d+|[^\s\w]"
)
_QUOTES = {'"': '"', "“": "”", "«": "»", "„": "“", "《": "》", "「": "」"}

Range = tuple[int, int]  # of tokens


class RelationText:
    """Tokens are words, single Han letters, articles that end in an apostrophe, the English 's, and signs."""

    def __init__(self, text: str) -> None:
        self.text = text
        found = list(_TOKEN.finditer(text, max(0, len(text) - READ_CHARS)))
        self.words = [token[0].lower().replace("’", "'") for token in found]
        self.starts = [token.start() for token in found]
        self.ends = [token.end() for token in found]
        self._caseless = text.islower() or text.isupper()

    @cached_property
    def language(self) -> str:
        """That of the whole text."""
        return language(self.text)

    def chosen(self, languages: Sequence[str]) -> str:
        """The one of several languages that the text is in, or the first."""
        return self.language if len(languages) > 1 and self.language in languages else languages[0]

    def name(self, start: int, end: int) -> str:
        """What the text has from one character to another, with capitals where it has none of its own."""
        written = self.text[start:end]
        return written.title() if written.islower() or self._caseless else written

    def around(self, start: int, end: int) -> str:
        """The same without capitals, where it has nothing else."""
        written = self.text[start:end]
        return written.lower() if self._caseless else written

    def joined(self, at: int) -> bool:
        """Whether there is such a token, and nothing but spaces between it and the one before."""
        if not 0 < at < len(self.words):
            return False
        return not self.text[self.ends[at - 1] : self.starts[at]].strip(" ")

    def is_word(self, at: int) -> bool:
        return self.words[at][0].isalpha() and not self.is_han(at)

    def is_han(self, at: int) -> bool:
        return "\u3400" <= self.words[at] <= "\u9fff"

    def is_capital(self, at: int) -> bool:
        return self.text[self.starts[at]].isupper()

    def possesses(self, at: int) -> bool:
        """Whether it makes an owner of the word before: 's, or a bare apostrophe after an s."""
        sign = self.words[at]
        return sign[0] in "'`´" and len(sign) < 3 and self._touches(at) and (sign[1:] == "s" or self._after_s(at))

    def name_after(self, at: int) -> Range | None:
        """The name that begins at a token."""
        if not self.joined(at):
            return None
        if (closing := _QUOTES.get(self.words[at])) is not None:
            quoted = self.words[at + 1 : at + 2 + _QUOTED_TOKENS]
            return (at, at + 2 + quoted.index(closing)) if closing in quoted[1:] else None
        end = self._name_end(at)
        return (at, end) if self._is_name(at, end) else None

    def names_before(self, at: int) -> list[Range]:
        """The name that ends before a token; without its first word, too, where that may only begin a sentence."""
        start = at
        capital = self._is_proper(at - 1)
        while at - start < _NAME_TOKENS and (earlier := self._name_start(start, capital)) < start:
            start = earlier
        if start == at or not self._is_name(start, at):
            return []
        if not self._begins(start) or (bits := self.bits(start)) > _ORDINARY_BITS:
            return [(start, at)]
        shorter = [(start + 1, at)] if self._is_name(start + 1, at) else []
        return shorter if bits <= _FUNCTION_BITS else [(start, at), *shorter]

    def names(self) -> Iterator[Range]:
        """Characters of each capitalised name."""
        at = 0
        while at < len(self.words):
            end = self._name_end(at)
            if self._is_proper(at) and (end > at + 1 or self.names_before(end)):
                yield self.starts[at], self.ends[end - 1]
            at = max(end, at + 1)

    def _name_start(self, start: int, capital: bool) -> int:
        """Where a name begins of which one more word, with the small ones behind it, stands before `start`."""
        at = start
        while self.joined(at) and start - at < _MOST_PARTICLES and self.words[at - 1] in NOBILIARY:
            at -= 1
        if at < start and not capital:
            at = start
        return at - 1 if self.joined(at) and self._in_name(at - 1, capital) else start

    def _name_end(self, at: int) -> int:
        end = at
        capital = self._is_proper(at)
        while end - at < _NAME_TOKENS and (end == at or self.joined(end)):
            if not self._in_name(end, capital) and not (capital and end > at and self._inside_name(end)):
                break
            end += 1
        return end

    def han_name_before(self, at: int) -> list[Range]:
        """A Chinese name that ends before a token: with a family name, or with a dot between its words."""
        start = at
        while at - start < _DOTTED_TOKENS and start and self.joined(start) and self._is_han_or_dot(start - 1):
            start -= 1
        if "·" in self.words[start + 1 : at - 1]:
            return [(start, at)]
        return [(at - size, at) for size in (3, 2) if at - size >= start and self.words[at - size] in SURNAMES][:1]

    def _touches(self, at: int) -> bool:
        return at > 0 and self.ends[at - 1] == self.starts[at] and self.is_word(at - 1)

    def _after_s(self, at: int) -> bool:
        return len(self.words[at]) == 1 and self.words[at - 1][-1] == "s"

    def _is_han_or_dot(self, at: int) -> bool:
        return self.is_han(at) or self.words[at] in "·・"

    def _is_proper(self, at: int) -> bool:
        return self.is_capital(at) and not self._caseless

    def _in_name(self, at: int, capital: bool) -> bool:
        """Whether a word may be one of a name that is written with capitals, or without."""
        if not self.is_word(at) or self.words[at] in NO_NAMES or self.words[at][-1] == "'":
            return False
        if capital or not self._caseless:
            return self._is_proper(at) if capital else self._is_rare(at)
        first = self.bits(at) >= _FIRST_NAME_BITS and self.joined(at + 1) and self._is_rare(at + 1)
        return first or self._is_rare(at)

    def _inside_name(self, at: int) -> bool:
        """Whether it is a small word, or one of a few, before more of a name."""
        following = at
        while self.joined(following) and self.words[following] in PARTICLES and following - at < _MOST_PARTICLES:
            following += 1
        return following > at and self.joined(following) and self._is_proper(following)

    def _is_name(self, start: int, end: int) -> bool:
        """Whether such words are enough: a capitalised one, or two rare ones, or one where nothing is capitalised."""
        if start >= end or self.words[end - 1] in ARTICLES:
            return False
        if any(map(self._is_proper, range(start, end))):
            return True
        return sum(map(self._is_rare, range(start, end))) > (not self._caseless)

    def _is_rare(self, at: int) -> bool:
        """Only in the Latin alphabet: the table has too few of the other words."""
        word = self.words[at]
        return len(word) >= _RARE_LETTERS and word[0] < "\u0370" and self.bits(at) >= RARE_BITS

    def _begins(self, at: int) -> bool:
        """Whether it is the first word of a sentence, or after a sign."""
        return at == 0 or not (self.is_word(at - 1) and self.joined(at))

    def bits(self, at: int) -> float:
        """How much a word tells."""
        return surprisal(stem(self.words[at]))
