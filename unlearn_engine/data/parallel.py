"""Parallel sentences: pairs of translations among what is retained, which is what holds the languages together.

Of the mixed-language documents in a corpus it is the parallel ones on which translation depends; text that switches
between languages restores little when they are taken away. So a pair is a sentence and its translation, in both
directions, and the loss is on the translation given the sentence.
"""

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

Parallel = Mapping[str, str]  # language -> the same sentence in it


class Pair(NamedTuple):
    """A sentence and its translation."""

    sentence: str
    translation: str


def parallel_pair(rng: random.Random, texts: Sequence[Parallel], languages: Sequence[str]) -> Pair | None:
    """One of the sentences in two of the languages, in any order; None when there is none in two of them.

    Only the given languages are used, so that a language held out of training stays out.
    """
    usable = [text for text in texts if sum(language in text for language in languages) > 1]
    if not usable:
        return None
    text = rng.choice(usable)
    first, second = rng.sample([language for language in languages if language in text], 2)
    return Pair(text[first], text[second])


def read_pairs(first: Path, second: Path, languages: tuple[str, str]) -> list[Parallel]:
    """Sentences from two files whose lines translate each other, as Tatoeba's test sets have them.

    Lines that are empty on one side are passed over; raises ValueError when the files differ in length.
    """
    sides = [file.read_text("utf-8").splitlines() for file in (first, second)]
    if len(sides[0]) != len(sides[1]):
        raise ValueError(f"{first.name} and {second.name} do not have the same number of lines")
    return [
        dict(zip(languages, (one.strip(), other.strip()), strict=True))
        for one, other in zip(*sides, strict=True)
        if one.strip() and other.strip()
    ]


def joined(*sources: Sequence[Parallel], pivot: str) -> list[Parallel]:
    """Sentences from several sources in one list, those with the same sentence in the `pivot` language merged."""
    merged: dict[str, dict[str, str]] = {}
    for text in (text for source in sources for text in source if pivot in text):
        for language, sentence in text.items():
            merged.setdefault(text[pivot], {}).setdefault(language, sentence)
    return list(merged.values())
