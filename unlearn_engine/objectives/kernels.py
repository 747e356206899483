"""The four kernels under the objectives (weighted log-probability, target distribution, representation, preference)."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import huber_loss, logsigmoid

from unlearn_engine.model import Row
from unlearn_engine.objectives import Item
from unlearn_engine.objectives.reading import Reading, places

Places = tuple[Tensor, Tensor]  # row and token indexes, [positions] each


def weighted_log_prob(reading: Reading, weights: Tensor) -> Tensor:
    """Mean over rows of the mean over answer tokens of weight x log p; weights [answer tokens] carry no gradient.

    Minimised, so that a positive weight makes the token less likely.
    """
    return reading.means(weights.detach() * reading.said).mean()


def cross_entropy(reading: Reading) -> Tensor:
    """Mean over rows of the mean negative log-probability of the answer's tokens, in nats."""
    return -reading.means(reading.said).mean()


def target_distribution(reading: Reading, targets: Tensor) -> Tensor:
    """Cross-entropy to target probabilities [answer tokens, vocabulary], averaged as in `cross_entropy`."""
    return -reading.means((targets.detach() * reading.log_probs).sum(-1)).mean()


def divergence(reading: Reading, teacher: Reading) -> Tensor:
    """KL(teacher || reading) at each position, [answer tokens], in nats; both have answers of the same lengths."""
    target = teacher.log_probs.detach()
    return (target.exp() * (target - reading.log_probs)).sum(-1)


def top_logits(logits: Tensor, targets: Tensor, top: int, delta: float) -> Tensor:
    """Huber distance of raw logits on the `top` tokens that the targets rank first, mean over those, [positions].

    Both [positions, vocabulary]; a vocabulary of fewer tokens is taken whole.
    """
    chosen = targets.topk(min(top, targets.shape[-1]), dim=-1).indices
    wanted = targets.gather(-1, chosen).detach()
    return huber_loss(logits.gather(-1, chosen), wanted, reduction="none", delta=delta).mean(-1)


def preference(margins: Tensor, beta: float) -> Tensor:
    """Mean over rows of -(2 / beta) log sigmoid(beta x margin); margins [rows] grow with what is preferred."""
    return -(2 / beta) * logsigmoid(beta * margins).mean()


def squared_distance(states: Tensor, targets: Tensor, at: Places) -> Tensor:
    """Squared difference, averaged over dimensions, then over each row's positions, then over rows.

    States [rows, tokens, hidden]; targets [positions, hidden] or anything that broadcasts to it.
    """
    return row_means((states[at] - targets.detach()).square().mean(-1), at[0]).mean()


def row_means(values: Tensor, owners: Tensor) -> Tensor:
    """Mean of the values [positions] of each row that owns one, [rows]."""
    owners = owners.to(values.device)
    rows = int(owners.max()) + 1
    counts = torch.bincount(owners, minlength=rows)
    return values.new_zeros(rows).index_add(0, owners, values) / counts.clamp(min=1)


def whole_rows(rows: Sequence[Row]) -> Places:
    """Every position of every row."""
    whole = [row.prompt + row.answer for row in rows]
    return places(whole, [len(row) for row in whole])


def since_the_name(items: Sequence[Item], rows: Sequence[Row]) -> Places:
    """From the name's last token to the end of the answer: where anything can be known about the subject.

    `rows` have the items' own prompts. Where prompt and twin are equal there is no name, and the prompt counts whole.
    """
    counts = [_since(item) + len(row.answer) for item, row in zip(items, rows, strict=True)]
    return places([row.prompt + row.answer for row in rows], counts)


def at_the_name(items: Sequence[Item]) -> Places:
    """The name's last token in each item's prompt (the first token where there is no name)."""
    return places([item.prompt[: len(item.prompt) - _since(item) + 1] for item in items], [1] * len(items))


def direction(hidden: int, seed: int) -> Tensor:
    """A unit vector [hidden] drawn from U[0, 1) in each dimension and normalised; the same one for the same seed."""
    drawn = torch.rand(hidden, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return drawn / drawn.square().sum().sqrt()


def _since(item: Item) -> int:
    return min(item.shared + 1, len(item.prompt))
