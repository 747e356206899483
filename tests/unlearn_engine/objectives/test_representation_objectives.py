"""Objectives on hidden states: where they push, from where on, and when they are content."""

import pytest
import torch
from torch import Tensor

from tests.unlearn_engine.objectives.toy import (
    HIDDEN,
    Given,
    ToyModel,
    change,
    descend,
    gradient,
    items,
    normal,
    viewed,
)
from unlearn_engine.objectives import Objective
from unlearn_engine.objectives.adaptive_rmu import AdaptiveRMU, targets
from unlearn_engine.objectives.kernels import at_the_name, direction, since_the_name
from unlearn_engine.objectives.kuda import KUDA, kick
from unlearn_engine.objectives.rmu import RMU
from unlearn_engine.objectives.sae import Encoder, SAEGuided, features
from unlearn_engine.objectives.twin_states import TwinStates

MODEL, ITEMS = ToyModel(), items()
BASE = viewed(MODEL, None)
TOLD = [item.told() for item in ITEMS]
WIDTH = max(len(row.prompt + row.answer) for row in TOLD)
STATES = normal(len(ITEMS), WIDTH, HIDDEN, seed=5)


def slope(objective: Objective, states: Tensor, base: Tensor = STATES) -> Tensor:
    leaf = states.clone().requires_grad_()
    loss = objective(Given(states=leaf), Given(states=base), ITEMS)  # type: ignore[arg-type]
    return torch.autograd.grad(loss, leaf)[0]


def value(objective: Objective, states: Tensor, base: Tensor = STATES) -> float:
    return float(objective(Given(states=states), Given(states=base), ITEMS))  # type: ignore[arg-type]


def test_positions_run_from_the_names_last_token_to_the_end() -> None:
    row, token = since_the_name(ITEMS, TOLD)
    named = at_the_name(ITEMS)
    for index, item in enumerate(ITEMS):
        own = token[row == index].tolist()
        first = len(item.prompt) - item.shared - 1
        assert own == list(range(first, len(item.prompt + item.true)))
        assert named[1][index] == first and item.prompt[first + 1 :] == item.twin[len(item.twin) - item.shared :]


def test_a_prompt_without_a_name_counts_whole() -> None:
    item = ITEMS[0]._replace(twin=ITEMS[0].prompt, shared=len(ITEMS[0].prompt))
    assert since_the_name([item], [item.told()])[1].tolist() == list(range(len(item.prompt + item.true)))
    assert at_the_name([item])[1].tolist() == [0]


@pytest.mark.parametrize("objective", [RMU(1), AdaptiveRMU(1), KUDA(1)])
def test_what_was_read_before_the_name_is_left_alone(objective: Objective) -> None:
    base = STATES if not isinstance(objective, KUDA) else STATES + 0.3 * normal(*STATES.shape, seed=6)
    moved = slope(objective, STATES, base).norm(dim=-1) > 0
    expected = torch.zeros_like(moved)
    expected[since_the_name(ITEMS, TOLD)] = True
    assert torch.equal(moved, expected)


def test_twin_states_meet_after_the_name_alone() -> None:
    batch = [item._replace(drawn=item.true) for item in ITEMS]
    theirs = normal(len(batch), WIDTH + 3, HIDDEN, seed=6)
    leaf = STATES.clone().requires_grad_()
    loss = TwinStates(1)(Given(states=leaf), Given(states=theirs), batch)  # type: ignore[arg-type]
    moved = torch.autograd.grad(loss, leaf)[0].norm(dim=-1) > 0
    expected, wanted = torch.zeros_like(moved), STATES.clone()
    for index, item in enumerate(batch):
        after, end = item.shared + len(item.true), len(item.prompt + item.true)
        expected[index, end - after : end] = True
        end_there = len(item.twin + item.true)
        wanted[index, end - after : end] = theirs[index, end_there - after : end_there]
    assert torch.equal(moved, expected)
    assert TwinStates(1)(Given(states=wanted), Given(states=theirs), batch).item() == 0  # type: ignore[arg-type]


def test_the_direction_is_drawn_once() -> None:
    drawn = direction(HIDDEN, 3)
    assert torch.equal(drawn, direction(HIDDEN, 3)) and not torch.allclose(drawn, direction(HIDDEN, 4))
    assert float(drawn.norm()) == pytest.approx(1) and (drawn >= 0).all()


def test_rmu_is_content_at_its_target() -> None:
    there = 6.5 * direction(HIDDEN, 0).expand(STATES.shape)
    assert value(RMU(1), there) == 0
    away = there + 0.5
    assert value(RMU(1), away) == pytest.approx(0.25)
    assert value(RMU(1, seed=1), there) > 1e-3 and value(RMU(1, strength=2.0), there) > 1e-3


def test_adaptive_targets_scale_with_each_examples_norm() -> None:
    at = since_the_name(ITEMS, TOLD)
    before = STATES * torch.tensor([1.0, 10.0, 0.1, 3.0], dtype=torch.float64)[:, None, None]
    found = targets(before[at], at[0], 5.0, 0)
    for index in range(len(ITEMS)):
        own = before[at][at[0] == index].norm(dim=-1).mean()
        assert torch.allclose(found[at[0] == index].norm(dim=-1) / own, torch.tensor(5.0, dtype=torch.float64))


def test_adaptive_rmu_is_rmu_where_all_norms_are_equal_and_not_else() -> None:
    equal = 2 * torch.nn.functional.normalize(STATES, dim=-1)
    assert value(AdaptiveRMU(1, 3.0), STATES, equal) == pytest.approx(value(RMU(1, 6.0), STATES))
    assert value(AdaptiveRMU(1, 3.0), STATES, 2 * equal) == pytest.approx(value(RMU(1, 12.0), STATES))


@pytest.mark.parametrize("objective", [RMU(2), AdaptiveRMU(2)])
def test_steering_falls_steadily_on_one_batch(objective: Objective) -> None:
    worn, losses = change(0.0), []
    for _ in range(6):
        losses.append(objective(viewed(MODEL, worn), BASE, ITEMS).item())
        descend(lambda: objective(viewed(MODEL, worn), BASE, ITEMS), worn, 1, 1e-3)
    assert losses == sorted(losses, reverse=True) and losses[-1] < losses[0]


def test_kuda_never_starts_unless_it_is_kicked() -> None:
    worn = change(0.0)
    loss = KUDA(2, strength=3.0)(viewed(MODEL, worn), BASE, ITEMS)
    assert loss.item() == pytest.approx(3.0) and gradient(loss, worn).norm() < 1e-12
    kicked = kick(worn, torch.Generator().manual_seed(0))
    moving = {name: type(pair)(*(part.detach().requires_grad_() for part in pair)) for name, pair in kicked.items()}
    loss = KUDA(2, strength=3.0)(viewed(MODEL, moving), BASE, ITEMS)
    assert gradient(loss, moving).norm() > 1e-6
    sizes = torch.cat([pair.up.detach().flatten() for pair in kicked.values()])
    assert 5e-4 < sizes.std() < 2e-3 and all(torch.equal(kicked[name].down, worn[name].down) for name in worn)


def test_kuda_stops_at_its_margin() -> None:
    turned = torch.cat([STATES[..., 1:2], -STATES[..., :1], torch.zeros_like(STATES[..., 2:])], dim=-1)
    assert value(KUDA(1), turned) == pytest.approx(0, abs=1e-12)  # at a right angle
    assert value(KUDA(1), -STATES) == 0 and slope(KUDA(1), -STATES).norm() == 0
    assert value(KUDA(1, margin=0.4), STATES) == pytest.approx(0.6)
    assert value(KUDA(1), 3 * STATES) == pytest.approx(1)  # length does not matter


KNOWN, UNKNOWN = normal(HIDDEN, seed=7), normal(HIDDEN, seed=8)


def test_the_hinge_is_closed_at_the_unknown_mean() -> None:
    objective = SAEGuided(1, KNOWN, UNKNOWN)
    assert value(objective, UNKNOWN.expand(STATES.shape)) == pytest.approx(0, abs=1e-12)
    assert value(objective, KNOWN.expand(STATES.shape)) == pytest.approx(2)
    assert value(objective, (2 * UNKNOWN - KNOWN).expand(STATES.shape)) == 0
    assert slope(objective, (2 * UNKNOWN - KNOWN).expand(STATES.shape)).norm() == 0


def test_in_raw_space_the_push_is_along_the_difference_of_the_means() -> None:
    found = slope(SAEGuided(1, KNOWN, UNKNOWN, margin=50.0), STATES)
    there = torch.zeros(STATES.shape[:2], dtype=torch.bool)
    there[at_the_name(ITEMS)] = True
    assert found[~there].norm() == 0
    along = torch.nn.functional.cosine_similarity(found[there], (KNOWN - UNKNOWN)[None], dim=-1)
    assert torch.allclose(along, torch.ones_like(along))


def test_an_encoder_sees_and_is_not_trained() -> None:
    weight, bias = (normal(30, HIDDEN, seed=9).requires_grad_(), normal(30, seed=10).requires_grad_())
    encoder = Encoder(weight, bias)
    states = normal(4, HIDDEN, seed=11)
    assert torch.allclose(encoder(states), torch.relu(states @ weight.T + bias))
    jumping = Encoder(weight, bias, 0.5)(states)
    assert ((jumping == 0) | (jumping > 0.5)).all() and (jumping > 0).any()
    worn = change(0.3)
    known, unknown = (encoder(mean).detach() for mean in (KNOWN, UNKNOWN))
    loss = SAEGuided(2, known, unknown, encoder, margin=9.0)(viewed(MODEL, worn), BASE, ITEMS)
    assert torch.autograd.grad(loss, (weight, bias), allow_unused=True, retain_graph=True) == (None, None)
    assert gradient(loss, worn).norm() > 1e-6


@pytest.mark.parametrize("encoder", [None, Encoder(normal(30, HIDDEN, seed=9), normal(30, seed=10))])
def test_the_name_comes_nearer_to_the_unknown(encoder: Encoder | None) -> None:
    unknown, known = (features(BASE, items(5, seed=seed), 2, encoder).mean(0) for seed in (500, 700))
    worn = change(0.0)

    def distances() -> tuple[float, float]:
        found = features(viewed(MODEL, worn), ITEMS, 2, encoder).detach()
        return float((found - unknown).square().sum()), float((found - known).square().sum())

    before = distances()
    descend(lambda: SAEGuided(2, known, unknown, encoder)(viewed(MODEL, worn), BASE, ITEMS), worn, 15, 1e-2)
    after = distances()
    assert after[0] < before[0] and after[0] - after[1] < before[0] - before[1]
    if encoder is None:  # features can fall together, states move along a line
        assert after[1] > before[1]
