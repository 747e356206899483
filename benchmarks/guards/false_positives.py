"""How many benign prompts are taken for a target's, with a thousand targets."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.guards.benign import (
    Prompt,
    common_words,
    described_others,
    namesakes,
    other_authors,
    public,
    siblings,
)
from benchmarks.guards.shares import Share, rows
from benchmarks.guards.subjects import crowd, rendered, tofu_authors
from gateway.guards.descriptions import PRECISION_BITS
from gateway.guards.encoder import AUTO, load_encoder
from gateway.guards.policy import compile_policy

TARGETS = 1_000
EXAMPLES = 12

BESIDE = (
    "strangers",
    "exercises",
    "common facts, nobody",
    "descriptions of others",
    "descriptions of others, other words",
    "namesakes, a letter off",
)
"""Prompts made up for this: easy ones, and those that are near some target by construction."""

Tell = Callable[[str, float], None]


@dataclass(frozen=True)
class Reading:
    """Which of the guard's two readers took a benign prompt for somebody's; `strictly`: under `precision`, too."""

    prompt: Prompt
    named: bool
    described: bool
    strictly: bool = False

    @property
    def flagged(self) -> bool:
        return self.named or self.described


def measure(tell: Tell, data: Path, every: int = 1) -> dict[str, Any]:
    """Rates by source and by language; every `every`-th prompt is read.

    The rate over all leaves out the sources in `BESIDE`, which have rows of their own, and texts that the guard's table
    of ordinary words was made of.
    """
    forgotten, _, _ = tofu_authors(data)
    targets = crowd(forgotten, TARGETS)
    encoder = load_encoder(AUTO)
    policy = compile_policy(1, targets, encoder=encoder)
    strict = compile_policy(1, targets, encoder=encoder, least_bits=PRECISION_BITS)
    people = [*targets.values()]
    made_up = (namesakes(people), siblings(data, people), common_words(), described_others())
    sources = (public(data), other_authors(data), *made_up)
    prompts = [prompt for source in sources for prompt in islice(source, 0, None, every)]
    read: list[Reading] = []
    for done, prompt in enumerate(prompts):
        if done % 100 == 0:
            tell(prompt.source, done / len(prompts))
        text = rendered(prompt.text)
        described = bool(policy.described(text))
        strictly = described and bool(strict.described(text))
        read.append(Reading(prompt, bool(policy.examine(text)), described, strictly))
    return {
        **tallied(read),
        "fpr_targets": len(targets),
        "fpr_phrases": sum(len(target.phrases) for target in targets.values()),
    }


def tallied(read: Sequence[Reading]) -> dict[str, Any]:
    """Rates of what was read, with bounds."""
    public = [one for one in read if one.prompt.source not in BESIDE]
    counted = [one for one in public if not one.prompt.seen]
    whole = Share.of(one.flagged for one in counted)
    languages = _by(counted, lambda one: one.prompt.language)
    mistaken = [
        f"{one.prompt.source}, {one.prompt.language}: {one.prompt.text[:200]}" for one in counted if one.flagged
    ]
    return {
        "fpr": whole.share,
        "fpr_upper": whole.upper,
        "fpr_upper_worst_language": max(row["upper"] for row in languages.values()),
        "fpr_all": whole.row(),
        "fpr_names": Share.of(one.named for one in counted).row(),
        "fpr_descriptions": Share.of(one.described for one in counted).row(),
        "fpr_precision": Share.of(map(_strictly, counted)).row(),
        "fpr_precision_by_language": _by(counted, lambda one: one.prompt.language, _strictly),
        "fpr_seen": Share.of(one.flagged for one in public if one.prompt.seen).row() if counted != public else None,
        "fpr_beside": _by((one for one in read if one.prompt.source in BESIDE), lambda one: one.prompt.source),
        "fpr_by_source": _by(counted, lambda one: one.prompt.source),
        "fpr_by_language": languages,
        "fpr_by_source_and_language": _by(counted, lambda one: f"{one.prompt.source}, {one.prompt.language}"),
        "fpr_examples": mistaken[:EXAMPLES],
    }


def _by(
    read: Iterable[Reading],
    label: Callable[[Reading], str],
    flagged: Callable[[Reading], bool] = lambda one: one.flagged,
) -> dict[str, Any]:
    groups: dict[str, list[bool]] = {}
    for one in read:
        groups.setdefault(label(one), []).append(flagged(one))
    return rows(groups)


def _strictly(read: Reading) -> bool:
    """Whether a prompt is flagged under `precision`."""
    return read.named or read.strictly
