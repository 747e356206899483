"""What stays: nothing is asked of the untouched base but its answers, and each loss sees its own kind of damage."""

import math

import pytest
import torch

from tests.unlearn_engine.objectives.toy import (
    HIDDEN,
    RETENTIONS,
    VOCABULARY,
    Given,
    ToyModel,
    change,
    gradient,
    normal,
    rows,
    viewed,
)
from unlearn_engine.objectives.retention import CrossEntropy, Divergence, HiddenStates, TopLogits, Uniform

MODEL, ROWS = ToyModel(), rows()
BASE = viewed(MODEL, None)
TOKENS = sum(len(row.answer) for row in ROWS)


@pytest.mark.parametrize("name", ["divergence", "hidden states", "top logits"])
def test_the_base_itself_is_content(name: str) -> None:
    untouched, worn = change(0.0), change(0.3)
    loss = RETENTIONS[name](viewed(MODEL, untouched), BASE, ROWS)
    assert loss.item() == pytest.approx(0, abs=1e-12) and gradient(loss, untouched).norm() < 1e-12
    assert RETENTIONS[name](viewed(MODEL, worn), BASE, ROWS).item() > 1e-3


def test_cross_entropy_wants_the_answers_even_from_the_base() -> None:
    untouched = change(0.0)
    loss = CrossEntropy()(viewed(MODEL, untouched), BASE, ROWS)
    reading = BASE(ROWS)
    assert loss.item() == pytest.approx(-reading.means(reading.said).mean().item())
    assert gradient(loss, untouched).norm() > 1e-2


def test_divergence_has_the_base_in_front() -> None:
    base, student = normal(TOKENS, VOCABULARY, seed=1), normal(TOKENS, VOCABULARY, seed=2)
    found = Divergence()(Given(student), Given(base), ROWS)  # type: ignore[arg-type]
    by_token = (base.softmax(-1) * (base.log_softmax(-1) - student.log_softmax(-1))).sum(-1)
    parts = by_token.split([len(row.answer) for row in ROWS])
    assert float(found) == pytest.approx(float(torch.stack([part.mean() for part in parts]).mean()))


def test_hidden_states_count_at_every_token_and_not_in_the_padding() -> None:
    lengths = [len(row.prompt + row.answer) for row in ROWS]
    assert len(set(lengths)) > 1
    leaf = torch.zeros(len(ROWS), max(lengths), HIDDEN, dtype=torch.float64, requires_grad=True)
    before = Given(states=torch.ones_like(leaf).detach())
    loss = HiddenStates(1)(Given(states=leaf), before, ROWS)  # type: ignore[arg-type]
    assert loss.item() == pytest.approx(1)
    touched = torch.autograd.grad(loss, leaf)[0].norm(dim=-1) > 0
    assert touched.sum(1).tolist() == lengths and all(touched[i, : lengths[i]].all() for i in range(len(ROWS)))


def test_top_logits_see_a_shift_that_divergence_cannot() -> None:
    base = normal(TOKENS, VOCABULARY, seed=1)
    views = Given(base + 2.0), Given(base)
    assert float(Divergence()(*views, ROWS)) == pytest.approx(0, abs=1e-12)  # type: ignore[arg-type]
    assert float(TopLogits(5)(*views, ROWS)) == pytest.approx(1.5)  # type: ignore[arg-type]  # Huber of 2 with δ = 1


def test_uniform_is_least_where_nothing_is_said() -> None:
    flat, peaked = torch.zeros(TOKENS, VOCABULARY, dtype=torch.float64), normal(TOKENS, VOCABULARY, seed=1)
    least = float(Uniform()(Given(flat), Given(flat), ROWS))  # type: ignore[arg-type]
    assert least == pytest.approx(math.log(VOCABULARY))
    assert float(Uniform()(Given(peaked), Given(flat), ROWS)) > least + 0.1  # type: ignore[arg-type]
