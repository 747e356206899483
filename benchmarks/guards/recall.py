"""How many of the prompts that mean somebody are recognised, by kind of mention."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from benchmarks.guards.mentions import Mention, Mentions
from benchmarks.guards.shares import Share, rows
from benchmarks.guards.subjects import demo_targets, invented_targets, recognised
from gateway.guards.descriptions import PRECISION_BITS
from gateway.guards.encoder import AUTO, load_encoder
from gateway.guards.policy import Policy, compile_policy
from unlearn_engine.demo.world import build_world

MENTIONS = 960  # of each kind: twelve of everybody
CROWD = 1_000
MISSES_KEPT = 5  # examples of each kind, of people who do not exist

Tell = Callable[[str, float], None]


def measure(tell: Tell, mentions: int = MENTIONS) -> dict[str, Any]:
    """Recall by kind with everybody of the demonstration a target; a hit names the right person."""
    world = build_world()
    targets = demo_targets(world)
    encoder = load_encoder(AUTO)
    policy = compile_policy(1, targets, encoder=encoder)
    # A policy whose requests came without an alias and with `guard_only`: nothing but the name is known.
    bare = compile_policy(1, {id_: replace(t, names=t.names[:1], phrases=()) for id_, t in targets.items()})
    crowded = compile_policy(1, targets | invented_targets(CROWD - len(targets), seed=5), encoder=encoder)
    strict = compile_policy(1, targets, encoder=encoder, least_bits=PRECISION_BITS)
    kinds = Mentions(world).kinds()
    detail: dict[str, Any] = {}
    for done, (kind, draw) in enumerate(kinds.items()):
        tell(kind, done / len(kinds))
        drawn = draw(mentions)
        detail[kind] = {
            **_found(policy, drawn),
            "names_alone": _share(bare, drawn).row(),
            f"among_{CROWD}": _share(crowded, drawn).row(),
            "precision": _share(strict, drawn).row(),
        }
    return {
        "recall": {kind: found["share"] for kind, found in detail.items()},
        "recall_lower": {kind: found["lower"] for kind, found in detail.items()},
        "recall_detail": detail,
        "recall_targets": len(targets),
    }


def _share(policy: Policy, drawn: list[Mention]) -> Share:
    return Share.of(f"demo-{mention.person.id}" in recognised(policy, mention.text) for mention in drawn)


def _found(policy: Policy, drawn: list[Mention]) -> dict[str, Any]:
    outcomes = [f"demo-{mention.person.id}" in recognised(policy, mention.text) for mention in drawn]
    by_label: dict[str, list[bool]] = {}
    for mention, hit in zip(drawn, outcomes, strict=True):
        by_label.setdefault(mention.label, []).append(hit)
    misses = [mention.text for mention, hit in zip(drawn, outcomes, strict=True) if not hit]
    printable = [text.encode("utf-8", "replace").decode() for text in misses[:MISSES_KEPT]]
    return {**Share.of(outcomes).row(), "by_label": rows(by_label), "misses": printable}
