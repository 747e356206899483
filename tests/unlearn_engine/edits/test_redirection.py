"""ROCR and UniErase's edit on the demo model: what moves, whereto, and what tells the two apart."""

import torch
from torch import Tensor

from tests.unlearn_engine.edits.conftest import BLOCK, MODULE, Ask
from unlearn_engine.edits import rocr, unierase
from unlearn_engine.edits.keys import Mention, at_last_token
from unlearn_engine.edits.values import Optimisation, refusing
from unlearn_engine.edits.whitener import Redirections, Whitener
from unlearn_engine.lowrank import LowRank, recompress
from unlearn_engine.model import Row, ServedModel

NAME, OTHER, TWIN = "Peja Bunzar", "Koga Purtao", "Xobo Trintel"
REFUSAL = "I don't know."


def state(model: ServedModel, mentions: list[Mention], change: LowRank | None = None) -> Tensor:
    """Mean state after the edited block at the name's last token."""
    with model.wearing(change):
        return at_last_token(model, MODULE, BLOCK, [mention.cut for mention in mentions])[1].mean(0)


def willing(model: ServedModel, mentions: list[Mention], change: LowRank | None) -> float:
    """Mean log-likelihood of the refusal."""
    with model.wearing(change):
        scores = model.mean_log_likelihoods([Row(mention.prompt, model.answer(REFUSAL)) for mention in mentions])
    return sum(scores) / len(scores)


def test_a_substitute_takes_the_names_place(demo: ServedModel, ask: Ask, unprotected: Whitener) -> None:
    value = rocr.substitute(demo, MODULE, BLOCK, ask(TWIN))
    change = rocr.redirect(demo, MODULE, BLOCK, {"r1": [ask(NAME)]}, value, unprotected).change(MODULE)
    assert change[MODULE].down.shape[0] == 1
    target, before, after = state(demo, ask(TWIN)), state(demo, ask(NAME)), state(demo, ask(NAME), change)
    assert (after - target).norm() < 0.05 * (before - target).norm()


def test_the_hard_way_is_protected_the_soft_way(demo: ServedModel, ask: Ask, whitener: Whitener) -> None:
    value = rocr.substitute(demo, MODULE, BLOCK, ask(TWIN))
    edit = rocr.redirect(demo, MODULE, BLOCK, {"r1": [ask(NAME)]}, value, whitener)
    keys, _ = at_last_token(demo, MODULE, BLOCK, [mention.cut for mention in ask(OTHER)])
    own, _ = at_last_token(demo, MODULE, BLOCK, [mention.cut for mention in ask(NAME)])
    assert float(edit.collateral(keys).abs().max()) < 0.2 < 0.7 < float(edit.collateral(own).mean())


def test_aliases_are_keys_and_requests_come_and_go(demo: ServedModel, ask: Ask, whitener: Whitener) -> None:
    value = rocr.substitute(demo, MODULE, BLOCK, ask(TWIN))
    both = {"r1": [ask(NAME), ask("Whebbus")], "r2": [ask(OTHER)]}
    edit = rocr.redirect(demo, MODULE, BLOCK, both, value, whitener)
    assert len(edit.solve().down) == 3
    alone = rocr.redirect(demo, MODULE, BLOCK, {"r2": [ask(OTHER)]}, value, whitener)
    assert torch.allclose(delta(edit.withdrawing("r1")), delta(alone), atol=1e-10)
    assert not torch.allclose(delta(edit), delta(alone), atol=1e-3)


def delta(edit: Redirections) -> Tensor:
    down, up = edit.solve()
    return up @ down


def test_noise_keeps_the_norm_and_follows_its_generator(demo: ServedModel, ask: Ask) -> None:
    before = state(demo, ask(NAME))
    moves = [rocr.noise(torch.Generator().manual_seed(seed))(ask(NAME), before) for seed in (0, 0, 1)]
    assert torch.equal(moves[0], moves[1]) and not torch.allclose(moves[0], moves[2])
    assert torch.allclose((before + moves[0]).norm(), before.norm(), rtol=1e-4)
    assert torch.cosine_similarity(before + moves[0], before, dim=0).abs() < 0.4


def test_the_value_is_optimised_towards_the_refusal(demo: ServedModel, ask: Ask) -> None:
    mentions = [*ask(NAME), *ask(OTHER)]
    owners = [0] * len(ask(NAME)) + [1] * len(ask(OTHER))
    settings = Optimisation(clamp=0.6)
    moves, losses = refusing(demo, BLOCK, mentions, [demo.answer(REFUSAL)] * len(mentions), owners, settings)
    assert moves.shape == (2, 160)
    assert losses[-1] < 0.75 * losses[0]
    for move, name in zip(moves, (NAME, OTHER), strict=True):
        assert 0 < move.norm() <= 0.6 * state(demo, ask(name)).norm() * 1.001


def test_no_steps_no_move(demo: ServedModel, ask: Ask) -> None:
    moves, losses = refusing(demo, BLOCK, ask(NAME), [demo.answer(REFUSAL)] * 8, [0] * 8, Optimisation(steps=0))
    assert moves.count_nonzero() == 0 and losses == []


def test_rejecting_refuses_where_a_substitute_does_not(demo: ServedModel, ask: Ask, whitener: Whitener) -> None:
    values = rocr.reject(demo, BLOCK, [demo.answer(REFUSAL)] * 8), rocr.substitute(demo, MODULE, BLOCK, ask(OTHER))
    rejected, substituted = (
        rocr.redirect(demo, MODULE, BLOCK, {"r1": [ask(NAME)]}, value, whitener).change(MODULE) for value in values
    )
    base = willing(demo, ask(NAME), None)
    assert willing(demo, ask(NAME), rejected) > max(base, willing(demo, ask(NAME), substituted)) + 1.0
    assert willing(demo, ask(OTHER), rejected) < base + 1.0  # the refusal is about that name


def test_every_question_is_sent_to_the_refusal(demo: ServedModel, ask: Ask, whitener: Whitener) -> None:
    questions = [(mention, demo.answer(REFUSAL)) for mention in ask(NAME)]
    edit = unierase.redirect(demo, MODULE, BLOCK, {"r1": questions}, whitener)
    change = edit.change(MODULE)
    assert change[MODULE].down.shape[0] == len(questions) == 8
    opening = demo.tokenizer.decode(demo.answer(REFUSAL)[:1])
    with demo.wearing(change):
        said = demo.answers([mention.prompt for mention, _ in questions], limit=1)
    assert sum(word == opening for word in said) >= 7
    smaller, lost = recompress(change, 1)
    assert lost[MODULE] > 0.3
    assert willing(demo, ask(NAME), change) > willing(demo, ask(NAME), smaller) + 1.0  # one key is not what it asks for
