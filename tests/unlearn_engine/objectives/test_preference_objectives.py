"""Preferring one answer to another."""

import pytest
import torch

from tests.unlearn_engine.objectives.toy import ToyModel, change, descend, gradient, items, viewed
from unlearn_engine.model import Row
from unlearn_engine.objectives import Item
from unlearn_engine.objectives.altpo import AltPO
from unlearn_engine.objectives.answers import falsehoods, refusal
from unlearn_engine.objectives.dpo import DPO
from unlearn_engine.objectives.npo import NPO

MODEL, ITEMS = ToyModel(), items()
BASE = viewed(MODEL, None)


def swapped(item: Item) -> Item:
    return item._replace(true=item.refusal, refusal=item.true)


@pytest.mark.parametrize("objective", [DPO(0.3), AltPO(0.3)])
def test_the_start_is_known(objective: DPO | AltPO) -> None:
    assert objective(viewed(MODEL, change(0.0)), BASE, ITEMS).item() == pytest.approx(2 / 0.3 * 0.6931471805599453)


def test_swapping_the_answers_turns_the_gradient_round() -> None:
    worn = change(0.0)
    student = viewed(MODEL, worn)
    found = gradient(DPO()(student, BASE, ITEMS), worn)
    turned = gradient(DPO()(student, BASE, [swapped(item) for item in ITEMS]), worn)
    assert found.norm() > 1e-2 and torch.allclose(found, -turned)


def test_the_refusal_gains_and_the_truth_loses() -> None:
    def likelihoods() -> tuple[float, float]:
        with torch.no_grad():
            rows = [item.told() for item in ITEMS], [Row(item.prompt, item.refusal) for item in ITEMS]
            true, refused = (viewed(MODEL, worn)(part).said.sum().item() for part in rows)
        return true, refused

    worn = change(0.0)
    true, refused = likelihoods()
    descend(lambda: DPO()(viewed(MODEL, worn), BASE, ITEMS), worn, 3, 1e-2)
    after = likelihoods()
    assert after[0] < true and after[1] > refused


def test_npo_is_the_rejecting_half() -> None:
    """Where the preferred answer cannot move, DPO is NPO."""
    worn = change(0.3)
    student = viewed(MODEL, worn)
    read = {row: index for index, row in enumerate(item.told() for item in ITEMS)}
    lost = student(list(read)).sums(student(list(read)).said) - BASE(list(read)).sums(BASE(list(read)).said)
    gained = student([Row(item.prompt, item.refusal) for item in ITEMS])
    reference = BASE([Row(item.prompt, item.refusal) for item in ITEMS])
    gain = (gained.sums(gained.said) - reference.sums(reference.said)).detach()
    by_hand = -(2 / 0.3) * torch.nn.functional.logsigmoid(0.3 * (gain - lost)).mean()
    dpo = DPO(0.3)(student, BASE, ITEMS)
    assert by_hand.item() == pytest.approx(dpo.item())
    npo = -(2 / 0.3) * torch.nn.functional.logsigmoid(-0.3 * lost).mean()
    assert npo.item() == pytest.approx(NPO(0.3)(student, BASE, ITEMS).item())
    assert npo.item() != pytest.approx(dpo.item(), rel=1e-3)


def test_altpo_prefers_what_it_is_given() -> None:
    worn = change(0.3)
    student = viewed(MODEL, worn)
    assert AltPO(alternatives=refusal)(student, BASE, ITEMS).item() == pytest.approx(DPO()(student, BASE, ITEMS).item())
    each = [
        DPO()(student, BASE, [item._replace(refusal=answer)]).item() for item in ITEMS for answer in falsehoods(item)
    ]
    assert AltPO(alternatives=falsehoods)(student, BASE, ITEMS).item() == pytest.approx(sum(each) / len(each))
    assert len(each) == 2 * len(ITEMS)


def test_falsehoods_are_never_the_truth() -> None:
    item = ITEMS[0]
    assert falsehoods(item) == (item.wrong, item.unseen)
    assert falsehoods(item._replace(unseen=item.true)) == (item.wrong,)
    assert falsehoods(item._replace(unseen=item.wrong)) == (item.wrong,)
