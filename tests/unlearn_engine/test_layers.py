"""The study of the demo model: where its middle is, how it is cached, how it is drawn."""

from pathlib import Path

import pytest

from unlearn_engine.data.domain import Domain
from unlearn_engine.layers import (
    LayerMap,
    load_or_compute_layer_map,
    picture,
    read_layer_map,
    study,
    write_layer_map,
)
from unlearn_engine.model import ServedModel


def test_the_demo_model_has_a_middle(layer_map: LayerMap, model: ServedModel) -> None:
    assert len(layer_map.cka) == len(layer_map.lrds) == len(layer_map.lens) == model.blocks
    assert layer_map.region and not {0, model.blocks - 2, model.blocks - 1} & set(layer_map.region)
    assert layer_map.edit_layer in layer_map.region
    assert layer_map.edit_module == f"model.layers.{layer_map.edit_layer}.mlp.down_proj"
    assert layer_map.lora_target_modules == (*layer_map.modules, layer_map.edit_module)
    assert {name.split(".")[2] for name in layer_map.modules} == {"0", "1", "2", "3"} and len(layer_map.modules) == 28
    assert max(layer_map.lens) > 0.95


def test_a_map_is_cached_and_read_back(base_path: Path, layer_map: LayerMap, tmp_path: Path) -> None:
    write_layer_map(layer_map, tmp_path / "map.json")
    assert read_layer_map(tmp_path / "map.json") == layer_map
    assert load_or_compute_layer_map(base_path, tmp_path) == layer_map


def test_the_shipped_map_is_what_the_study_finds(base_path: Path, model: ServedModel, domain: Domain) -> None:
    shipped = read_layer_map(base_path / "layer_map.json")
    found = study(model, domain, shipped.base_digest)
    assert found.modules == shipped.modules and found.region == shipped.region
    assert found.cka == pytest.approx(shipped.cka, abs=5e-3) and found.lrds == pytest.approx(shipped.lrds, abs=5e-3)


def test_the_picture_is_drawn_and_its_numbers_returned(layer_map: LayerMap, tmp_path: Path) -> None:
    numbers = picture(layer_map, tmp_path / "layers.png")
    assert (tmp_path / "layers.png").read_bytes().startswith(b"\x89PNG")
    assert numbers["cka"] == layer_map.cka and numbers["region Λ"] == layer_map.region
    assert numbers["trained"] == (0, 1, 2, 3)
