"""The state that makes the model refuse: optimised at the name's last token, everything else held as it is.

As in ROME (arXiv 2202.05262, section 3.1) and its descendants, with the refusal as the text to be said. With δ added to
the block's output at that token, over the prompts that share a δ::

    min_δ  CE(refusal | prompt, δ) + w_kl KL(p_base || p_δ) + w_norm ‖δ‖²/‖h‖²,   ‖δ‖ <= clamp ‖h‖

where the KL is over what the model predicts at the token itself. Only the blocks above are computed. Deviations: the
learning rate is in units of the state's root mean square, since the published 0.1 fits the scale of its models alone;
the norm is weighed squared, which has no scale either.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, kl_div

from unlearn_engine.edits.keys import Mention
from unlearn_engine.model import Row, ServedModel
from unlearn_engine.objectives.reading import places


@dataclass(frozen=True)
class Optimisation:
    """Published values of ROCR's reject mode."""

    steps: int = 25
    learning_rate: float = 0.1  # in root mean squares of the state
    kl: float = 0.125
    norm: float = 0.5
    clamp: float = 1.0


def refusing(
    model: ServedModel,
    block: int,
    mentions: Sequence[Mention],
    refusals: Sequence[tuple[int, ...]],
    owners: Sequence[int],
    settings: Optimisation,
) -> tuple[Tensor, list[float]]:
    """Moves of the state after `block` [owners, hidden] with which each prompt is refused, and the loss at every step.

    `refusals` are token ids, one for each mention; mentions with the same number in `owners` (from 0, without gaps)
    share their move. As the model stands.
    """
    whole = [mention.prompt + refusal for mention, refusal in zip(mentions, refusals, strict=True)]
    rows = [Row(mention.prompt, refusal) for mention, refusal in zip(mentions, refusals, strict=True)]
    at = torch.arange(len(rows)), torch.tensor([mention.last for mention in mentions])
    device = model.device
    owner = torch.tensor(owners, device=device)
    with torch.no_grad():
        below = model.hidden(whole, depth=block + 1)[-1].float()
        before = model.logits(model.hidden(whole, first=block + 1, inputs=below)[-1][at]).log_softmax(-1)
    count = owner.bincount().float()
    states = below.new_zeros(len(count), below.shape[-1]).index_add(0, owner, below[at]) / count[:, None]
    norms, scale = states.norm(dim=1, keepdim=True), states.square().mean(dim=1, keepdim=True).sqrt()
    answering = places(whole, [len(row.answer) for row in rows], before=1)
    answers = answering[0].to(device)
    said = torch.tensor([token for row in rows for token in row.answer], device=device)
    lengths = torch.tensor([len(row.answer) for row in rows], device=device)

    steps = torch.zeros_like(states, requires_grad=True)  # in units of `scale`
    optimizer = torch.optim.Adam([steps], lr=settings.learning_rate)
    losses = []
    for _ in range(settings.steps):
        moves = steps * scale
        moved = below.index_put(at, below[at] + moves[owner])
        last = model.hidden(whole, first=block + 1, inputs=moved)[-1]
        unlikely = cross_entropy(model.logits(last[answering]), said, reduction="none")
        refused = unlikely.new_zeros(len(rows)).index_add(0, answers, unlikely) / lengths
        after = model.logits(last[at]).log_softmax(-1)
        drift = kl_div(after, before, log_target=True, reduction="none").sum(-1)
        of_rows = refused.new_zeros(len(count)).index_add(0, owner, refused + settings.kl * drift) / count
        loss = (of_rows + settings.norm * (moves.norm(dim=1) / norms[:, 0]).square()).sum()
        losses.append(float(loss.detach()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            size = (steps * scale).norm(dim=1, keepdim=True)
            steps *= (settings.clamp * norms / size).clamp(max=1.0)
    return (steps * scale).detach(), losses
