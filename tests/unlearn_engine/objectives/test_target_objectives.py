"""Objectives that name a distribution to move to: what it is, where it acts, and where it is nothing."""

import pytest
import torch
from torch import Tensor

from tests.unlearn_engine.objectives.toy import (
    VOCABULARY,
    Given,
    ToyModel,
    answering,
    change,
    descend,
    gradient,
    items,
    normal,
    viewed,
)
from unlearn_engine.lowrank import Factors
from unlearn_engine.model import Row
from unlearn_engine.objectives import Item, Objective
from unlearn_engine.objectives.answers import inserted
from unlearn_engine.objectives.ceu import CEU
from unlearn_engine.objectives.counterfactual_name import CounterfactualName
from unlearn_engine.objectives.duet import DUET
from unlearn_engine.objectives.harmonizing import Harmonizing, hazardous
from unlearn_engine.objectives.idk import IDK
from unlearn_engine.objectives.kernels import top_logits
from unlearn_engine.objectives.meow import MEOW, wordings
from unlearn_engine.objectives.reading import View
from unlearn_engine.objectives.remember import Remember
from unlearn_engine.objectives.swap import Swap
from unlearn_engine.objectives.switch import SwitchRetention
from unlearn_engine.objectives.uld import ULD, without
from unlearn_engine.objectives.undial import UNDIAL
from unlearn_engine.objectives.whp import WHP, generic_logits

MODEL, ITEMS = ToyModel(), items()
BASE = viewed(MODEL, None)
LOGITS = normal(5, VOCABULARY, seed=1)  # answers of two and three tokens
SHARE = torch.tensor([1 / 4, 1 / 4, 1 / 6, 1 / 6, 1 / 6], dtype=torch.float64)[:, None]
BATCH = answering(2, 3)
TRUTH = torch.tensor([token for item in BATCH for token in item.true])[:, None]


def slope(objective: Objective, logits: Tensor, base: Tensor) -> Tensor:
    leaf = logits.clone().requires_grad_()
    (found,) = torch.autograd.grad(objective(Given(leaf), Given(base), BATCH), leaf)  # type: ignore[arg-type]
    return found


def other_view(size: float = 0.5) -> View:
    frozen = {name: Factors(*(factor.detach() for factor in pair)) for name, pair in change(size, seed=30).items()}
    return viewed(MODEL, frozen)


def test_undial_moves_to_the_base_with_the_truth_lowered() -> None:
    base = normal(5, VOCABULARY, seed=2)
    lowered = base.scatter_add(1, TRUTH, torch.full(TRUTH.shape, -3.0, dtype=torch.float64))
    expected = SHARE * (LOGITS.softmax(-1) - lowered.softmax(-1))
    assert torch.allclose(slope(UNDIAL(3.0), LOGITS, base), expected)
    assert slope(UNDIAL(3.0), lowered, base).norm() < 1e-12 < slope(UNDIAL(3.0), base, base).norm()
    assert slope(UNDIAL(0.0), base, base).norm() < 1e-12


def test_ceu_moves_to_itself_without_the_truth() -> None:
    struck = LOGITS.scatter(1, TRUTH, -torch.inf).softmax(-1)
    expected = SHARE * (LOGITS.softmax(-1) - struck)
    assert torch.allclose(slope(CEU(0), LOGITS, LOGITS), expected)
    skipping = slope(CEU(1), LOGITS, LOGITS)
    assert skipping[[0, 2]].norm() == 0
    assert torch.allclose(skipping[[1, 3, 4]], expected[[1, 3, 4]] * torch.tensor([[2.0], [1.5], [1.5]]))


def test_ceu_does_not_skip_an_only_token() -> None:
    leaf = LOGITS[:1].clone().requires_grad_()
    loss = CEU(1)(Given(leaf), Given(leaf), answering(1))  # type: ignore[arg-type]
    assert torch.autograd.grad(loss, leaf)[0].norm() > 1e-3


def test_idk_sees_the_refusal_alone() -> None:
    worn = change(0.3)
    student = viewed(MODEL, worn)
    found = IDK()(student, BASE, ITEMS)
    assert IDK()(student, BASE, [item._replace(true=item.wrong) for item in ITEMS]) == found
    assert found.item() == pytest.approx(
        Remember()(student, BASE, [item._replace(true=item.refusal) for item in ITEMS]).item()
    )


def test_meow_is_idk_until_there_are_several_answers() -> None:
    student = viewed(MODEL, change(0.3))
    refused = IDK()(student, BASE, ITEMS).item()
    assert MEOW()(student, BASE, ITEMS).item() == refused
    table = {ITEMS[0].refusal: ((1, 2), (3, 4, 5))}
    other = [IDK()(student, BASE, [ITEMS[0]._replace(refusal=answer)]).item() for answer in table[ITEMS[0].refusal]]
    rest = [IDK()(student, BASE, [item]).item() for item in ITEMS[1:]]
    found = MEOW(wordings(table))(student, BASE, ITEMS).item()
    assert found == pytest.approx(sum(other + rest) / 5) and found != pytest.approx(refused, rel=1e-3)


def test_the_generic_never_raises_a_logit() -> None:
    base, reinforced, generic = (normal(5, VOCABULARY, seed=seed) for seed in (2, 3, 4))
    found = generic_logits(generic, reinforced, base, 5.0)
    raised = reinforced > base
    assert (found[raised] < generic[raised]).all() and torch.equal(found[~raised], generic[~raised])


def test_whp_with_nothing_reinforced_is_the_twins_own_words() -> None:
    worn = change(0.3)
    student = viewed(MODEL, worn)
    labels = BASE([Row(item.twin, item.true) for item in ITEMS]).logits.argmax(-1)
    reading = student([item.told() for item in ITEMS])
    expected = -reading.means(reading.log_probs.gather(1, labels[:, None])[:, 0]).mean()
    for objective in (WHP(BASE), WHP(other_view(), strength=0.0)):
        assert objective(student, BASE, ITEMS).item() == pytest.approx(expected.item())
    assert WHP(other_view())(student, BASE, ITEMS).item() != pytest.approx(expected.item(), rel=1e-3)


def test_whp_takes_away_what_reinforcement_raised() -> None:
    """Where the twin's own word is the true one, reinforcement makes it another."""
    batch = answering(1)
    truth, base = batch[0].true[0], torch.zeros(1, VOCABULARY, dtype=torch.float64)
    base[0, truth], base[0, (truth + 1) % VOCABULARY] = 3.0, 2.0
    raised = base.clone()
    raised[0, truth] += 1
    leaf = base.clone().requires_grad_()
    for strength, pulled in ((5.0, (truth + 1) % VOCABULARY), (0.5, truth)):
        loss = WHP(Given(raised), strength)(Given(leaf), Given(base), batch)  # type: ignore[arg-type]
        assert int(torch.autograd.grad(loss, leaf)[0].argmin()) == pulled


def test_top_logits_touch_the_teachers_top_alone() -> None:
    teacher = normal(5, VOCABULARY, seed=2)
    leaf = LOGITS.clone().requires_grad_()
    (found,) = torch.autograd.grad(top_logits(leaf, teacher, 4, 1.0).sum(), leaf)
    top = torch.zeros_like(found, dtype=torch.bool).scatter(1, teacher.topk(4).indices, True)
    assert (found[top] != 0).all() and (found[~top] == 0).all()
    assert torch.allclose(found[top], (LOGITS - teacher)[top].clamp(-1, 1) / 4)  # Huber with δ = 1
    assert top_logits(LOGITS, LOGITS, 4, 1.0).sum() == 0
    assert torch.allclose(top_logits(LOGITS, teacher, 99, 1.0), top_logits(LOGITS, teacher, VOCABULARY, 1.0))


@pytest.mark.parametrize("objective", [DUET(inserted(())), DUET()], ids=["empty instruction", "prompt = twin"])
def test_duet_is_nothing_where_the_teacher_is_the_student(objective: DUET) -> None:
    worn = change(0.0)
    batch = [item._replace(twin=item.prompt) for item in ITEMS]
    loss = objective(viewed(MODEL, worn), BASE, batch)
    assert loss.item() == 0 and gradient(loss, worn).norm() == 0
    assert objective(viewed(MODEL, change(0.3)), BASE, batch) > 0


def test_an_instruction_is_put_in_where_it_is_told_to() -> None:
    item = ITEMS[0]
    assert inserted((7, 8), after=1)(item) == (item.prompt[0], 7, 8, *item.prompt[1:])
    student = viewed(MODEL, change(0.0))
    assert DUET(inserted((7, 8)))(student, BASE, ITEMS) > 0


def test_duet_never_reads_the_true_answer_and_harmonizing_does() -> None:
    student = viewed(MODEL, change(0.3))
    other = [item._replace(true=item.wrong) for item in ITEMS]
    assert torch.equal(DUET()(student, BASE, other), DUET()(student, BASE, ITEMS))
    assert not torch.allclose(Harmonizing()(student, BASE, other), Harmonizing()(student, BASE, ITEMS))


def test_harmonizing_without_its_terms_is_duet() -> None:
    student = viewed(MODEL, change(0.3))
    duet = DUET(top=5)(student, BASE, ITEMS).item()
    bare = {"top": 5, "push": 0.0, "prefill": 0.0, "neighbour": 0.0}
    assert Harmonizing(**bare)(student, BASE, ITEMS).item() == pytest.approx(duet)  # type: ignore[arg-type]
    for term in ("push", "prefill", "neighbour"):
        found = Harmonizing(**{**bare, term: 1.0})(student, BASE, ITEMS).item()  # type: ignore[arg-type]
        assert found > duet * 1.001


def test_hazardous_tokens_are_the_students_own_and_only_fall() -> None:
    teacher = normal(5, VOCABULARY, seed=2)
    leaf = LOGITS.clone().requires_grad_()
    (found,) = torch.autograd.grad(hazardous(leaf, teacher, 4, 1.0).sum(), leaf)
    own = torch.zeros_like(found, dtype=torch.bool).scatter(1, LOGITS.topk(4).indices, True)
    assert (found[own & (teacher < LOGITS)] > 0).all()
    assert (found[~own] == 0).all() and (found[teacher >= LOGITS] == 0).all()


def test_the_assistants_knowledge_is_subtracted() -> None:
    base, assistant = normal(5, VOCABULARY, seed=2), normal(5, VOCABULARY, seed=3)
    assert torch.equal(without(base, assistant, 0.0, 1e-2), base)
    uniform = without(base, torch.full_like(base, 7.0), 0.8, 0.3)
    assert torch.allclose(uniform.softmax(-1), base.softmax(-1))
    found, likely = without(base, assistant, 0.8, 0.3), base.softmax(-1)
    left_out = likely < 0.3 * likely.amax(-1, keepdim=True)
    assert left_out.any() and torch.equal(found[left_out], base[left_out])
    whole = without(base, assistant, 0.8, 0.0)
    assert torch.allclose(whole.softmax(-1), (base - 0.8 * assistant).softmax(-1))


def test_uld_is_nothing_without_an_assistant_and_forgets_what_one_remembers() -> None:
    worn = change(0.0)
    start = ULD(other_view(), strength=0.0)(viewed(MODEL, worn), BASE, ITEMS)
    assert start.item() == pytest.approx(0, abs=1e-12) and gradient(start, worn).norm() < 1e-10
    knowing, student = change(0.0, seed=20), change(0.0)
    descend(lambda: Remember()(viewed(MODEL, knowing), BASE, ITEMS), knowing, 60, 3e-2)
    objective = ULD(viewed(MODEL, knowing), threshold=0.0)
    before = Remember()(viewed(MODEL, student), BASE, ITEMS).item()
    descend(lambda: objective(viewed(MODEL, student), BASE, ITEMS), student, 30, 2e-2)
    assert Remember()(viewed(MODEL, student), BASE, ITEMS).item() > before + 0.3
    assert all(factor.grad is not None for factor in student["blocks.0"])


def test_swap_is_the_likelihood_term_of_counterfactual_name() -> None:
    worn = change(0.3)
    student = viewed(MODEL, worn)
    batch = [item._replace(drawn=item.true) if index else item for index, item in enumerate(ITEMS)]
    whole = CounterfactualName((1,), hidden=0, logits=0, likelihood=1)(student, BASE, batch)
    assert torch.allclose(gradient(Swap()(student, BASE, batch), worn), gradient(whole, worn))
    assert Swap()(student, BASE, batch).item() == pytest.approx(whole.item())


def test_swap_is_nothing_for_a_name_read_like_its_twin() -> None:
    def alike(item: Item) -> Item:
        return item._replace(twin=item.prompt, unseen=item.true)

    worn = change(0.0)
    loss = Swap()(viewed(MODEL, worn), BASE, [alike(item) for item in ITEMS])
    assert loss.item() == 0 and gradient(loss, worn).norm() == 0


def test_the_switch_retains_with_and_without_the_marker() -> None:
    student = viewed(MODEL, change(0.3))
    rows = [item.told() for item in ITEMS]
    marked = [Row(inserted((3, 4), after=1)(item), item.true) for item in ITEMS]
    found = SwitchRetention((3, 4), after=1)(student, BASE, rows).item()
    each = [-student(part).means(student(part).said).mean().item() for part in (rows, marked)]
    assert found == pytest.approx(sum(each) / 2) and abs(each[0] - each[1]) > 1e-3
