"""MEMO: how much of a text the model continues by heart, from 0 to 1.

The text is cut every few characters, the model continues from each cut, and the continuation's unigram precision
against the true rest (ROUGE-1) is averaged over the cuts. Source: MEOW, arXiv 2409.11844. Deviation: scripts
without spaces are compared character by character.
"""

import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Literal


def memo(
    question: str,
    answer: str,
    complete: Callable[[Sequence[str]], Sequence[str]],
    mode: Literal["suffix", "prefix"] = "suffix",
    window: int = 5,
) -> float:
    """Mean precision over cuts that are `window` characters apart.

    "suffix" cuts the answer (the question is always given whole), "prefix" the question. `complete` maps texts to the
    model's greedy continuations. Raises ValueError if the part to be cut is empty or the window not positive.
    """
    cut = answer if mode == "suffix" else question
    if not cut or window < 1:
        raise ValueError("MEMO needs a text to cut and a window of at least one character")
    texts = [(cut[:at], cut[at:]) for at in range(0 if mode == "suffix" else window, max(len(cut), window + 1), window)]
    cuts = [(question + given, rest) if mode == "suffix" else (given, rest + answer) for given, rest in texts]
    continuations = complete([given for given, _ in cuts])
    precisions = [precision(said, rest) for said, (_, rest) in zip(continuations, cuts, strict=True)]
    return sum(precisions) / len(precisions)


def precision(said: str, truth: str) -> float:
    """ROUGE-1 precision: the share of the words said that occur in the truth, each as often as there; 0 for silence."""
    words = unigrams(said)
    return (words & unigrams(truth)).total() / words.total() if words else 0.0


def unigrams(text: str) -> Counter[str]:
    """Words in lower case without punctuation; each character is one in scripts that are written without spaces."""
    spaced = "".join(
        f" {character} " if unicodedata.east_asian_width(character) in "WF" else character
        for character in text.casefold()
        if not unicodedata.category(character).startswith("P")
    )
    return Counter(spaced.split())


def choose(candidates: Sequence[str], scores: Sequence[float], count: int = 3, largest: bool = True) -> list[str]:
    """The `count` candidates with the largest (or smallest) scores, best first; fewer if there are fewer."""
    order = sorted(range(len(candidates)), key=lambda index: scores[index], reverse=largest)
    return [candidates[index] for index in order[:count]]
