"""What examining a prompt and adding a request cost, from one target to a hundred thousand; and memory."""

import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

from benchmarks.guards.benign import Prompt, spread
from benchmarks.guards.footprint import measured_apart, ready
from benchmarks.guards.subjects import invented_targets, rendered
from gateway.guards.encoder import AUTO, load_encoder
from gateway.guards.normalise import fold
from gateway.guards.policy import Policy, compile_policy

SIZES = (1, 100, 10_000, 100_000)
REGISTERED = (1, 10_000, 100_000)  # sizes at which one more is added
PROMPTS = 2_000
WARM_UP = 200
ADDITIONS = 20
LONG_BYTES = 100_000
LONG_TIMES = 5

Tell = Callable[[str, float], None]


def measure(tell: Tell, data: Path, largest: int = SIZES[-1], prompts: int = PROMPTS) -> dict[str, Any]:
    """All columns. Every prompt is read by every policy before the next one is, each time in another order."""
    sizes = [size for size in SIZES if size <= largest]
    tell("memory", 0.0)
    memory = measured_apart(sizes[-1])
    tell("policies", 0.2)
    targets = invented_targets(sizes[-1], seed=0)
    encoder = load_encoder(AUTO)
    policies = {size: ready(compile_policy(1, dict(islice(targets.items(), size)), encoder=encoder)) for size in sizes}
    biggest = policies[sizes[-1]]
    tell("prompts", 0.4)
    mixed = spread(data, WARM_UP + prompts)
    found: dict[str, Any] = {
        **memory,
        "detection_targets": sizes,
        **_examined(policies, mixed),
    }
    tell("100 kB", 0.6)
    found["long_prompt_ms"] = {kind: _long(biggest, text) for kind, text in long_prompts(data).items()}
    found["long_prompt_ms_1"] = {kind: _long(policies[1], text) for kind, text in long_prompts(data).items()}
    found["normalise_100kb_ms"] = {kind: _folded(text) for kind, text in long_prompts(data).items()}
    tell("registration", 0.8)
    registered = {size: _register(policies[size]) for size in sizes if size in REGISTERED}
    found["register"] = registered
    found["register_ms"] = max(row["p50"] for row in registered.values())
    return found


def cascade(policy: Policy) -> Callable[[str], object]:
    """All that runs on a prompt before the engine gets it."""
    return lambda text: (policy.examine(text), policy.described(text))


def _examined(policies: Mapping[int, Policy], prompts: Sequence[Prompt]) -> dict[str, Any]:
    """Milliseconds for each prompt by size of the policy; the first prompts only warm up."""
    texts = [rendered(prompt.text) for prompt in prompts]
    whole: dict[int, list[float]] = {size: [] for size in policies}
    rng = random.Random(0)
    for text in texts:
        for size in rng.sample([*policies], len(policies)):
            whole[size].append(_read_ms(cascade(policies[size]), text))
    whole = {size: times[WARM_UP:] for size, times in whole.items()}
    largest_of_all = policies[max(policies)]
    described = [_read_ms(largest_of_all.described, text) for text in texts][WARM_UP:]
    lexical = [_read_ms(largest_of_all.matcher.find, text) for text in texts][WARM_UP:]
    smallest, largest = min(policies), max(policies)
    ratios = [many / one for many, one in zip(whole[largest], whole[smallest], strict=True)]
    lengths = [len(text) for text in texts[WARM_UP:]]
    languages = _by_language(prompts[WARM_UP:], whole[smallest], whole[largest])
    return {
        "growth_1e5": statistics.median(whole[largest]) / statistics.median(whole[smallest]),
        "growth_paired": statistics.median(ratios),
        "growth_total": sum(whole[largest]) / sum(whole[smallest]),
        "lexical_ms": statistics.median(lexical),
        "lexical_ms_p99": _p99(lexical),
        "descriptions_ms": statistics.median(described),
        "descriptions_ms_p99": _p99(described),
        "cascade_ms": statistics.median(whole[largest]),
        "cascade_ms_p99": _p99(whole[largest]),
        "detection": {
            size: {"p50": statistics.median(times), "p99": _p99(times), "max": max(times)}
            for size, times in whole.items()
        },
        "detection_by_language": languages,
        "growth_worst_language": max(row["growth"] for row in languages.values()),
        "detection_prompts": len(lengths),
        "detection_characters_p50": statistics.median(lengths),
        "detection_characters_p99": _p99([float(length) for length in lengths]),
    }


def _by_language(prompts: Sequence[Prompt], few: list[float], many: list[float]) -> dict[str, dict[str, float]]:
    """Milliseconds with the fewest and the most targets, by the language of the prompt."""
    groups: dict[str, list[tuple[float, float]]] = {}
    for prompt, one, other in zip(prompts, few, many, strict=True):
        groups.setdefault(prompt.language, []).append((one, other))
    found = {}
    for language, times in groups.items():
        small, large = ([pair[at] for pair in times] for at in (0, 1))
        p50, most = statistics.median(small), statistics.median(large)
        found[language] = {
            "n": len(times),
            "few_p50": p50,
            "many_p50": most,
            "growth": most / p50,
            "many_p99": _p99(large),
        }
    return found


def _read_ms(read: Callable[[str], object], text: str) -> float:
    began = time.perf_counter()
    read(text)
    return (time.perf_counter() - began) * 1e3


def long_prompts(data: Path) -> dict[str, str]:
    """Prompts of about 100 kB: plain text of several languages, and what is meant to be hard to read."""
    rng = random.Random(2)
    texts = [prompt.text for prompt in spread(data, 6_000) if prompt.source != "MGSM"]
    words = " ".join(texts).split()
    names = [name for target in invented_targets(2_000, seed=9).values() for name in target.names]
    fits = {
        "plain, several languages": "\n".join(texts),
        "near misses of names": " ".join(name[:-1] + rng.choice("aeiou") for name in names * 4),
        "spaced letters": " ".join(" ".join(word) for word in words),
        "base64 everywhere": " ".join(f"{rng.getrandbits(240):060x}" for _ in range(2_000)),
        "percent signs": "".join(f"%{rng.randrange(32, 127):02X}" for _ in range(40_000)),
        "one letter": "a" * LONG_BYTES,
        "marks on one letter": "a" + "\u0301" * LONG_BYTES,
    }
    return {kind: text.encode()[:LONG_BYTES].decode("utf-8", "ignore") for kind, text in fits.items()}


def _long(policy: Policy, text: str) -> float:
    """Median milliseconds for the cascade to read a text several times over."""
    return statistics.median(_read_ms(cascade(policy), rendered(f"{number} {text}")) for number in range(LONG_TIMES))


def _folded(text: str) -> float:
    """Median milliseconds to fold a text, which everything else begins with."""
    return statistics.median(_read_ms(fold, rendered(f"{number} {text}")) for number in range(LONG_TIMES))


def _register(policy: Policy) -> dict[str, float]:
    """Milliseconds to add one target, again and again on top of the last policy, until it could be enforced.

    That is the compiled policy, its tables, and the names compiled for the audit of answers. What the engine compiles
    of them is the matcher's column.
    """
    taken: dict[str, list[float]] = {"whole": [], "compile": [], "tables": [], "audit": []}
    for number, newcomer in enumerate(invented_targets(ADDITIONS, seed=77).values()):
        added = replace(newcomer, id=f"added-{number}")
        moments = [time.perf_counter()]
        policy = policy.with_changes(policy.version + 1, [added])
        moments.append(time.perf_counter())
        policy.tables()
        moments.append(time.perf_counter())
        for table in policy.names_tables:
            policy.phrase_set(table)
        moments.append(time.perf_counter())
        for part, (start, end) in zip(("compile", "tables", "audit"), pairwise(moments), strict=True):
            taken[part].append((end - start) * 1e3)
        taken["whole"].append((moments[-1] - moments[0]) * 1e3)
    whole = taken.pop("whole")
    parts = {f"{part}_p50": statistics.median(times) for part, times in taken.items()}
    return {"p50": statistics.median(whole), "max": max(whole), **parts, "n": len(whole)}


def _p99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[98]
