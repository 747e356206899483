"""Low-rank arithmetic agrees with the dense matrices that it never forms."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from unlearn_engine.lowrank import Factors, concatenate, overlaps, recompress, relative_norms, scaled, widened

NAME = "model.layers.0.mlp.down_proj"


def factors(rank: int, seed: int = 0, inputs: int = 48, outputs: int = 32) -> Factors:
    generator = torch.Generator().manual_seed(seed)
    return Factors(
        torch.randn(rank, inputs, generator=generator, dtype=torch.float64),
        torch.randn(outputs, rank, generator=generator, dtype=torch.float64),
    )


def dense(change: Factors) -> Tensor:
    return change.up @ change.down


def test_a_change_and_its_negative_are_nothing() -> None:
    change = {NAME: factors(5)}
    both = concatenate(change, scaled(change, -1.0))[NAME]
    assert dense(both).abs().max() < 1e-12
    assert torch.equal(dense(scaled(change, 0.0)[NAME]), torch.zeros(32, 48, dtype=torch.float64))


def test_a_widened_change_is_the_same_and_can_learn_more() -> None:
    change = {NAME: factors(5)}
    wider = widened(change, 8, torch.Generator().manual_seed(0))[NAME]
    assert torch.equal(dense(wider), dense(change[NAME])) and len(wider.down) == wider.up.shape[1] == 8
    assert wider.down[5:].norm(dim=1).min() > 0 and not wider.up[:, 5:].any()
    assert torch.equal(widened(change, 3, torch.Generator())[NAME].down, change[NAME].down)


@given(rank=st.integers(1, 60), seed=st.integers(0, 20))
def test_recompression_without_a_bound_loses_nothing(rank: int, seed: int) -> None:
    change = factors(rank, seed)
    smaller, lost = recompress({NAME: change})
    assert torch.allclose(dense(smaller[NAME]), dense(change), atol=1e-11)
    assert lost[NAME] < 1e-24
    assert len(smaller[NAME].down) == min(rank, 32)


@given(kept=st.integers(1, 11), seed=st.integers(0, 20))
def test_recompression_loses_the_tail_and_says_so(kept: int, seed: int) -> None:
    change = factors(12, seed)
    smaller, lost = recompress({NAME: change}, kept)
    sizes = torch.linalg.svdvals(dense(change))
    error = (dense(smaller[NAME]) - dense(change)).norm()
    assert torch.allclose(error, sizes[kept:].norm(), rtol=1e-9)
    assert abs(lost[NAME] - float(sizes[kept:].square().sum() / sizes.square().sum())) < 1e-12
    assert smaller[NAME].down.shape == (kept, 48) and smaller[NAME].up.shape == (32, kept)


def test_a_cascade_of_repeated_changes_shrinks_to_its_true_rank() -> None:
    change = {NAME: factors(3)}
    cascade = concatenate(change, scaled(change, 0.5), scaled(change, 2.0))
    smaller, lost = recompress(cascade)
    assert len(smaller[NAME].down) == 3 and lost[NAME] < 1e-24
    assert torch.allclose(dense(smaller[NAME]), 3.5 * dense(change[NAME]), atol=1e-11)


def test_nothing_recompresses_to_nothing() -> None:
    smaller, lost = recompress({NAME: Factors(torch.zeros(4, 48), torch.zeros(32, 4))}, 2)
    assert dense(smaller[NAME]).count_nonzero() == 0 and lost[NAME] == 0.0
    assert all(torch.isfinite(part).all() for part in smaller[NAME])


def test_the_norm_is_that_of_the_dense_change() -> None:
    module = nn.Linear(48, 32, bias=False, dtype=torch.float64)
    change = factors(7)
    expected = dense(change).norm() / module.weight.detach().norm()
    assert abs(relative_norms({NAME: change}, {NAME: module})[NAME] - float(expected)) < 1e-12


def test_overlap_is_one_inside_none_beside_and_ignores_padding() -> None:
    basis = torch.linalg.qr(torch.randn(48, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(1)))[0].T
    up = factors(8).up

    def reading(rows: Tensor) -> dict[str, Factors]:
        return {NAME: Factors(torch.cat([rows, torch.zeros(2, 48, dtype=torch.float64)]), up[:, : len(rows) + 2])}

    assert abs(overlaps(reading(basis[:2]), reading(basis[:4]))[NAME] - 1.0) < 1e-12
    assert abs(overlaps(reading(basis[:4]), reading(basis[:2]))[NAME] - 0.5) < 1e-12
    assert overlaps(reading(basis[:4]), reading(basis[4:8]))[NAME] < 1e-24
    assert overlaps(reading(basis[:4]), {"elsewhere": factors(2)}) == {}
