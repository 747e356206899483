"""Objectives that weigh log-probabilities: their weights, their limits, and what tells each from the next."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.unlearn_engine.objectives.toy import (
    HIDDEN,
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
from unlearn_engine.model import Row
from unlearn_engine.objectives import Objective
from unlearn_engine.objectives.catnip import CATNIP
from unlearn_engine.objectives.dto import DTO, targets, token_scores
from unlearn_engine.objectives.ga import GradientAscent
from unlearn_engine.objectives.ihl import IHL
from unlearn_engine.objectives.llmu import LLMU, mismatched
from unlearn_engine.objectives.npo import NPO
from unlearn_engine.objectives.remember import Remember
from unlearn_engine.objectives.satimp import SatImp
from unlearn_engine.objectives.simnpo import SimNPO
from unlearn_engine.objectives.wga import WGA

MODEL, ITEMS = ToyModel(), items()


def weights(objective: Objective, lengths: tuple[int, ...], logits: Tensor, base: Tensor | None = None) -> Tensor:
    """By how much the loss grows with each answer token's log-probability, from its gradient on the token's logit."""
    batch, leaf = answering(*lengths), logits.clone().requires_grad_()
    loss = objective(Given(leaf), Given(logits if base is None else base), batch)  # type: ignore[arg-type]
    (slope,) = torch.autograd.grad(loss, leaf)
    truth = torch.tensor([token for item in batch for token in item.true])[:, None]
    return slope.gather(1, truth)[:, 0] / (1 - logits.softmax(-1).gather(1, truth)[:, 0])


def said(lengths: tuple[int, ...], logits: Tensor) -> Tensor:
    truth = torch.tensor([token for item in answering(*lengths) for token in item.true])[:, None]
    return logits.log_softmax(-1).gather(1, truth)[:, 0]


LOGITS = normal(5, VOCABULARY, seed=1)  # answers of two and three tokens
LENGTHS = (2, 3)
SHARE = torch.tensor([1 / 4, 1 / 4, 1 / 6, 1 / 6, 1 / 6], dtype=torch.float64)  # 1 / (rows x tokens of the row)
LIKELY = said(LENGTHS, LOGITS).exp()


@pytest.mark.parametrize(
    ("objective", "expected"),
    [
        (GradientAscent(), SHARE),
        (Remember(), -SHARE),
        (WGA(2.0), SHARE * LIKELY**2),
        (SatImp(2.0, 3.0), SHARE * LIKELY**2 * (1 - LIKELY) ** 3),
        (CATNIP(0.5), 2 * SHARE * torch.sigmoid(0.5 * torch.logit(LIKELY))),
        (WGA(0.0), SHARE),
        (SatImp(2.0, 0.0), SHARE * LIKELY**2),
        (CATNIP(1.0), 2 * SHARE * LIKELY),
    ],
    ids=["GA", "remember", "WGA", "SatImp", "CATNIP", "WGA(0) = GA", "SatImp(b, 0) = WGA(b)", "CATNIP(1) = 2 WGA(1)"],
)
def test_token_weights(objective: Objective, expected: Tensor) -> None:
    assert torch.allclose(weights(objective, LENGTHS, LOGITS), expected, rtol=1e-9)


def test_npo_has_one_weight_for_the_whole_answer() -> None:
    base = LOGITS + 0.3 * normal(5, VOCABULARY, seed=2)
    ratios = said(LENGTHS, LOGITS) - said(LENGTHS, base)
    whole = torch.stack([ratios[:2].sum(), ratios[2:].sum()])
    expected = (2 * torch.sigmoid(0.7 * whole) / 2)[[0, 0, 1, 1, 1]]
    assert torch.allclose(weights(NPO(0.7), LENGTHS, LOGITS, base), expected)
    assert (expected > 0).all() and (expected < 2 / 2).all()


def test_npo_becomes_ascent_on_the_sum_as_beta_vanishes() -> None:
    base = LOGITS + normal(5, VOCABULARY, seed=2)
    ascent = weights(GradientAscent(), LENGTHS, LOGITS) * torch.tensor([2, 2, 3, 3, 3])
    ratio = weights(NPO(1e-4), LENGTHS, LOGITS, base) / ascent
    assert torch.allclose(ratio, torch.ones(5, dtype=torch.float64), atol=1e-3)


@pytest.mark.parametrize("beta", [0.1, 2.0])
def test_npo_starts_at_its_known_value(beta: float) -> None:
    loss = NPO(beta)(viewed(MODEL, change(0.0)), viewed(MODEL, None), ITEMS)
    assert loss.item() == pytest.approx(2 / beta * 0.6931471805599453)


def test_simnpo_weighs_by_the_mean() -> None:
    means = torch.stack([said(LENGTHS, LOGITS)[:2].mean(), said(LENGTHS, LOGITS)[2:].mean()])
    expected = 2 * SHARE * torch.sigmoid(0.7 * (means + 0.4))[[0, 0, 1, 1, 1]]
    assert torch.allclose(weights(SimNPO(0.7, 0.4), LENGTHS, LOGITS), expected)


def test_simnpo_ignores_length_and_npo_does_not() -> None:
    once = answering(2)
    twice = [once[0]._replace(true=once[0].true * 2)]
    logits = LOGITS[:2]
    base = logits - 1.5 * normal(2, VOCABULARY, seed=5)

    def loss(objective: Objective, doubled: bool) -> float:
        views = [Given(torch.cat([part, part]) if doubled else part) for part in (logits, base)]
        return float(objective(*views, twice if doubled else once))  # type: ignore[arg-type]

    assert loss(SimNPO(), True) == pytest.approx(loss(SimNPO(), False), rel=1e-12)
    assert loss(NPO(), True) != pytest.approx(loss(NPO(), False), rel=1e-3)


def test_simnpo_in_the_papers_own_form() -> None:
    beta, margin = 2.5, 0.3
    row = said((5,), LOGITS)
    paper = -(2 / beta) * torch.nn.functional.logsigmoid(-(beta / 5) * row.sum() - beta * margin)
    ours = SimNPO(beta, margin)(Given(LOGITS), Given(LOGITS), answering(5))  # type: ignore[arg-type]
    assert float(ours) == pytest.approx(float(paper), rel=1e-12)


def test_simnpo_plus_teaches_the_refusal() -> None:
    def likelihood(weight: float) -> float:
        worn = change(0.0)
        descend(lambda: SimNPO(0.5, refusal=weight)(viewed(MODEL, worn), viewed(MODEL, None), ITEMS), worn, 10, 1e-2)
        reading = viewed(MODEL, worn)([Row(item.prompt, item.refusal) for item in ITEMS])
        return reading.said.detach().mean().item()

    assert likelihood(1.0) > likelihood(0.0) + 0.5


def test_ascent_is_the_exact_opposite_of_learning() -> None:
    worn = change(0.3)
    student, base = viewed(MODEL, worn), viewed(MODEL, None)
    up, down = (gradient(objective(student, base, ITEMS), worn) for objective in (GradientAscent(), Remember()))
    assert torch.equal(up, -down)


def test_catnip_fades_with_belief() -> None:
    truth, found = answering(1)[0].true[0], []
    for belief in (1e-6, 0.01, 0.3, 0.9, 1 - 1e-7):
        logits = torch.zeros(1, VOCABULARY, dtype=torch.float64)
        logits[0, truth] = torch.logit(torch.tensor(belief, dtype=torch.float64)) + torch.tensor(VOCABULARY - 1.0).log()
        found.append(float(weights(CATNIP(0.8), (1,), logits)))
    assert found == sorted(found) and found[0] < 1e-4 and 1.9 < found[-1] < 2


def test_catnip_is_finite_where_the_model_is_certain() -> None:
    leaf = torch.zeros(1, VOCABULARY)
    leaf[0, answering(1)[0].true[0]] = 800.0
    loss = CATNIP()(Given(leaf.requires_grad_()), Given(leaf), answering(1))  # type: ignore[arg-type]
    assert 13 < float(loss.detach()) < 14  # 2 log(1 / floor)
    assert torch.autograd.grad(loss, leaf)[0].isfinite().all()


@given(seed=st.integers(0, 200), sharpness=st.floats(0.1, 40))
def test_the_inverted_hinge_is_bounded_with_its_analytic_gradient(seed: int, sharpness: float) -> None:
    leaf = (sharpness * normal(1, VOCABULARY, seed=seed)).requires_grad_()
    loss = IHL()(Given(leaf), Given(leaf), answering(1))  # type: ignore[arg-type]
    assert 0 <= float(loss.detach()) <= 2
    (found,) = torch.autograd.grad(loss, leaf)
    likely, truth = leaf.detach().softmax(-1)[0], answering(1)[0].true[0]
    runner_up = int(likely.index_fill(0, torch.tensor(truth), -1.0).argmax())
    p, q = likely[truth], likely[runner_up]
    expected = -likely * (p - q)
    expected[truth], expected[runner_up] = p * (1 - p + q), -q * (1 - q + p)
    assert torch.allclose(found[0], expected, atol=1e-9)


def test_the_inverted_hinge_is_zero_when_the_runner_up_has_it_all() -> None:
    logits, truth = torch.zeros(1, VOCABULARY, dtype=torch.float64), answering(1)[0].true[0]
    for winner, expected in (((truth + 1) % VOCABULARY, 0.0), (truth, 2.0)):
        sure = logits.clone()
        sure[0, winner] = 800
        assert float(IHL()(Given(sure), Given(sure), answering(1))) == expected  # type: ignore[arg-type]


def test_llmu_is_its_two_terms() -> None:
    worn = change(0.3)
    student, base = viewed(MODEL, worn), viewed(MODEL, None)
    ascent, mismatch, both = (
        gradient(objective(student, base, ITEMS), worn) for objective in (LLMU(1, 0), LLMU(0, 1), LLMU(0.5, 2))
    )
    assert torch.allclose(ascent, gradient(GradientAscent()(student, base, ITEMS), worn))
    assert torch.allclose(both, 0.5 * ascent + 2 * mismatch)
    taught = [item._replace(true=row.answer) for item, row in zip(ITEMS, mismatched(ITEMS), strict=True)]
    assert torch.allclose(mismatch, gradient(Remember()(student, base, taught), worn))


def test_a_mismatched_answer_is_another_items_and_never_the_true_one() -> None:
    first, *others = ITEMS
    batch = [first, *(item._replace(wrong=first.true) for item in others[:-1]), others[-1]]
    for item, row in zip(batch, mismatched(batch), strict=True):
        assert row.prompt == item.prompt and row.answer != item.true
        assert row.answer in {other.wrong for other in batch if other is not item}
    assert mismatched([first]) == [Row(first.prompt, first.wrong)]


@pytest.mark.parametrize(("share", "tokens", "expected"), [(0.0, 5, 0), (0.2, 5, 1), (0.21, 5, 2), (1.0, 3, 3)])
def test_targets_are_the_highest_scores(share: float, tokens: int, expected: int) -> None:
    scores = torch.tensor([3.0, 1.0, 5.0, 2.0, 4.0])[:tokens]
    chosen = targets(scores, share)
    assert int(chosen.sum()) == expected
    assert chosen.all() or not chosen.any() or scores[chosen].min() > scores[~chosen].max()


def test_dto_lies_between_ascent_and_staying() -> None:
    worn, untouched = change(0.3), change(0.0)
    student, base = viewed(MODEL, worn), viewed(MODEL, None)
    every, ascent = (gradient(objective(student, base, ITEMS), worn) for objective in (DTO(1.0), GradientAscent()))
    assert torch.allclose(every, ascent)
    none = DTO(0.0)
    assert gradient(none(student, base, ITEMS), worn).norm() > 1e-3
    start = none(viewed(MODEL, untouched), base, ITEMS)
    assert float(start.detach()) == pytest.approx(0, abs=1e-12)
    assert gradient(start, untouched).norm() < 1e-12


def test_dto_ascends_on_its_targets_alone() -> None:
    objective = DTO(0.4, keep=0.0)
    worn, long = change(0.3), [item._replace(true=item.true + item.wrong) for item in ITEMS]
    loss = objective(viewed(MODEL, worn), viewed(MODEL, None), long)
    told = [item.told() for item in long]
    reading = viewed(MODEL, worn)(told)
    expected = [
        reading.said[reading.places[0] == index][targets(scores, 0.4)].mean()
        for index, scores in enumerate(token_scores(MODEL, told))  # type: ignore[arg-type]
    ]
    assert float(loss.detach()) == pytest.approx(float(torch.stack(expected).mean().detach()), rel=1e-12)


def test_token_scores_are_first_order_effects_on_what_follows() -> None:
    row = Row((1, 2, 3), (4, 5, 6, 7, 8))
    (scores,) = token_scores(MODEL, [row])  # type: ignore[arg-type]
    embedded, step = MODEL.embedding(torch.tensor([row.prompt + row.answer])), 1e-6
    for index in range(5):
        losses = []
        for sign in (1, -1):
            changed = embedded.clone()
            changed[0, 3 + index] *= 1 + sign * step
            state = MODEL.hidden([row.prompt + row.answer], inputs=changed)[-1][0, 2:-1]
            scored = MODEL.logits(state).log_softmax(-1)
            losses.append(-scored.gather(1, torch.tensor(row.answer)[:, None])[index + 1 :].sum() / 5)
        assert float(scores[index]) == pytest.approx(abs(float(losses[0] - losses[1])) / (2 * step), abs=1e-8)
    assert scores[-1] == 0


def test_a_planted_secret_ranks_first() -> None:
    model, secret = ToyModel(), VOCABULARY - 1
    model.embedding.weight[secret] += 6 * normal(HIDDEN, seed=4)
    answer = (*range(1, 15), secret, *range(1, 10))  # one of 24
    (scores,) = token_scores(model, [Row((1, 2), answer)])  # type: ignore[arg-type]
    assert int(scores.argmax()) == 14
