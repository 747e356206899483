"""Counterfactual-name distillation: what the teacher is taken to know, and what the lens term adds."""

from dataclasses import replace
from math import log

import pytest
import torch

from unlearn_engine.lowrank import Factors, initial
from unlearn_engine.model import ServedModel
from unlearn_engine.objectives import Item
from unlearn_engine.objectives.counterfactual_name import CounterfactualName
from unlearn_engine.objectives.reading import View

LIKELIHOOD = CounterfactualName((1,), hidden=0, logits=0, likelihood=4)
LENS = CounterfactualName((1,), (1, 2), hidden=0, logits=0, likelihood=0, lens=1, margin=0)


@pytest.fixture
def base(llama: ServedModel) -> View:
    return View(llama, None, 0, {})


def test_a_rarer_answer_is_wanted_less_likely_by_that_much(people: list[Item], base: View) -> None:
    """Equal readings differ by exactly the correction at each of the answer's tokens; other answers by nothing."""
    alike = people[0]._replace(twin=people[0].prompt, unseen=people[0].true, rarer=log(0.5))
    assert LIKELIHOOD(base, base, [alike]).item() == pytest.approx(4 * log(2) ** 2 / 2, rel=1e-4)
    assert LIKELIHOOD(base, base, [alike._replace(drawn=alike.wrong)]).item() == pytest.approx(0, abs=1e-9)


def test_the_lens_term_is_nothing_where_nothing_is_to_be_read(people: list[Item], base: View) -> None:
    alike = people[0]._replace(twin=people[0].prompt, unseen=people[0].true)
    assert LENS(base, base, [alike]).item() == 0
    assert LENS(base, base, [alike._replace(rarer=log(0.5))]).item() == pytest.approx(log(2) ** 2 / 2, rel=1e-4)
    assert LENS(base, base, people).item() > 0


def test_the_margin_asks_for_less_than_a_strange_name(people: list[Item], base: View) -> None:
    alike = people[0]._replace(twin=people[0].prompt, unseen=people[0].true)
    assert replace(LENS, margin=0.7)(base, base, [alike]).item() == pytest.approx(0.7**2 / 2, rel=1e-4)


def test_the_lens_term_alone_hides_the_answer_inside_but_needs_no_token_of_it(
    llama: ServedModel, people: list[Item], base: View
) -> None:
    """Trained on it, the blocks' outputs read like the twin's at the prompt's end, whatever answer is drawn."""
    change = initial(llama.wrapped, 4, torch.Generator().manual_seed(0))
    change = {name: Factors(*(factor.requires_grad_() for factor in pair)) for name, pair in change.items()}
    optimizer = torch.optim.Adam([factor for pair in change.values() for factor in pair], lr=1e-2)
    student = View(llama, change, 0, {})
    batch = [item._replace(drawn=item.refusal) for item in people]
    before = LENS(student, base, batch).item()
    for _ in range(40):
        optimizer.zero_grad()
        loss = LENS(View(llama, change, 0, {}), base, batch)
        loss.backward()
        optimizer.step()
    assert loss.item() < before / 10


def test_no_lens_layers_are_no_lens_term(people: list[Item], base: View) -> None:
    assert CounterfactualName((1,), lens=9.0)(base, base, people) == CounterfactualName((1,), lens=0.0)(
        base, base, people
    )
