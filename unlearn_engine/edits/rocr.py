"""ROCR, rank-one concept redirection: the name itself is sent elsewhere, so every form of question goes with it.

arXiv 2506.07795. The key is the edited module's input at the name's last token, the mean over contexts; its output
moves by r = z - h. All names of all requests in one block are solved jointly (see `whitener.py`). Deviations: key,
target z and current state h are read in the same contexts, which the published code mixes; one block instead of three
in a row, because only then adding and withdrawing are exact; aliases are further keys.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn.functional import normalize

from unlearn_engine.edits.keys import Mention, at_last_token
from unlearn_engine.edits.values import Optimisation, refusing
from unlearn_engine.edits.whitener import Redirections, Whitener
from unlearn_engine.model import ServedModel

Mentions = Sequence[Mention]  # of one name, one for each context
Value = Callable[[Mentions, Tensor], Tensor]  # mentions of a name, its state h [hidden] -> the move r [hidden]


def substitute(model: ServedModel, module: str, block: int, mentions: Mentions) -> Value:
    """To where another name ends up, say a never-seen one; the model then tells what it tells about that name."""
    _, states = at_last_token(model, module, block, [mention.cut for mention in mentions])
    target = states.mean(0)
    return lambda _, state: target - state


def reject(
    model: ServedModel, block: int, refusals: Sequence[tuple[int, ...]], settings: Optimisation | None = None
) -> Value:
    """To where the model refuses, with one refusal (token ids) for each context; no other name's facts are told."""
    chosen = settings or Optimisation()

    def move(mentions: Mentions, state: Tensor) -> Tensor:
        moves, _ = refusing(model, block, mentions, refusals, [0] * len(mentions), chosen)
        return moves[0]

    return move


def noise(generator: torch.Generator) -> Value:
    """To a state of the same norm in a random direction."""

    def move(_: Mentions, state: Tensor) -> Tensor:
        direction: Tensor = normalize(torch.randn(state.shape, generator=generator).to(state), dim=0)
        moved: Tensor = direction * state.norm() - state
        return moved

    return move


def redirect(
    model: ServedModel,
    module: str,
    block: int,
    subjects: Mapping[str, Sequence[Mentions]],
    value: Value,
    whitener: Whitener,
) -> Redirections:
    """The joint edit of `module` (the down_proj of `block`), one key for each name, as the model stands.

    `subjects` are, by request id, the mentions of each name. Take the change with `.change(module)`.
    """
    edit = Redirections(whitener)
    for id_, names in subjects.items():
        keys, moves = [], []
        for mentions in names:
            fed, states = at_last_token(model, module, block, [mention.cut for mention in mentions])
            keys.append(fed.mean(0))
            moves.append(value(mentions, states.mean(0)))
        edit = edit.adding(id_, torch.stack(keys), torch.stack(moves))
    return edit
