"""The in-engine matcher's time for a step of 32 sequences, over a vocabulary of 150,000 tokens."""

import random
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks import phrase_table
from gateway.guards.phrases import PhraseTable, VocabularyIndex

VOCABULARY = 150_000
BATCH = 32
COUNTS = (1_000, 10_000)
STEPS = 300

Tell = Callable[[str, float], None]


def measure(tell: Tell, vocabulary: int = VOCABULARY, counts: Sequence[int] = COUNTS) -> dict[str, Any]:
    """What `benchmarks.phrase_table` finds, and steps over tokens as frequent as words are (Zipf) or spelling phrases.

    The figure for so many phrases is the slowest of the kinds' medians.
    """
    tell("random and repeated tokens", 0.0)
    detail: dict[str, Any] = phrase_table.measure(vocabulary, [*counts])
    rng = random.Random(7)
    tokens = phrase_table.vocabulary(vocabulary, rng)
    index = VocabularyIndex(tokens)
    by_frequency = rng.sample(range(len(tokens)), len(tokens))
    weights = [1 / rank for rank in range(1, len(tokens) + 1)]
    for done, count in enumerate(counts):
        tell(f"{count} phrases", 0.5 + 0.5 * done / len(counts))
        forbidden = phrase_table.phrases(count, rng)
        table = PhraseTable(index, forbidden)
        text = [rng.choices(by_frequency, weights, k=STEPS) for _ in range(BATCH)]
        spelling = [_spelt(tokens, forbidden, rng) for _ in range(BATCH)]
        for kind, sequences in (("zipf", text), ("near phrases", spelling)):
            median, tail = phrase_table.time_steps(table, sequences)
            detail[f"{kind}_step_ms_p50_{count}_batch_{BATCH}"] = median
            detail[f"{kind}_step_ms_p99_{count}_batch_{BATCH}"] = tail
    worst = {count: slowest(detail, count) for count in counts}
    return {
        **({"matcher_ms_1k": worst[1_000]} if 1_000 in worst else {}),
        **({"matcher_ms_10k": worst[10_000]} if 10_000 in worst else {}),
        "matcher_zipf_ms": {count: detail[f"zipf_step_ms_p50_{count}_batch_{BATCH}"] for count in counts},
        "matcher_detail": detail,
    }


def slowest(detail: dict[str, Any], count: int) -> float:
    """The largest of the medians with so many phrases."""
    return max(float(value) for key, value in detail.items() if key.endswith(f"_step_ms_p50_{count}_batch_{BATCH}"))


def _spelt(tokens: Sequence[bytes | None], forbidden: Sequence[str], rng: random.Random) -> list[int]:
    """Tokens of one byte that write the beginnings of phrases, one after the other: one is always under way."""
    of_byte = {token: number for number, token in enumerate(tokens) if token is not None and len(token) == 1}
    spelt: list[int] = []
    while len(spelt) < STEPS:
        phrase = rng.choice(forbidden).encode()
        spelt += [of_byte[bytes([byte])] for byte in b" " + phrase[: rng.randint(1, len(phrase) - 1)]]
    return spelt[:STEPS]
