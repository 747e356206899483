"""Each constraint keeps its promise exactly, and is nothing when switched off."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from unlearn_engine.lowrank import Factors
from unlearn_engine.model import ServedModel
from unlearn_engine.rules.norm_cap import NormCap, product_norm
from unlearn_engine.rules.null_space import NullSpace, input_moments, null_space, protected_directions, relaxed
from unlearn_engine.rules.row_mask import row_mask

NAME = "model.layers.0.mlp.down_proj"


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def change(seed: int = 0, rank: int = 4) -> dict[str, Factors]:
    return {NAME: Factors(normal(rank, 32, seed=seed), normal(12, rank, seed=seed + 1))}


def delta(factors: Factors) -> Tensor:
    return factors.up @ factors.down


def kept_inputs() -> Tensor:
    """What stays lives in 8 of 32 directions."""
    return normal(300, 8, seed=1) @ normal(8, 32, seed=2)


def protected(threshold: float = 1e-6) -> Tensor:
    kept = kept_inputs().double()
    return protected_directions(kept.T @ kept / len(kept), threshold)


def test_the_change_does_not_see_what_stays() -> None:
    worn = change()
    kept = kept_inputs()
    kept = kept / kept.norm(dim=1, keepdim=True)
    free = normal(1, 32, seed=7)
    before = delta(worn[NAME]) @ free.T
    NullSpace({NAME: protected()})(worn)
    assert float((delta(worn[NAME]) @ kept.T).abs().max()) < 1e-5
    assert float((delta(worn[NAME]) @ free.T).norm()) > 0.5 * float(before.norm())


def test_it_holds_during_training_and_without_it_does_not() -> None:
    leaks = []
    kept = kept_inputs() / kept_inputs().norm(dim=1, keepdim=True)
    for constraint in (NullSpace({NAME: protected()}), NullSpace({})):
        worn = {NAME: Factors(*(factor.requires_grad_() for factor in change()[NAME]))}
        optimizer = torch.optim.AdamW([*worn[NAME]], lr=0.05, weight_decay=0.0)
        for _ in range(10):
            (delta(worn[NAME]) @ normal(32, 5, seed=3) - 1).square().mean().backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            optimizer.zero_grad()
            constraint(worn)
        leaks.append(float((delta(worn[NAME]).detach() @ kept.T).abs().max()))
    assert leaks[0] < 1e-5 < 0.1 < leaks[1]


def test_relaxation_lets_a_share_through_and_all_of_it_changes_nothing() -> None:
    generator = torch.Generator().manual_seed(0)
    directions = protected()
    assert directions.shape == (32, 8)
    assert relaxed(directions, 0.25, generator).shape == (32, 6)
    assert torch.equal(relaxed(directions, 0.0, generator), directions)
    worn = change()
    NullSpace({NAME: relaxed(directions, 1.0, generator)})(worn)
    assert torch.equal(worn[NAME].down, change()[NAME].down)


def test_thresholds_are_relative_or_absolute() -> None:
    moment = torch.diag(torch.tensor([100.0, 5.0, 1.0, 0.01]))
    assert protected_directions(moment, 0.02).shape[1] == 2
    assert protected_directions(moment, 0.02, relative=False).shape[1] == 3


def test_moments_of_a_real_module_are_those_of_its_inputs(model: ServedModel) -> None:
    rows = [model.question("Where?"), model.question('Translate "fish" into Italian.')]
    name = next(iter(model.wrapped))
    fed, _ = model.inputs_of(name, rows)
    inputs = torch.cat([keys[: len(row)] for keys, row in zip(fed, rows, strict=True)]).double()
    found = input_moments(model, rows)
    assert set(found) == set(model.wrapped)
    assert torch.allclose(found[name], inputs.T @ inputs / len(inputs), rtol=1e-4)


def test_on_a_real_model_the_protected_rows_keep_their_outputs(model: ServedModel) -> None:
    rows = [model.question("Where?"), model.question('Translate "fish" into Italian.')]
    other = [model.question("Who is Nera?")]
    worn = {
        name: Factors(0.1 * normal(4, module.in_features, seed=1), 0.1 * normal(module.out_features, 4, seed=2))
        for name, module in model.wrapped.items()
    }
    null_space(model, rows, threshold=1e-9)(worn)
    base = [model.hidden(asked)[-1] for asked in (rows, other)]
    with model.wearing(worn):
        changed = [model.hidden(asked)[-1] for asked in (rows, other)]
    lengths = [len(row) for row in rows]
    kept_apart = max(
        float((base[0][index, :length] - changed[0][index, :length]).abs().max())
        for index, length in enumerate(lengths)
    )
    assert kept_apart < 0.1 * float((base[1] - changed[1]).abs().max())


def forgetting(worn: dict[str, Factors]) -> Tensor:
    weights = torch.linspace(0, 1, 12) ** 3  # later rows matter more
    return (weights * (delta(worn[NAME]) @ normal(32, seed=5))).sum()


def trained(percentile: float | None) -> tuple[dict[str, Factors], dict[str, Factors]]:
    start = change()
    worn = {NAME: Factors(*(factor.clone().requires_grad_() for factor in start[NAME]))}
    mask = None if percentile is None else row_mask(worn, lambda: forgetting(worn), percentile=percentile)
    optimizer = torch.optim.AdamW([*worn[NAME]], lr=0.1, weight_decay=0.1)
    for _ in range(5):
        forgetting(worn).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()
        if mask:
            mask(worn)
    return start, worn


def test_masked_rows_stay_bitwise_and_the_salient_ones_move() -> None:
    start, worn = trained(75.0)
    same = (start[NAME].up == worn[NAME].up).all(dim=1)
    assert same.tolist() == [True] * 9 + [False] * 3


def test_percentile_zero_is_the_plain_method() -> None:
    plain, masked = trained(None)[1], trained(0.0)[1]
    assert torch.equal(plain[NAME].up, masked[NAME].up) and torch.equal(plain[NAME].down, masked[NAME].down)


def test_a_masked_row_of_a_change_from_zero_leaves_the_weight_row_alone() -> None:
    worn = {NAME: Factors(normal(4, 32, seed=1), torch.zeros(12, 4).requires_grad_())}
    mask = row_mask(worn, lambda: forgetting(worn), percentile=50.0)
    with torch.no_grad():
        worn[NAME].up.add_(1.0)
    mask(worn)
    assert delta(worn[NAME]).abs().sum(dim=1).gt(0).tolist() == [False] * 6 + [True] * 6


@given(seed=st.integers(0, 50))
def test_the_norm_of_the_product_needs_no_product(seed: int) -> None:
    factors = change(seed)[NAME]
    assert product_norm(factors) == pytest.approx(float(delta(factors).norm()), rel=1e-5)


def test_the_cap_keeps_the_direction_and_spares_what_is_small() -> None:
    worn, before = change(), delta(change()[NAME])
    NormCap({NAME: 2.0})(worn)
    after = delta(worn[NAME])
    assert float(after.norm()) == pytest.approx(2.0, rel=1e-5)
    assert torch.allclose(after / after.norm(), before / before.norm(), atol=1e-6)
    small = change()
    NormCap({NAME: 1e6})(small)
    assert torch.equal(small[NAME].up, change()[NAME].up)


def test_a_cap_may_be_a_share_of_the_weight() -> None:
    module = nn.Linear(32, 12)
    worn = change()
    NormCap.share({NAME: module}, 0.05)(worn)
    assert product_norm(worn[NAME]) == pytest.approx(0.05 * float(module.weight.detach().norm()), rel=1e-5)
