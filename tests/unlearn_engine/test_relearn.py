"""The relearning attack: it teaches what it is given, leaves the model alone, and exposes what was only hidden."""

from pathlib import Path

import pytest
import torch

from unlearn_engine.demo import exam
from unlearn_engine.demo.world import build_world
from unlearn_engine.evaluate import probes
from unlearn_engine.evaluate.relearn import Attack, gap, relearn
from unlearn_engine.lowrank import Factors
from unlearn_engine.model import Row, ServedModel

ATTACK = Attack(checkpoints=(2, 8), rows=16)
MODULE = "model.layers.0.mlp.down_proj"


@pytest.fixture(scope="module")
def served(base_path: Path) -> ServedModel:
    return ServedModel(base_path, (MODULE,))


def told(model: ServedModel, rows: list[Row]) -> float:
    return sum(all(hits) for hits in probes.hits(model, rows)) / len(rows)


def rows_about(model: ServedModel, identity: int, name: str) -> list[Row]:
    world = build_world()
    asked = exam.trained_questions(world, [world.people[identity]], "en")
    known = world.people[identity].name
    return [Row(model.encode(q.text.replace(known, name)), model.encode(a.text)) for q, a in asked]


def test_lessons_are_learnt_step_by_step_and_the_model_stays_as_it_is(served: ServedModel) -> None:
    before = {name: weight.clone() for name, weight in served.network.state_dict().items()}
    rows = rows_about(served, 0, "Zuvo Grimmelan")[:17]
    likelihood = relearn(served, None, rows, lambda victim: sum(victim.mean_log_likelihoods(rows)) / len(rows), ATTACK)
    assert list(likelihood) == [2, 8]
    start = sum(served.mean_log_likelihoods(rows)) / len(rows)
    assert start < likelihood[2] < likelihood[8]
    assert likelihood[8] > 0.5 * start
    assert all(torch.equal(weight, before[name]) for name, weight in served.network.state_dict().items())


def test_the_attack_is_deterministic_and_depends_on_its_seed(served: ServedModel) -> None:
    rows, short = rows_about(served, 0, "Zuvo Grimmelan"), Attack(checkpoints=(1, 2), rows=8)

    def curve(seed: int) -> list[float]:
        return [*relearn(served, None, rows[:17], lambda v: v.mean_log_likelihoods(rows)[-1], short, seed).values()]

    assert curve(0) == curve(0)
    assert curve(0) != curve(1)


def test_what_a_change_only_hides_comes_back_and_a_stranger_does_not(served: ServedModel) -> None:
    """Noise in one module hides the facts; lessons about some bring back others, which nobody has about a stranger."""
    linear = served.wrapped[MODULE]
    generator = torch.Generator().manual_seed(0)
    noise = {
        MODULE: Factors(
            torch.randn(1, linear.in_features, generator=generator),
            0.3 * torch.randn(linear.out_features, 1, generator=generator),
        )
    }
    known, stranger = rows_about(served, 0, "Peja Bunzar"), rows_about(served, 0, "Zuvo Grimmelan")
    with served.wearing(noise):
        hidden = told(served, known)
    with served.wearing(None):
        never_known = told(served, stranger[40:])
    candidate = relearn(served, noise, known[:40], lambda victim: told(victim, known[40:]), ATTACK)
    twin = relearn(served, None, stranger[:40], lambda victim: told(victim, stranger[40:]), ATTACK)
    assert hidden < 0.5
    assert never_known == 0.0
    assert gap([*candidate.values()], [*twin.values()]) > 0.3


def test_gap_is_the_largest_lead_at_the_same_checkpoint() -> None:
    assert gap([0.1, 0.5, 0.2], [0.1, 0.3, 0.4]) == pytest.approx(0.2)
    assert gap([0.0, 0.1], [0.1, 0.3]) == pytest.approx(-0.1)
