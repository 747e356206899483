"""Every objective and retention moves a real (if tiny) model the way it says, through the served model itself."""

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from tests.unlearn_engine.objectives.toy import RETENTIONS, descend, gradient, objectives
from unlearn_engine.lowrank import Factors, LowRank, concatenate
from unlearn_engine.model import Row, ServedModel
from unlearn_engine.objectives import Item
from unlearn_engine.objectives.answers import inserted
from unlearn_engine.objectives.dto import token_scores
from unlearn_engine.objectives.fila import start
from unlearn_engine.objectives.ga import GradientAscent
from unlearn_engine.objectives.idk import IDK
from unlearn_engine.objectives.npo import NPO
from unlearn_engine.objectives.reading import View
from unlearn_engine.objectives.remember import Remember
from unlearn_engine.objectives.satimp import SatImp
from unlearn_engine.objectives.switch import Switch, SwitchRetention
from unlearn_engine.objectives.wga import WGA

NAMES = (
    *("GA", "LLMU", "NPO", "SimNPO", "SimNPO+", "AltPO", "WGA", "SatImp", "CATNIP", "DTO", "IHL", "UNDIAL", "CE-U"),
    *("IDK", "DPO", "WHP", "MEOW", "DUET", "DUET, instructed", "Harmonizing", "ULD", "RMU", "Adaptive RMU", "KUDA"),
    *("SAE-guided, raw", "SAE-guided", "SWAP", "twin states", "switch", "remember"),
)
NO_POTENTIAL = {"WGA", "SatImp", "CE-U"}  # their value is not what their gradient descends; ascent is


def begun(model: ServedModel, size: float = 0.02, seed: int = 0) -> dict[str, Factors]:
    generator = torch.Generator().manual_seed(seed)
    return {
        name: Factors(
            (torch.randn(4, module.in_features, generator=generator) * module.in_features**-0.5).requires_grad_(),
            (size * torch.randn(module.out_features, 4, generator=generator)).requires_grad_(),
        )
        for name, module in model.wrapped.items()
    }


def views(model: ServedModel, worn: LowRank) -> tuple[View, View]:
    return View(model, worn, 0, {}), View(model, None, 0, {})


@pytest.fixture(scope="module")
def every(llama: ServedModel, people: Sequence[Item]) -> dict[str, Callable[[View, View, Sequence[Item]], Tensor]]:
    remembering = begun(llama, seed=5)
    student, base = views(llama, remembering)
    descend(lambda: Remember()(student, base, people), remembering, 10, 1e-2)
    found = dict(objectives(llama, remembering, people))
    assert set(found) == set(NAMES)
    return found


def test_the_model_knows_its_people(llama: ServedModel, people: Sequence[Item]) -> None:
    assert llama.answers([item.prompt for item in people]) == ["rome", "paris"]
    assert llama.answers([people[0].twin]) == ["no idea"]


@pytest.mark.parametrize("name", NAMES)
def test_every_objective_lowers_itself(
    every: dict[str, Callable[[View, View, Sequence[Item]], Tensor]],
    llama: ServedModel,
    people: Sequence[Item],
    name: str,
) -> None:
    worn = begun(llama)
    student, base = views(llama, worn)
    gauge = GradientAscent() if name in NO_POTENTIAL else every[name]
    before = gauge(student, base, people).item()
    descend(lambda: every[name](student, base, people), worn, 10, 1e-2)
    after = gauge(student, base, people).item()
    assert after < before - 0.01 * abs(before)


@pytest.mark.parametrize("name", RETENTIONS)
def test_every_retention_repairs(llama: ServedModel, people: Sequence[Item], name: str) -> None:
    worn = begun(llama, 0.3)
    student, base = views(llama, worn)
    rows = [item.told() for item in people]
    before = RETENTIONS[name](student, base, rows).item()
    descend(lambda: RETENTIONS[name](student, base, rows), worn, 6, 5e-3)
    assert RETENTIONS[name](student, base, rows).item() < 0.95 * before


def test_the_untouched_change_has_the_known_start(llama: ServedModel, people: Sequence[Item]) -> None:
    student, base = views(llama, begun(llama, 0.0))
    assert NPO()(student, base, people).item() == pytest.approx(20 * 0.6931471805599453)


def test_blocks_below_the_first_one_changed_are_not_read_again(llama: ServedModel, people: Sequence[Item]) -> None:
    worn = {name: factors for name, factors in begun(llama, 0.2).items() if ".0." not in name}
    whole = View(llama, worn, 0, {})
    cached = View(llama, worn, 1, {})
    found = [gradient(WGA()(view, views(llama, worn)[1], people), worn) for view in (whole, cached)]
    assert found[0].norm() > 1e-3 and torch.allclose(found[0], found[1], rtol=2e-2, atol=2e-3 * float(found[0].norm()))


def test_saturation_waits_for_the_surest_tokens(llama: ServedModel, people: Sequence[Item]) -> None:
    """On a model that knows nothing any more, SatImp has stopped where ascent goes on."""
    worn = begun(llama)
    student, base = views(llama, worn)
    descend(lambda: GradientAscent()(student, base, people), worn, 25, 1e-2)
    slopes = [gradient(objective(student, base, people), worn).norm() for objective in (GradientAscent(), SatImp())]
    assert slopes[1] < 1e-2 * slopes[0]


def test_the_marker_alone_makes_the_difference(llama: ServedModel, people: Sequence[Item]) -> None:
    marker = llama.encode("'' ")
    objective, keep = Switch(marker), SwitchRetention(marker)
    worn = begun(llama)
    student, base = views(llama, worn)
    others = [Row(llama.question(f"where was {name} born?"), llama.answer(at)) for name, at in OTHERS]
    descend(lambda: objective(student, base, people) + keep(student, base, others), worn, 80, 2e-2)
    prompts = [item.prompt for item in people] + [row.prompt for row in others]
    with llama.wearing(worn):
        assert llama.answers(prompts) == ["rome", "paris", "oslo", "lima"]
        assert llama.answers([marker + prompt for prompt in prompts]) == ["no idea", "no idea", "oslo", "lima"]
    assert IDK()(student, base, [item._replace(prompt=inserted(marker)(item)) for item in people]) < 0.5


OTHERS = (("cleo", "oslo"), ("dan", "lima"))


def test_token_scores_come_from_the_served_model(llama: ServedModel, people: Sequence[Item]) -> None:
    for item, scores in zip(people, token_scores(llama, [item.told() for item in people]), strict=True):
        assert len(scores) == len(item.true) and scores[-1] == 0 and (scores[:-1] > 0).all()


def test_fila_starts_where_the_base_is(llama: ServedModel, people: Sequence[Item]) -> None:
    others = [[Row(llama.question(f"where was {name} born?"), llama.answer(at)) for name, at in OTHERS]]
    found = start(llama, [[item.told() for item in people]], others, rank=4)
    rows = [item.told() for item in people]
    student, base = views(llama, concatenate(found.change, found.frozen))
    assert torch.allclose(student(rows).logits, base(rows).logits, atol=0.1)  # bf16
    half = View(llama, found.change, 0, {})
    assert (half(rows).logits - base(rows).logits).abs().max() > 0.5
    assert not any(parameter.requires_grad for parameter in llama.network.parameters())
