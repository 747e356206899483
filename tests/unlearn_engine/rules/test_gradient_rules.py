"""Every gradient rule on small problems with known answers, and what tells it from the plain sum."""

from collections.abc import Callable, Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from unlearn_engine.rules import GradientRule
from unlearn_engine.rules.blur import ForgetFirst, RetainWithin
from unlearn_engine.rules.dual_controller import DualController
from unlearn_engine.rules.gradients import dot, gradient
from unlearn_engine.rules.penalty_bilevel import PenaltyBilevel, cosine_slope, hessian_product
from unlearn_engine.rules.weighted_sum import Sum

Losses = tuple[list[Tensor], Callable[[], Tensor], Callable[[], Tensor]]


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def linear_losses(towards_forgetting: Tensor, towards_retaining: Tensor) -> Losses:
    """Losses whose gradients are the two vectors, the parameters split in two."""
    half = len(towards_forgetting) // 2
    parameters = [torch.zeros(size, dtype=torch.float64, requires_grad=True) for size in (half, half)]
    flat = lambda: torch.cat(parameters)  # noqa: E731
    return parameters, lambda: towards_forgetting @ flat(), lambda: towards_retaining @ flat()


def curved_losses(seed: int = 0) -> Losses:
    """Two smooth losses of a two-factor product, none of whose derivatives vanish."""
    down, up = (normal(2, 3, seed=seed).requires_grad_(), normal(4, 2, seed=seed + 1).requires_grad_())
    inputs, wanted = normal(5, 3, seed=seed + 2), normal(5, 4, seed=seed + 3)

    def forget() -> Tensor:
        return torch.tanh(inputs @ down.T @ up.T).square().mean()

    def retain() -> Tensor:
        return (inputs.flip(0) @ down.T @ up.T - wanted).square().mean()

    return [down, up], forget, retain


def direction(rule: GradientRule, losses: Losses) -> Tensor:
    rule(*losses)
    return torch.cat([parameter.grad.flatten() for parameter in losses[0] if parameter.grad is not None])


def test_the_sum_is_what_backward_gives() -> None:
    parameters, forget, retain = curved_losses()
    values = Sum(2.0, 3.0)(parameters, forget, retain)
    found = [parameter.grad for parameter in parameters]
    expected = torch.autograd.grad(2 * forget() + 3 * retain(), parameters)
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True) if one is not None)
    assert values == (float(forget().detach()), float(retain().detach()))


def test_a_parameter_that_no_loss_uses_gets_zero() -> None:
    parameters, forget, retain = curved_losses()
    idle = torch.ones(3, dtype=torch.float64, requires_grad=True)
    Sum()([*parameters, idle], forget, retain)
    assert idle.grad is not None and not idle.grad.any()


@given(seed=st.integers(0, 50), gamma=st.sampled_from([0.0, 1.0, 3.0]))
def test_retain_within_forgets_at_the_rate_gamma(seed: int, gamma: float) -> None:
    g_f, g_r = normal(8, seed=seed), normal(8, seed=seed + 1)
    found = direction(RetainWithin(gamma), linear_losses(g_f, g_r))
    assert float(found @ g_f) == pytest.approx(gamma * float(g_f @ g_f))
    across = torch.eye(8, dtype=torch.float64) - torch.outer(g_f, g_f) / (g_f @ g_f)
    assert torch.allclose(across @ found, across @ g_r)


@given(seed=st.integers(0, 50), alpha=st.sampled_from([0.5, 1.0, 800.0]))
def test_forget_first_adds_only_what_is_orthogonal(seed: int, alpha: float) -> None:
    g_f, g_r = normal(8, seed=seed), normal(8, seed=seed + 1)
    found = direction(ForgetFirst(alpha), linear_losses(g_f, g_r))
    assert float((found - g_f) @ g_f) == pytest.approx(0.0, abs=1e-8 * alpha)
    along = float(g_r @ g_f / (g_f @ g_f))
    assert torch.allclose(found - g_f, alpha * (g_r - along * g_f))


def test_the_two_forms_agree_at_one_and_differ_elsewhere() -> None:
    g_f, g_r = normal(8, seed=1), normal(8, seed=2)
    losses = linear_losses(g_f, g_r)
    assert torch.allclose(direction(ForgetFirst(1.0), losses), direction(RetainWithin(1.0), losses))
    assert not torch.allclose(direction(ForgetFirst(2.0), losses), direction(RetainWithin(2.0), losses))


@pytest.mark.parametrize("rule", [ForgetFirst(), RetainWithin()])
def test_blur_with_orthogonal_gradients_is_the_sum_and_with_parallel_ones_is_not(rule: GradientRule) -> None:
    g_f = torch.tensor([1.0, 0, 0, 0], dtype=torch.float64)
    across = torch.tensor([0, 2.0, 0, 1.0], dtype=torch.float64)
    assert torch.allclose(direction(rule, linear_losses(g_f, across)), g_f + across)
    assert torch.allclose(direction(rule, linear_losses(g_f, -3 * g_f)), g_f)


@pytest.mark.parametrize("rule", [ForgetFirst(), RetainWithin()])
def test_blur_follows_retaining_alone_when_nothing_is_left_to_forget(rule: GradientRule) -> None:
    g_r = normal(4, seed=1)
    assert torch.allclose(direction(rule, linear_losses(torch.zeros_like(g_r), g_r)), g_r)


def scripted(values: Sequence[float]) -> Callable[[], Tensor]:
    """A retain loss that takes these values one after the other, with slope 1."""
    remaining = iter(values)
    return lambda: torch.tensor(next(remaining), dtype=torch.float64, requires_grad=True)


def test_the_dual_grows_only_while_the_bound_is_violated_and_never_falls_below_zero() -> None:
    seen = [1.0, 1.2, 1.31, 1.5, 1.2, 0.2, 0.1]
    rule, retain, duals = DualController(tolerance=0.3, dual_step=2.0), scripted(seen), [0.0]
    forget = lambda: torch.ones((), dtype=torch.float64, requires_grad=True)  # noqa: E731
    for _ in seen:
        rule([torch.zeros(1, dtype=torch.float64, requires_grad=True)], forget, retain)
        duals.append(rule.dual)
    assert rule.bound == pytest.approx(1.3)
    assert min(duals) == 0.0
    for value, before, after in zip(seen, duals, duals[1:], strict=False):
        assert (after > before) == (value > 1.3)
    assert duals[4] == pytest.approx(2.0 * (0.01 + 0.2))


def test_with_a_loose_bound_the_controller_never_retains() -> None:
    g_f, g_r = normal(4, seed=1), normal(4, seed=2)
    assert torch.equal(direction(DualController(bound=10.0), linear_losses(g_f, g_r)), g_f)


def test_the_controller_settles_on_the_bound() -> None:
    """min x² + y² with (x - 3)² <= 1: the solution is x = 2 with the multiplier 2; a fixed sum ends elsewhere."""
    at = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    rule = DualController(bound=1.0, dual_step=0.02)
    optimizer = torch.optim.SGD([at], lr=0.02)
    for _ in range(4000):
        rule([at], lambda: at.square().sum(), lambda: (at[0] - 3).square())
        optimizer.step()
    assert at.tolist() == pytest.approx([2.0, 0.0], abs=1e-2)
    assert rule.dual == pytest.approx(2.0, abs=2e-2)


def test_slack_bounds_a_loss_that_starts_at_zero() -> None:
    rule = DualController(tolerance=0.3, slack=0.05)
    rule(*linear_losses(normal(4, seed=1), normal(4, seed=2)))
    assert rule.bound == pytest.approx(0.05) and rule.dual == 0.0


def test_the_hessian_product_agrees_with_finite_differences() -> None:
    parameters, forget, _ = curved_losses()
    along = [normal(*parameter.shape, seed=9) for parameter in parameters]
    exact = hessian_product(forget, parameters, along)
    sides = []
    for step in (1e-5, -2e-5):
        with torch.no_grad():
            for parameter, part in zip(parameters, along, strict=True):
                parameter.add_(part, alpha=step)
        sides.append(gradient(forget, parameters)[1])
    for one, plus, minus in zip(exact, *sides, strict=True):
        assert torch.allclose(one, (plus - minus) / 2e-5, atol=1e-4)


def test_the_slope_of_the_cosine_is_its_derivative() -> None:
    parameters, forget, retain = curved_losses(4)

    def cosine() -> float:
        g_f, g_r = gradient(forget, parameters)[1], gradient(retain, parameters)[1]
        return dot(g_f, g_r) / (dot(g_f, g_f) * dot(g_r, g_r)) ** 0.5

    g_f, g_r = gradient(forget, parameters)[1], gradient(retain, parameters)[1]
    before = [parameter.detach().clone() for parameter in parameters]
    slope = cosine_slope(parameters, forget, retain, g_f, g_r, 1e-4)
    assert all(torch.equal(one, other) for one, other in zip(before, parameters, strict=True))
    base = cosine()
    with torch.no_grad():
        for parameter, part in zip(parameters, slope, strict=True):
            parameter.add_(part, alpha=1e-5)
    assert (cosine() - base) / 1e-5 == pytest.approx(dot(slope, slope), rel=1e-2)


def test_without_penalty_and_inner_steps_it_is_plain_retaining() -> None:
    parameters, forget, retain = curved_losses()
    rule = PenaltyBilevel(similarity=0.0, penalty=0.0, inner_steps=0)
    assert torch.allclose(
        direction(rule, (parameters, forget, retain)),
        torch.cat([part.flatten() for part in gradient(retain, parameters)[1]]),
    )


def test_inner_steps_forget_and_move_the_parameters() -> None:
    parameters, forget, retain = curved_losses()
    before = float(forget().detach())
    PenaltyBilevel(similarity=0.0, inner_steps=3, inner_rate=0.1)(parameters, forget, retain)
    assert float(forget().detach()) < before


def test_similarity_turns_the_inner_step_towards_agreement() -> None:
    cosines = []
    for similarity in (0.0, 1.0):
        parameters, forget, retain = curved_losses(4)
        PenaltyBilevel(similarity, 0.0, inner_steps=20, inner_rate=0.05, difference=1e-4)(parameters, forget, retain)
        g_f, g_r = gradient(forget, parameters)[1], gradient(retain, parameters)[1]
        cosines.append(dot(g_f, g_r) / (dot(g_f, g_f) * dot(g_r, g_r)) ** 0.5)
    assert cosines[1] > cosines[0] + 0.05


def test_it_converges_to_the_best_retaining_among_the_forgetting() -> None:
    """min |θ - (2, 1)|² subject to θ minimising (θ₀ + θ₁)²: the point (0.5, -0.5). The plain sum stays far away."""

    def end(rule: GradientRule, steps: int) -> list[float]:
        at = torch.zeros(2, dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.SGD([at], lr=0.01)
        for _ in range(steps):
            rule([at], lambda: at.sum().square(), lambda: (at - torch.tensor([2.0, 1.0])).square().sum())
            optimizer.step()
        return at.tolist()

    solved = end(PenaltyBilevel(similarity=0.0, penalty=0.5, growth=1.01, inner_steps=2, inner_rate=0.05), 190)
    assert solved == pytest.approx([0.5, -0.5], abs=0.05)
    assert end(Sum(), 2000) != pytest.approx([0.5, -0.5], abs=0.4)
