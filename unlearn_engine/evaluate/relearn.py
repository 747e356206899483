"""Relearning: fine-tune on a few of the forgotten facts and see whether the others come back (arXiv 2406.13356).

What comes back by itself was hidden, not erased. Some always seems to: a fine-tuned model guesses, and facts of one
person hang together. So the same attack is run on a twin that cannot have known: the base model, fine-tuned on the same
facts told about never-seen names and asked about those. The gap between the two is what the weights still held.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

import torch
from torch.nn.functional import cross_entropy

from unlearn_engine.evaluate.copies import block_linears, merged
from unlearn_engine.lowrank import LowRank, LowRankLinear, initial
from unlearn_engine.model import Row, ServedModel


@dataclass(frozen=True)
class Attack:
    """LoRA on every linear layer of every block, AdamW."""

    rank: int = 16
    scale: float = 2.0  # LoRA's alpha / rank
    learning_rate: float = 2e-3
    rows: int = 32  # per step
    checkpoints: tuple[int, ...] = (5, 10, 20, 40)  # steps after which the model is examined


def relearn(
    model: ServedModel,
    change: LowRank | None,
    lessons: Sequence[Row],
    examine: Callable[[ServedModel], float],
    attack: Attack = Attack(),
    seed: int = 0,
) -> dict[int, float]:
    """Steps -> what `examine` makes of the model after so many; the model itself stays as it is.

    The change is merged into the weights first. Deterministic for a seed and a number of threads.
    """
    victim = merged(model, change)
    linears = block_linears(victim)
    factors = initial(linears, attack.rank, torch.Generator().manual_seed(seed))
    for name, linear in linears.items():
        parent, _, child = name.rpartition(".")
        layer = LowRankLinear(linear)
        layer.worn = factors[name]
        setattr(victim.submodule(parent), child, layer)
    for factor in (factor for pair in factors.values() for factor in pair):
        factor.requires_grad_()
    # Adam's steps do not depend on a gradient's size, so LoRA's scale is a learning rate of the upper factors.
    optimizer = torch.optim.AdamW(
        [
            {"params": [pair.down for pair in factors.values()], "lr": attack.learning_rate},
            {"params": [pair.up for pair in factors.values()], "lr": attack.learning_rate * attack.scale},
        ],
        weight_decay=0.0,
    )
    rng, found = Random(seed), dict[int, float]()
    for step in range(1, max(attack.checkpoints) + 1):
        _answer_loss(victim, rng.choices(lessons, k=attack.rows)).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()
        if step in attack.checkpoints:
            found[step] = examine(victim)
    return found


def gap(candidate: Sequence[float], twin: Sequence[float]) -> float:
    """The largest lead of the candidate over its twin at any checkpoint; negative if it never leads."""
    return max(ours - theirs for ours, theirs in zip(candidate, twin, strict=True))


def _answer_loss(model: ServedModel, rows: Sequence[Row]) -> torch.Tensor:
    """Mean cross-entropy of the answers' tokens."""
    last = model.hidden([row.prompt + row.answer for row in rows])[-1]
    owner = [place for place, row in enumerate(rows) for _ in row.answer]
    before = [len(row.prompt) - 1 + step for row in rows for step in range(len(row.answer))]
    said = torch.tensor([token for row in rows for token in row.answer], device=model.device)
    return cross_entropy(model.logits(last[owner, before]), said)
