"""Cost of the in-engine phrase table per decoding step: `python -m benchmarks.phrase_table [--json FILE]`.

A synthetic vocabulary of 150,000 byte-level tokens, batches of 1, 8 and 32 sequences. "repeated" sequences walk over
states already seen (steady traffic), "random" ones over uniformly random tokens, where most states are new.
"""

import argparse
import json
import random
import statistics
import time
from pathlib import Path

from gateway.guards.phrases import PhraseTable, VocabularyIndex

_SYLLABLES = [
    onset + vowel + coda for onset in "bdfgklmnprstvz" for vowel in "aeiou" for coda in ("", "n", "r", "l", "s")
]


def vocabulary(size: int, rng: random.Random) -> list[bytes | None]:
    """Special tokens, all bytes, words and pieces of words with and without a space, CJK, cut-off characters."""
    tokens: dict[bytes, None] = {bytes([byte]): None for byte in range(256)}
    while len(tokens) < size - 8:
        kind = rng.random()
        if kind < 0.85:
            word = "".join(rng.choice(_SYLLABLES) for _ in range(rng.randint(1, 4)))
            word = word.capitalize() if rng.random() < 0.3 else word
            tokens[((" " if rng.random() < 0.6 else "") + word).encode()] = None
        else:
            han = "".join(chr(rng.randint(0x4E00, 0x9FA0)) for _ in range(rng.randint(1, 3))).encode()
            tokens[han if kind < 0.97 else han[rng.randint(0, 2) : len(han) - rng.randint(0, 2)] or b"\xe4"] = None
    return [None] * 8 + list(tokens)


def phrases(count: int, rng: random.Random) -> list[str]:
    """Names of two words, and every tenth a single word."""

    def word(syllables: int) -> str:
        return "".join(rng.choice(_SYLLABLES) for _ in range(syllables)).capitalize()

    return [word(3) if i % 10 == 0 else f"{word(2)} {word(3)}" for i in range(count)]


def time_steps(table: PhraseTable, sequences: list[list[int]]) -> tuple[float, float]:
    """Median and 99th percentile of the milliseconds one step of the whole batch takes."""
    states = [table.START for _ in sequences]
    taken = []
    for tokens in zip(*sequences, strict=True):
        began = time.perf_counter()
        for row, token in enumerate(tokens):
            states[row] = table.step(states[row], token)
            table.banned(states[row])
        taken.append((time.perf_counter() - began) * 1e3)
    return statistics.median(taken), statistics.quantiles(taken, n=100)[98]


def measure(size: int, counts: list[int]) -> dict[str, float]:
    rng = random.Random(7)
    tokens = vocabulary(size, rng)
    began = time.perf_counter()
    index = VocabularyIndex(tokens)
    results = {"index_s": time.perf_counter() - began}
    for count in counts:
        forbidden = phrases(count, rng)
        began = time.perf_counter()
        table = PhraseTable(index, forbidden)
        table.banned(table.START)
        results[f"build_ms_{count}"] = (time.perf_counter() - began) * 1e3
        began = time.perf_counter()
        grown = PhraseTable(index, [*forbidden, "Dorin Kelvas"])
        grown.banned(grown.START)
        results[f"add_one_ms_{count}"] = (time.perf_counter() - began) * 1e3
        for batch in (1, 8, 32):
            sequences = [[rng.randrange(len(tokens)) for _ in range(300)] for _ in range(batch)]
            for kind in ("random", "repeated"):
                median, tail = time_steps(table, sequences)
                results[f"{kind}_step_ms_p50_{count}_batch_{batch}"] = median
                results[f"{kind}_step_ms_p99_{count}_batch_{batch}"] = tail
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--vocabulary", type=int, default=150_000)
    parser.add_argument("--phrases", type=int, nargs="+", default=[10, 1_000, 10_000])
    options = parser.parse_args()
    results = measure(options.vocabulary, options.phrases)
    for name, value in results.items():
        print(f"{name:45} {value:10.4f}")
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
