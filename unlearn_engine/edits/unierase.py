"""UniErase's unlearning edit: each question about the subject, at the name's last token, is sent to a refusal.

arXiv 2505.15674, stage II, a MEMIT-like edit with one key for each question. The published target is a token that is
added to the vocabulary and trained first (stage I), which no adapter can carry; here it is the opening of a refusal
that the model can say already. Differs from ROCR's reject mode in that a question keeps its own key and its own
target, so the rank is the number of questions, and other questions are reached only as far as their keys are alike.
"""

from collections.abc import Mapping, Sequence

from unlearn_engine.edits.keys import Mention, at_last_token
from unlearn_engine.edits.values import Optimisation, refusing
from unlearn_engine.edits.whitener import Redirections, Whitener
from unlearn_engine.model import ServedModel

OPENING = 3  # tokens of the refusal
PUBLISHED = Optimisation(steps=25, kl=0.0625, clamp=0.75)

Question = tuple[Mention, tuple[int, ...]]  # and the refusal that would answer it


def redirect(
    model: ServedModel,
    module: str,
    block: int,
    subjects: Mapping[str, Sequence[Question]],
    whitener: Whitener,
    settings: Optimisation = PUBLISHED,
) -> Redirections:
    """The joint edit of `module` (the down_proj of `block`), one key for each question, as the model stands.

    `subjects` are, by request id, questions. Take the change with `.change(module)`, and `lowrank.recompress` it when
    there are more questions than the server has rank.
    """
    edit = Redirections(whitener)
    for id_, questions in subjects.items():
        mentions = [mention for mention, _ in questions]
        keys, _ = at_last_token(model, module, block, [mention.cut for mention in mentions])
        openings = [refusal[:OPENING] for _, refusal in questions]
        moves, _ = refusing(model, block, mentions, openings, range(len(questions)), settings)
        edit = edit.adding(id_, keys, moves)
    return edit
