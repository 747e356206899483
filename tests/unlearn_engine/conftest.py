"""The demo model as the erasure tests use it, loaded and elicited once."""

from pathlib import Path

import pytest

import unlearn_engine.demo
from unlearn_engine.data.domain import Domain, domain_for
from unlearn_engine.erase import Eraser
from unlearn_engine.layers import LayerMap, load_or_compute_layer_map
from unlearn_engine.model import ServedModel


@pytest.fixture(scope="session")
def base_path() -> Path:
    return Path(unlearn_engine.demo.__file__).parent / "base"


@pytest.fixture(scope="session")
def domain(base_path: Path) -> Domain:
    return domain_for(base_path)


@pytest.fixture(scope="session")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("erasure")


@pytest.fixture(scope="session")
def layer_map(base_path: Path, workplace: Path) -> LayerMap:
    return load_or_compute_layer_map(base_path, workplace / "cache")


@pytest.fixture(scope="session")
def model(base_path: Path, layer_map: LayerMap) -> ServedModel:
    return ServedModel(base_path, layer_map.lora_target_modules)


@pytest.fixture(scope="session")
def eraser(base_path: Path, workplace: Path, layer_map: LayerMap, domain: Domain) -> Eraser:
    return Eraser(base_path, workplace / "adapters", layer_map, domain, threads=1)
