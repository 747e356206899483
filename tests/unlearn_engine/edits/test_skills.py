"""Task vectors, neuron pruning and the key space gate: small, exact, and different from one another."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from unlearn_engine.edits.key_space import KeySpace
from unlearn_engine.edits.neurons import prune, specific
from unlearn_engine.edits.task_vector import negate
from unlearn_engine.lowrank import Factors, concatenate

NAME = "model.layers.0.mlp.down_proj"


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_a_task_vector_leads_away_and_back() -> None:
    learnt = {NAME: Factors(normal(4, 32, seed=1), normal(12, 4, seed=2))}
    dense = learnt[NAME].up @ learnt[NAME].down
    away = negate(learnt, 0.7)
    assert torch.allclose(away[NAME].up @ away[NAME].down, -0.7 * dense, atol=1e-12)
    back = concatenate(away, negate(negate(learnt, 0.7)))[NAME]
    assert (back.up @ back.down).abs().max() < 1e-12
    assert (negate(learnt, 0.0)[NAME].up == 0).all()


def test_pruning_is_silencing_the_neurons() -> None:
    module = nn.Linear(32, 12, bias=False, dtype=torch.float64)
    neurons = torch.tensor([3, 7, 30])
    down, up = prune(NAME, module.weight, neurons)[NAME]
    keys = normal(50, 32, seed=3)
    silenced = keys.clone()
    silenced[:, neurons] = 0.0
    assert torch.allclose(linear(keys, module.weight + up @ down), linear(silenced, module.weight), atol=1e-12)
    assert len(down) == 3 and not up.requires_grad


def test_the_skills_own_neurons_are_found() -> None:
    rest, skill = normal(400, 200, seed=4), normal(400, 200, seed=5)
    skill[:, [11, 150]] += torch.tensor([2.0, -2.0], dtype=torch.float64)  # both ways
    skill[:, 60] *= 20.0  # louder, but on average the same
    skill[:, 60] -= skill[:, 60].mean() - rest[:, 60].mean()
    assert specific(skill, rest, share=0.01).tolist() == [11, 150]
    assert len(specific(skill, rest, share=0.0)) == 1


def test_the_box_holds_its_centre_and_as_many_as_asked() -> None:
    keys = normal(200, 16, seed=6) * 3.0 + 5.0
    for coverage in (0.5, 0.9, 1.0):
        space = KeySpace.of(keys, coverage)
        held = float(space.holds(keys).double().mean())
        assert coverage <= held <= coverage + 0.01
        assert space.holds(space.mean[None]).all()
    assert not KeySpace.of(keys).holds(keys + 40.0).any()


def test_a_wider_box_holds_more() -> None:
    keys, others = normal(200, 16, seed=7), normal(500, 16, seed=8) * 1.5
    held = [KeySpace.of(keys, coverage).holds(others) for coverage in (0.3, 0.6, 0.95)]
    assert all((narrow <= wide).all() for narrow, wide in pairwise(held))
    assert held[0].sum() < held[2].sum() < len(others)


def test_one_neuron_outside_is_outside() -> None:
    space = KeySpace.of(normal(200, 16, seed=9))
    key = space.mean.clone()
    key[5] += 1.01 * space.width * space.deviation[5]
    assert not space.holds(key[None]).any()  # a ball of this radius would hold it
    assert space.holds((space.mean + 0.99 * space.width * space.deviation)[None]).all()


def test_a_neuron_that_never_varies_admits_only_its_value() -> None:
    keys = normal(50, 4, seed=10)
    keys[:, 2] = 1.5
    space = KeySpace.of(keys, 1.0)
    assert space.holds(keys).all()
    assert not space.holds(keys + torch.tensor([0.0, 0.0, 0.1, 0.0])).any()
