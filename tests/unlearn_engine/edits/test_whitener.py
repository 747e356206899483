"""The joint solve: optimal, exact under adding and withdrawing, blind to order, predictable for neighbours."""

import random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from unlearn_engine.edits.whitener import Protection, Redirections, Whitener

INPUTS, OUTPUTS = 32, 12
IDS = ("a", "b", "c", "d", "e")


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def spectrum(seed: int) -> Tensor:
    """Keys that stay, with an uneven spectrum."""
    return normal(400, INPUTS, seed=seed) * torch.logspace(0.5, -2, INPUTS, dtype=torch.float64)


def asked(id_: str, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Two correlated keys of one request, and where they go."""
    number = 100 * seed + 10 * ord(id_)
    shared = normal(1, INPUTS, seed=99)
    return shared + 0.3 * normal(2, INPUTS, seed=number), normal(2, OUTPUTS, seed=number + 1)


def joint(whitener: Whitener, ids: str | tuple[str, ...], seed: int = 0) -> Redirections:
    edit = Redirections(whitener)
    for id_ in ids:
        edit = edit.adding(id_, *asked(id_, seed))
    return edit


def dense(edit: Redirections) -> Tensor:
    down, up = edit.solve()
    return up @ down


LIGHT = Protection(ridge=1e-3)
PROTECTIONS = (LIGHT, Protection(ridge=0.1, kept=0.0, threshold=0.5), Protection(ridge=1e-3, kept=30.0, threshold=2.0))


@pytest.mark.parametrize("protection", PROTECTIONS)
def test_it_is_the_regularised_least_squares_solution(protection: Protection) -> None:
    kept, neighbours = spectrum(1), normal(5, INPUTS, seed=2)
    whitener = Whitener.of(kept, protection, neighbours)
    moment = kept.T @ kept / len(kept)
    scale, identity = moment.diagonal().mean(), torch.eye(INPUTS, dtype=torch.float64)
    energies, directions = torch.linalg.eigh(moment)
    off = directions[:, energies > (protection.threshold or torch.inf) * scale]
    projector = identity - off @ off.T
    metric = protection.ridge * scale * identity + protection.kept * moment
    metric += protection.neighbours * projector @ neighbours.T @ neighbours @ projector
    edit = joint(whitener, IDS)
    keys = torch.cat([asked(id_)[0] for id_ in IDS]) @ projector
    moves = torch.cat([asked(id_)[1] for id_ in IDS])
    direct = torch.linalg.solve(metric + keys.T @ keys, keys.T @ moves).T
    assert torch.allclose(dense(edit), direct, atol=1e-10)
    assert len(edit.solve().down) == 10


def test_with_the_hard_projector_alone_it_is_the_published_update() -> None:
    kept = spectrum(3)
    whitener = Whitener.of(kept, Protection(ridge=0.5, kept=0.0, threshold=0.5))
    strength = 0.5 * float((kept.T @ kept / len(kept)).diagonal().mean())
    keys, moves = asked("a")
    key, move = whitener.project(keys)[0], moves[0]
    edit = Redirections(whitener).adding("a", keys[:1], moves[:1])
    assert torch.allclose(dense(edit), torch.outer(move, key) / (strength + key @ key), atol=1e-12)


@given(seed=st.integers(0, 30), protection=st.sampled_from(PROTECTIONS))
def test_adding_and_withdrawing_equal_a_fresh_solve_in_any_order(seed: int, protection: Protection) -> None:
    whitener = Whitener.of(spectrum(seed), protection)
    edit = joint(whitener, IDS, seed)
    order = random.Random(seed).sample(IDS, len(IDS))
    assert torch.allclose(dense(joint(whitener, tuple(order), seed)), dense(edit), atol=1e-10)
    gone = order[0]
    left = dense(edit.withdrawing(gone))
    assert torch.allclose(left, dense(joint(whitener, tuple(order[1:]), seed)), atol=1e-10)
    assert not torch.allclose(left, dense(edit), atol=1e-3)
    again = edit.withdrawing(gone).adding(gone, *asked(gone, seed))
    assert torch.allclose(dense(again), dense(edit), atol=1e-10)


def test_one_after_the_other_with_a_cache_is_the_same() -> None:
    """AlphaEdit's sequence: each request is solved for what is still missing, earlier keys held by C = Σ k kᵀ."""
    whitener = Whitener.of(spectrum(4), LIGHT)
    metric = whitener.root @ whitener.root.T
    total = torch.zeros(OUTPUTS, INPUTS, dtype=torch.float64)
    for id_ in IDS:
        keys, moves = asked(id_)
        metric = metric + keys.T @ keys
        total = total + torch.linalg.solve(metric, keys.T @ (moves - keys @ total.T)).T
    assert torch.allclose(total, dense(joint(whitener, IDS)), atol=1e-10)


def test_a_sum_of_single_edits_is_something_else() -> None:
    whitener = Whitener.of(spectrum(5), LIGHT)
    summed = sum((dense(joint(whitener, id_)) for id_ in IDS), torch.zeros(OUTPUTS, INPUTS, dtype=torch.float64))
    keys, moves = (torch.cat(parts) for parts in zip(*map(asked, IDS), strict=True))
    missed = [((change @ keys.T).T - moves).norm() / moves.norm() for change in (dense(joint(whitener, IDS)), summed)]
    assert missed[0] < 0.3 < 1.0 < missed[1]


def test_protected_directions_are_not_read_at_all() -> None:
    kept = normal(50, 6, seed=6) @ normal(6, INPUTS, seed=7)  # what stays lives in 6 directions
    edit = joint(Whitener.of(kept, Protection(ridge=1e-3, threshold=1e-9)), IDS)
    assert (dense(edit) @ kept.T).abs().max() < 1e-9
    soft = joint(Whitener.of(kept, Protection(ridge=1e-3, kept=1000.0)), IDS)
    leak = (dense(soft) @ kept.T).norm() / kept.norm()
    open_ = joint(Whitener.of(kept, Protection(ridge=1e-3, kept=0.0)), IDS)
    assert 1e-9 < leak < 0.05 * (dense(open_) @ kept.T).norm() / kept.norm()


def test_collateral_is_told_without_running_anything() -> None:
    edit = joint(Whitener.of(spectrum(8), LIGHT, normal(3, INPUTS, seed=9)), IDS)
    others = normal(7, INPUTS, seed=10)
    moves = torch.cat([asked(id_)[1] for id_ in IDS])
    assert torch.allclose(edit.collateral(others) @ moves, others @ dense(edit).T, atol=1e-10)


def test_listed_neighbours_are_spared() -> None:
    neighbours = normal(1, INPUTS, seed=99) + 0.3 * normal(4, INPUTS, seed=11)
    spared = joint(Whitener.of(spectrum(12), Protection(ridge=1e-3, neighbours=1e4), neighbours), IDS)
    unlisted = joint(Whitener.of(spectrum(12), LIGHT), IDS)
    assert spared.collateral(neighbours).norm() < 0.05 * unlisted.collateral(neighbours).norm()
    moves = torch.cat([asked(id_)[1] for id_ in IDS])
    keys = torch.cat([asked(id_)[0] for id_ in IDS])
    assert ((dense(spared) @ keys.T).T - moves).norm() < 0.35 * moves.norm()


def test_an_exact_move_needs_no_protection() -> None:
    keys, moves = asked("a")
    edit = Redirections(Whitener.of(spectrum(13), Protection(ridge=1e-10, kept=0.0))).adding("a", keys, moves)
    assert torch.allclose((dense(edit) @ keys.T).T, moves, atol=1e-6)


def test_nobody_cannot_be_solved_for() -> None:
    with pytest.raises(ValueError, match="nobody"):
        Redirections(Whitener.of(spectrum(14), LIGHT)).solve()
