"""Several patterns read at once in a stream: where matches may have begun, and where one is complete.

What a chunk of text does depends on where the matches under way began and stand, and on nothing else, so the steps are
remembered: ordinary text costs one dictionary look-up per chunk.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice

from gateway.guards.escapes import characters
from gateway.guards.pattern import CODES, IGNORED, LEAST_LENGTH, BadPattern, Pattern, compiled
from gateway.guards.words import ordinary_text

HELD_CHARACTERS = 256  # that a growing match holds back; of a longer match the last ones are not told
_CACHED_STEPS = 20_000
_CACHED_CHARACTERS = 32  # longer chunks do not come again

Thread = tuple[int, int, int]  # characters since it began, which pattern, its state
Threads = tuple[Thread, ...]


@dataclass(frozen=True, slots=True, repr=False)
class Complete:
    """A match that is complete after `end` characters of a chunk, and began `length` characters before."""

    end: int
    length: int
    pattern: int


@dataclass(frozen=True, slots=True, repr=False)
class Step:
    """What a chunk did: the matches under way after it, the first to begin first, and those completed in it."""

    threads: Threads
    complete: tuple[Complete, ...]


@dataclass(eq=False, repr=False)
class PatternSet:
    """Compiled patterns; of those that are `lenient` a match may be said that the prompt has."""

    patterns: tuple[Pattern, ...]
    lenient: tuple[bool, ...] = ()
    _steps: dict[tuple[Threads, str], Step] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.patterns)

    def may_be_stated(self, pattern: int) -> bool:
        """Whether a match of the pattern may be said where the prompt has it."""
        return bool(self.lenient) and self.lenient[pattern]

    @property
    def reads_prompts(self) -> bool:
        """Whether the audit has to know the prompt."""
        return any(self.lenient)

    def step(self, threads: Threads, text: str) -> Step:
        """Read a chunk without escapes."""
        known = self._steps.get((threads, text))
        if known is None:
            known = self.read(threads, ((char, 1) for char in text))
            if len(text) <= _CACHED_CHARACTERS:
                if len(self._steps) >= _CACHED_STEPS:
                    self._steps.clear()
                self._steps[threads, text] = known
        return known

    def read(self, threads: Threads, chars: Iterable[tuple[str, int]]) -> Step:
        """Read characters, each with how many it is written in."""
        complete: list[Complete] = []
        end = 0
        for char, width in chars:
            end += width
            code = CODES[char]
            if code == IGNORED:
                threads = tuple((min(age + width, HELD_CHARACTERS), number, at) for age, number, at in threads)
                continue
            threads = self._advanced(threads, code, width)
            for age, number, state in threads:
                if self.patterns[number].accepts[state]:
                    complete.append(Complete(end, age, number))
        return Step(threads, tuple(complete))

    def _advanced(self, threads: Threads, code: int, width: int) -> Threads:
        """After one more symbol. Of two that stand at the same place the one that began first is kept."""
        kept: dict[tuple[int, int], int] = {}
        fresh = ((0, number, 0) for number in self._beginning.get(code, ()))
        for age, number, state in (*threads, *fresh):
            pattern = self.patterns[number]
            if (following := pattern.rows[state][pattern.class_of[code]]) >= 0:
                kept.setdefault((number, following), min(age + width, HELD_CHARACTERS))
        return tuple((age, number, state) for (number, state), age in kept.items())

    @cached_property
    def _beginning(self) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        for number, pattern in enumerate(self.patterns):
            for code in pattern.beginnings:
                found.setdefault(code, []).append(number)
        return found

    def matches(self, text: str) -> bool:
        """Whether any of a text matches; escapes are read."""
        threads: Threads = ()
        chars = ((char, end - start) for char, start, end in characters(text, final=True))
        while piece := list(islice(chars, HELD_CHARACTERS)):
            step = self.read(threads, piece)
            if step.complete:
                return True
            threads = step.threads
        return False


NO_PATTERNS = PatternSet(())


def checked(expression: str) -> Pattern:
    """Compile a pattern that is specific enough to be a secret's.

    Raises:
        BadPattern: `compiled` refuses it, or it matches too much. It says what to do, and does not quote it.
    """
    pattern = compiled(expression)
    shortest = pattern.shortest
    if shortest is None:
        raise BadPattern("matches nothing")
    if shortest < LEAST_LENGTH:
        raise BadPattern(f"matches texts of fewer than {LEAST_LENGTH} characters: ask for more of the secret")
    if PatternSet((pattern,)).matches(ordinary_text()):
        raise BadPattern("matches ordinary words: add what only the secret has, a prefix, digits or a domain")
    return pattern
