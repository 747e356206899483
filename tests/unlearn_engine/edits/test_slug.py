"""One gradient step is an adapter, exactly, and its scale is searched afterwards."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from tests.unlearn_engine.edits.conftest import MODULE
from unlearn_engine.edits.slug import smallest_scale, step
from unlearn_engine.lowrank import LowRankLinear, relative_norms, scaled
from unlearn_engine.model import ServedModel

INPUTS, HIDDEN, CLASSES = 24, 20, 9


class Tiny(nn.Module):
    """A linear layer that can wear a change, between two that cannot."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Linear(INPUTS, HIDDEN, dtype=torch.float64)
        self.edited = LowRankLinear(nn.Linear(HIDDEN, HIDDEN, bias=False, dtype=torch.float64))
        self.last = nn.Linear(HIDDEN, CLASSES, dtype=torch.float64)

    def forward(self, inputs: Tensor) -> Tensor:
        out: Tensor = self.last(self.edited(self.first(inputs).tanh()).tanh())
        return out


@pytest.fixture
def tiny() -> Tiny:
    return Tiny()


def batch(tokens: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(2, tokens, INPUTS, generator=generator, dtype=torch.float64)
    return inputs, torch.randint(CLASSES, (2 * tokens,), generator=generator)


def loss(model: Tiny, tokens: int = 3) -> Tensor:
    inputs, labels = batch(tokens)
    return cross_entropy(model(inputs).flatten(0, 1), labels)


@pytest.mark.parametrize("tokens", [3, 40])
def test_the_step_is_the_dense_gradient(tiny: Tiny, tokens: int) -> None:
    (dense,) = torch.autograd.grad(loss(tiny, tokens), [tiny.edited.frozen.weight])
    tiny.requires_grad_(False)
    change = step({"edited": tiny.edited}, lambda: loss(tiny, tokens))
    down, up = change["edited"]
    assert torch.allclose(up @ down, -dense, atol=1e-14)
    assert len(down) == min(2 * tokens, HIDDEN)


def test_tokens_without_a_gradient_and_reference_passes_do_not_count(tiny: Tiny) -> None:
    tiny.requires_grad_(False)

    def first_token_only() -> Tensor:
        inputs, labels = batch(3)
        with torch.no_grad():
            reference = tiny(inputs)
        return cross_entropy(tiny(inputs)[:, 0] + 0 * reference[:, 0], labels[:2])

    assert len(step({"edited": tiny.edited}, first_token_only)["edited"].down) == 2
    before = loss(tiny)
    assert not tiny.edited._forward_hooks and torch.equal(loss(tiny), before)


def test_the_loss_falls_by_what_the_gradient_says(tiny: Tiny) -> None:
    tiny.requires_grad_(False)
    change = step({"edited": tiny.edited}, lambda: loss(tiny))
    squared = (change["edited"].up @ change["edited"].down).square().sum()
    before = loss(tiny)
    for scale in (0.0, 1e-3):
        tiny.edited.worn = scaled(change, scale)["edited"]
        assert abs(float(before - loss(tiny)) - scale * float(squared)) <= 0.01 * scale * float(squared)


def test_a_module_that_the_loss_never_meets_is_an_error(tiny: Tiny) -> None:
    with pytest.raises(RuntimeError):
        step({"edited": tiny.edited}, lambda: tiny.last.weight.sum())


@pytest.mark.parametrize("threshold", [0.003, 0.7, 1.0, 5.3, 100.0])
def test_the_scale_is_the_smallest_that_forgets(threshold: float) -> None:
    asked: list[float] = []

    def forgets(scale: float) -> bool:
        asked.append(scale)
        return scale >= threshold

    found = smallest_scale(forgets, start=1.0, evaluations=16)
    assert found is not None and threshold <= found <= 1.02 * threshold
    assert len(asked) == 16


def test_a_scale_that_never_forgets_is_none() -> None:
    assert smallest_scale(lambda _: False, start=1.0) is None


def test_one_step_on_the_demo_model_makes_a_fact_less_likely(demo: ServedModel) -> None:
    asked = demo.question("Where was Peja Bunzar born?")
    rows, prompt = [(*asked, *demo.answer("Tokyo."))], len(asked)

    def likelihood() -> Tensor:
        last = demo.hidden(rows)[-1][:, prompt - 1 : -1]
        said = demo.logits(last).log_softmax(-1)
        return said.gather(-1, torch.tensor(rows)[:, prompt:, None]).mean()

    change = step({MODULE: demo.submodule(MODULE)}, likelihood)
    assert len(change[MODULE].down) <= len(rows[0])
    before = float(likelihood())
    start = 0.01 / relative_norms(change, demo.wrapped)[MODULE]

    def forgets(scale: float) -> bool:
        with demo.wearing(scaled(change, scale)), torch.no_grad():
            return float(likelihood()) < before - 1.0

    assert smallest_scale(forgets, start) is not None
