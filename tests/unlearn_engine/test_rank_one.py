"""The closed-form edit does exactly what was asked, for all subjects at once, and little else."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from unlearn_engine.edits.rank_one import second_moment, solve


def normal(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@given(subjects=st.integers(1, 6), seed=st.integers(0, 50), ridge=st.sampled_from([1e-6, 1e-2, 1.0]))
def test_every_key_moves_as_asked(subjects: int, seed: int, ridge: float) -> None:
    keys, moves = normal(subjects, 32, seed=seed), normal(subjects, 12, seed=seed + 1)
    down, up = solve(keys, moves, second_moment(normal(100, 32, seed=seed + 2), ridge))
    assert down.shape == (subjects, 32) and up.shape == (12, subjects)
    assert torch.allclose(up @ (down @ keys.T), moves.T, atol=1e-4)


def test_keys_that_stay_are_hardly_moved() -> None:
    kept = normal(200, 8, seed=1) @ normal(8, 32, seed=2)  # what stays lives in 8 of 32 directions
    keys, moves = normal(2, 32, seed=3), normal(2, 12, seed=4)
    down, up = solve(keys, moves, second_moment(kept, 1e-4))
    moved = (kept @ down.T @ up.T).norm(dim=1) / kept.norm(dim=1)
    asked = moves.norm(dim=1) / keys.norm(dim=1)
    assert moved.max() < 0.02 * asked.min()


def test_withdrawing_is_exact() -> None:
    keys, moves, moment = normal(3, 32, seed=5), normal(3, 12, seed=6), second_moment(normal(99, 32, seed=7))
    alone = solve(keys[:2], moves[:2], moment)
    joint = solve(keys, moves, moment)
    assert torch.equal(solve(keys[:2], moves[:2], moment).down, alone.down)
    order = torch.tensor([2, 0, 1])
    shuffled = solve(keys[order], moves[order], moment)
    assert torch.allclose(shuffled.up @ shuffled.down, joint.up @ joint.down, atol=1e-5)


def test_a_joint_edit_is_not_a_sum_of_edits() -> None:
    shared = normal(1, 32, seed=8)
    keys, moves = shared + 0.3 * normal(4, 32, seed=9), normal(4, 12, seed=10)
    moment = second_moment(normal(99, 32, seed=11))
    single = [solve(keys[i : i + 1], moves[i : i + 1], moment) for i in range(4)]
    summed = sum((up @ down for down, up in single), torch.zeros(12, 32))
    joint = solve(keys, moves, moment)
    assert (joint.up @ joint.down @ keys.T - moves.T).norm() < 1e-3 < 0.5 < (summed @ keys.T - moves.T).norm()
