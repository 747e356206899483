"""Every selector names modules that exist, from the measures it claims, and differs from its neighbours."""

from dataclasses import dataclass, replace

import pytest

from unlearn_engine.errors import UnsupportedModel
from unlearn_engine.layers import LayerMap
from unlearn_engine.model import ServedModel
from unlearn_engine.selectors import Calibration, linears_of
from unlearn_engine.selectors.lens import LensOnset, onset
from unlearn_engine.selectors.mute import Region, TargetBlock
from unlearn_engine.selectors.named import AllBlocks, Depth, Explicit
from unlearn_engine.selectors.recognition import Recognised


@dataclass(frozen=True)
class Planted:
    """Twelve blocks whose languages mix in the middle and whose facts become readable after the seventh."""

    cka: tuple[float, ...] = (0.3, 0.4, 0.5, 0.8, 0.9, 0.95, 0.9, 0.5, 0.4, 0.3, 0.2, 0.2)
    lrds: tuple[float, ...] = (0.3, 0.2, 0.1, 0.05, 0.03, 0.03, 0.05, 0.4, 0.6, 0.8, 0.9, 0.9)
    lens: tuple[float, ...] = (0.0,) * 6 + (0.3, 0.6, 0.9, 1.0, 1.0, 1.0)
    recognition: tuple[float, ...] = (0.5, 0.6) + (0.9,) * 10


@pytest.fixture
def planted(calibration: Calibration) -> Calibration:
    return replace(calibration, layers=Planted())


def test_the_planted_middle_is_found(planted: Calibration) -> None:
    selection = Region()(planted)
    assert selection.blocks == (3, 4, 5, 6)
    assert selection.modules == tuple(f"model.layers.{block}.mlp.down_proj" for block in (3, 4, 5, 6))
    assert selection.scores["cka"] == Planted().cka
    assert Region(alpha=1.0, margin=0.0)(planted).blocks == (4, 5)


def test_mute_trains_at_the_peak_and_steps_at_the_deepest(planted: Calibration) -> None:
    assert TargetBlock()(planted).blocks == (5,)
    assert TargetBlock(deepest=True)(planted).blocks == (6,)


def test_the_onset_is_where_facts_become_readable(planted: Calibration) -> None:
    assert LensOnset()(planted).blocks == (6,)
    assert LensOnset(share=0.5)(planted).blocks == (7,)
    assert LensOnset(width=3)(planted).blocks == (4, 5, 6)
    assert onset([1.0, 0.0]) == 0


def test_our_rule_begins_where_names_are_recognised_and_takes_every_linear_layer(planted: Calibration) -> None:
    chosen = Recognised()(planted)
    assert chosen.blocks == (2, 3, 4, 5)
    assert chosen.modules == tuple(name for block in (2, 3, 4, 5) for name in linears_of(planted.model, block))
    assert Recognised(width=1)(planted).blocks == (2,)


def test_on_the_demo_model_our_rule_is_the_layer_map(calibration: Calibration, layer_map: LayerMap) -> None:
    assert Recognised()(calibration).modules == layer_map.modules
    assert Region()(calibration).blocks == layer_map.region


def test_the_depths_differ_in_place_alone(planted: Calibration) -> None:
    assert Depth("shallow")(planted).blocks == (0, 1, 2, 3)
    assert Depth("region")(planted).blocks == Region()(planted).blocks
    assert Depth("deep")(planted).blocks == (8, 9, 10, 11)
    assert Depth("region", width=2)(planted).blocks == (4, 5)
    assert Depth("deep", width=99)(planted).blocks == tuple(range(12))


def test_all_blocks_and_their_linear_layers(calibration: Calibration, model: ServedModel) -> None:
    assert AllBlocks()(calibration).blocks == tuple(range(model.blocks))
    linears = ("self_attn.q_proj", "mlp.up_proj")
    assert len(AllBlocks(linears)(calibration).modules) == 2 * model.blocks


def test_modules_that_do_not_exist_are_refused(calibration: Calibration) -> None:
    with pytest.raises(UnsupportedModel):
        Explicit(("model.layers.3.mlp.no_such_proj",))(calibration)
    with pytest.raises(UnsupportedModel):
        AllBlocks(("mlp",))(calibration)


def test_an_explicit_list_is_taken_as_it_is(calibration: Calibration) -> None:
    modules = ("model.layers.7.mlp.up_proj", "model.layers.2.self_attn.o_proj")
    selection = Explicit(modules)(calibration)
    assert selection.modules == modules and selection.blocks == (2, 7)


def test_wrapped_layers_go_by_their_own_names(model: ServedModel, layer_map: LayerMap) -> None:
    names = set(linears_of(model, layer_map.edit_layer))
    assert f"model.layers.{layer_map.edit_layer}.mlp.down_proj" in names and len(names) == 7
