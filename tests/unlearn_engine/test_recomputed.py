"""Gradient checkpointing keeps less and changes nothing."""

from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from unlearn_engine.evaluate.copies import copied
from unlearn_engine.lowrank import Factors
from unlearn_engine.model import Row, ServedModel
from unlearn_engine.objectives.reading import View
from unlearn_engine.placement import Placement

NAMES = [f"model.layers.{block}.mlp.down_proj" for block in (1, 5)]


class Step(NamedTuple):
    kept: int  # bytes that the graph holds on to
    loss: Tensor
    gradient: Tensor


@pytest.fixture(scope="module")
def thrifty(base_path: Path) -> ServedModel:
    return ServedModel(base_path, NAMES, Placement(checkpointing=True))


@pytest.fixture(scope="module")
def plain(base_path: Path) -> ServedModel:
    return ServedModel(base_path, NAMES)


def change(model: ServedModel, seed: int = 0) -> dict[str, Factors]:
    generator = torch.Generator().manual_seed(seed)
    return {
        name: Factors(
            (0.1 * torch.randn(4, linear.in_features, generator=generator)).requires_grad_(),
            (0.1 * torch.randn(linear.out_features, 4, generator=generator)).requires_grad_(),
        )
        for name, linear in model.wrapped.items()
    }


def stepped(model: ServedModel, first: int = 0) -> Step:
    worn, held = change(model), dict[int, Tensor]()
    rows = [Row(model.question(f"Where was {name} born?"), model.answer("In Rome.")) for name in ("Ada", "Peja Bunzar")]

    def hold(tensor: Tensor) -> Tensor:
        held[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(hold, lambda tensor: tensor):
        reading = View(model, worn, first, {})(rows * 20)
        loss = reading.said.mean() + reading.state(7).square().mean()
    kept = sum(tensor.untyped_storage().nbytes() for tensor in held.values())
    held.clear()
    with model.wearing(change(model, seed=1)):  # what is worn by then must not matter
        loss.backward()  # type: ignore[no-untyped-call]
    found = [factor.grad.flatten() for pair in worn.values() for factor in pair if factor.grad is not None]
    return Step(kept, loss.detach(), torch.cat(found))


@pytest.mark.parametrize("first", [0, 1])
def test_the_graph_holds_far_less_and_the_gradient_is_the_same(
    plain: ServedModel, thrifty: ServedModel, first: int
) -> None:
    whole, light = stepped(plain, first), stepped(thrifty, first)
    assert light.kept < 0.25 * whole.kept
    assert torch.equal(light.loss, whole.loss) and torch.equal(light.gradient, whole.gradient)
    assert whole.gradient.norm() > 0


def test_second_derivatives_are_the_same(plain: ServedModel, thrifty: ServedModel) -> None:
    found = []
    for model in (plain, thrifty):
        worn = change(model)
        row = Row(model.question("Where was Ada born?"), model.answer("In Rome."))
        factors = [factor for pair in worn.values() for factor in pair]
        first = torch.autograd.grad(View(model, worn, 0, {})([row]).said.mean(), factors, create_graph=True)
        sizes = torch.stack([part.square().sum() for part in first])
        found.append(torch.cat([part.flatten() for part in torch.autograd.grad(sizes.sum(), factors)]))
    assert found[0].norm() > 0 and torch.allclose(found[0], found[1])


def test_a_copy_computes_with_its_own_weights(thrifty: ServedModel) -> None:
    copy = copied(thrifty)
    for linear in copy.wrapped.values():
        linear.weight.zero_()
    assert not torch.equal(stepped(copy).loss, stepped(thrifty).loss)


def test_greedy_answers_are_those_of_the_plain_model(plain: ServedModel, thrifty: ServedModel) -> None:
    prompts = [plain.question("Where was Peja Bunzar born?"), plain.question("Who are you?")]
    assert thrifty.answers(prompts) == plain.answers(prompts)


def test_a_shallow_first_reading_leaves_later_ones_whole(base_path: Path) -> None:
    model = ServedModel(base_path)
    assert len(model.hidden([[5, 6]], depth=2)) == 3
    assert len(model.hidden([[5, 6]])) == model.blocks + 1
