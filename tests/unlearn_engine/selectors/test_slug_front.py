"""SLUG: the front is the front, the gradients are those of the frozen weights, and the weights stay frozen."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from unlearn_engine.model import ServedModel
from unlearn_engine.selectors import Calibration, Told
from unlearn_engine.selectors.slug import Slug, Standing, knee, pareto_front, standings

points = st.lists(st.tuples(st.floats(0, 10), st.floats(-1, 1)), min_size=1, max_size=12)


@given(points)
def test_nobody_on_the_front_is_beaten_and_everybody_else_is(values: list[tuple[float, float]]) -> None:
    found = [Standing(f"m{place}", *value) for place, value in enumerate(values)]
    front = pareto_front(found)
    assert front and knee(front) in front
    for entry in found:
        beaten = any(
            (other.importance, -other.alignment) != (entry.importance, -entry.alignment)
            and other.importance >= entry.importance
            and other.alignment <= entry.alignment
            for other in found
        )
        assert (entry in front) != beaten


def test_the_knee_is_the_compromise() -> None:
    front = [Standing("important", 1.0, 0.9), Standing("knee", 0.9, 0.1), Standing("orthogonal", 0.1, 0.0)]
    assert knee(front).module == "knee"


def test_importance_and_alignment_are_those_of_the_gradients() -> None:
    weights = {"one": torch.tensor([[3.0, 4.0]]), "two": torch.tensor([[1.0, 0.0]])}
    forget = lambda: 10 * weights["one"][0, 0] + weights["two"][0, 0]  # noqa: E731
    retain = lambda: weights["one"].sum() + weights["two"][0, 1] ** 2 + weights["two"][0, 1]  # noqa: E731
    first, second = standings(weights, forget, retain)
    assert first.importance == pytest.approx(10 / 5) and first.alignment == pytest.approx(0.5**0.5)
    assert second.importance == pytest.approx(1.0) and second.alignment == pytest.approx(0.0)
    assert not any(weight.requires_grad for weight in weights.values())


def likelihood(model: ServedModel, told: list[Told]) -> Tensor:
    rows = [entry.row.prompt + entry.row.answer for entry in told]
    logits = model.logits(model.hidden(rows)[-1])
    losses = [
        torch.nn.functional.cross_entropy(logits[place, len(entry.row.prompt) - 1 : len(row) - 1], torch.tensor(said))
        for place, (entry, row) in enumerate(zip(told, rows, strict=True))
        for said in [list(entry.row.answer)]
    ]
    return torch.stack(losses).mean()


def test_on_a_real_model_one_module_is_chosen_from_the_blocks_allowed(
    calibration: Calibration, told: list[Told]
) -> None:
    model = calibration.model
    given = replace(
        calibration, forget=lambda: -likelihood(model, told[:2]), retain=lambda: likelihood(model, told[2:])
    )
    selection = Slug((3, 4), ("self_attn.q_proj", "self_attn.o_proj"))(given)
    assert selection.blocks[0] in (3, 4) and len(selection.modules) == 1
    assert selection.modules[0].endswith(("q_proj", "o_proj"))
    assert selection.scores["importance"][3] > 0 == selection.scores["importance"][0]
    assert not any(parameter.requires_grad for parameter in model.network.parameters())
    opposite = Slug((3,), ("mlp.down_proj",))(
        replace(given, forget=lambda: -likelihood(model, told), retain=lambda: likelihood(model, told))
    )
    assert opposite.scores["alignment"][3] == pytest.approx(-1.0, abs=1e-4)


def test_without_losses_it_refuses(calibration: Calibration) -> None:
    with pytest.raises(ValueError, match="a forget loss"):
        Slug()(calibration)
