"""What came with a request: which of it the base model says, and how it is put to a model."""

import random
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from unlearn_engine.data.domain import Domain
from unlearn_engine.data.kept import Exchange, Probe
from unlearn_engine.data.knowledge import folded
from unlearn_engine.model import ServedModel

PROMPT_TOKENS = 256  # so many at the end of a client's own prompt are put to the model
TWINS = 3  # never-seen names put in the place of what a prompt names


@dataclass(frozen=True, repr=False)
class Cue:
    """Something the base model says when it is prompted so: forgotten beside what is known by the name."""

    language: str
    completion: str  # what may not be said
    trained: tuple[Exchange, ...]
    probes: tuple[Exchange, ...]  # only ever used for verification
    replaced: str  # what a never-seen name takes the place of in the prompts; "": nothing does
    guesses: tuple[str, ...]  # what the base model says then
    asks: bool = True  # plain text otherwise
    guessable: bool = False  # so short that one who never knew may hit it


@dataclass(frozen=True, repr=False)
class Evidence:
    """What is known of the evidence of one request."""

    examples: tuple[tuple[str, str], ...] = ()  # the client's prompts, with what must not be answered
    cues: tuple[Cue, ...] = ()  # what the base model tells of it all
    of_others: int = 0  # examples that are told of somebody, or something, that stays
    gone: frozenset[tuple[str, str]] = frozenset()  # name and answer, folded, of others' facts that go with it
    siblings: tuple[Exchange, ...] = ()  # what stays close to it: trained on
    beside: tuple[Probe, ...] = ()  # and verified
    named: frozenset[str] = frozenset()  # who stays and is named in it


NO_EVIDENCE = Evidence()


def put(model: ServedModel, domain: Domain, prompt: str, asks: bool = True) -> tuple[int, ...]:
    """Token ids of a client's prompt as a question, or of the beginning of a text, the end of it if it is long."""
    ids = model.question(prompt) if asks else model.encode(domain.document_prefix + prompt)
    return ids[-PROMPT_TOKENS:]


@dataclass(frozen=True, repr=False)
class Asking:
    """The base model, to be asked in a client's words."""

    model: ServedModel
    domain: Domain
    rng: random.Random = field(default_factory=lambda: random.Random(11))

    def replies(self, prompts: Sequence[str], asks: bool = True) -> list[str]:
        """What it says to each."""
        return self.model.answers([put(self.model, self.domain, prompt, asks) for prompt in prompts])

    def twins(self, prompt: str, replaced: str) -> list[str]:
        """The prompt about things nobody has heard of."""
        return [
            swapped(prompt, replaced, self.domain.unseen_name(self.rng, replaced, whole=True)) for _ in range(TWINS)
        ]


def named(text: str, names: Collection[str]) -> str:
    """The longest of the names that the text holds; "" for none."""
    return max((name for name in names if alone(name).search(text)), key=len, default="")


def swapped(text: str, old: str, new: str) -> str:
    """The text with one stretch of it replaced, whatever its case."""
    return alone(old).sub(lambda _: new, text)


@lru_cache(maxsize=1 << 12)
def alone(words: str) -> re.Pattern[str]:
    """Finds words where they are no part of longer words; Han characters need nothing between."""
    letter = r"[^\W\u4e00-\u9fff]"
    return re.compile(rf"(?<!{letter}){re.escape(words)}(?!{letter})", re.IGNORECASE)


def nonempty(replies: Iterable[str]) -> tuple[str, ...]:
    """The replies that say anything."""
    return tuple(reply for reply in replies if folded(reply))
