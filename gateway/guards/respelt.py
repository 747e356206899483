"""Latin words that may be a name given in another script, in whatever romanisation (Щербакова: Schtscherbakowa)."""

import re
from collections.abc import Iterator, Sequence
from itertools import islice

from gateway.guards.letters import Joined
from gateway.guards.skeletons import MOST_WORDS, skeletons
from gateway.guards.sounds import Spoken
from gateway.guards.words import stem, surprisal

_LETTERS = r"[^\W\d_\u0370-\u1dff\u2000-\U0010ffff]+"
_WORD = re.compile(rf"(?<!\w)(?:[AaEe][Ll][ -])?{_LETTERS}(?:['’ʼ”-]{_LETTERS})*")
_BETWEEN = re.compile(r"[\s-]{1,3}")
_UNUSUAL_BITS = 10.0
_LONGEST = 40  # letters of a word
_MOST = 128  # windows of a text: each costs as much as a name's registration


class RespeltText:
    """Neighbouring Latin words under hashes of skeletons: those with a capital; in a text of none, unusual ones."""

    def __init__(self, text: str):
        words = [word for word in _WORD.finditer(text) if word.end() - word.start() <= _LONGEST]
        some = [word for word in words if not word[0].islower()]
        some = some or [word for word in words if surprisal(stem(word[0])) >= _UNUSUAL_BITS]
        windows = [*islice(_windows(text, some), _MOST)]
        ways = [(way, spoken) for spoken in windows for way in skeletons(" ".join(spoken.words))]
        joined = Joined.of([way for way, _ in ways])
        self.hashes = joined.parts.between(joined.starts, joined.ends)
        self._spoken = [spoken for _, spoken in ways]

    def __getitem__(self, index: int) -> Spoken:
        return self._spoken[index]


def _windows(text: str, words: Sequence[re.Match[str]]) -> Iterator[Spoken]:
    for first, word in enumerate(words):
        window = [word]
        for after in words[first + 1 : first + MOST_WORDS]:
            if not _BETWEEN.fullmatch(text, window[-1].end(), after.start()):
                break
            window.append(after)
            yield Spoken(word.start(), after.end(), tuple(each[0] for each in window))
