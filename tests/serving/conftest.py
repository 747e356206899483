"""Adapters made for a test."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.conftest import MODULE

MakeAdapter = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def make_adapter(tmp_path_factory: pytest.TempPathFactory, model_config: dict[str, Any]) -> MakeAdapter:
    """Write a random PEFT adapter; returns the fields of its `AdapterRef`."""

    def make(seed: int, *, module: str = MODULE, rank: int = 4, scale: float = 1.0) -> dict[str, Any]:
        rng = np.random.default_rng(seed)
        down = rng.normal(size=(rank, model_config["intermediate_size"])).astype(np.float32)
        up = scale * rng.normal(size=(model_config["hidden_size"], rank)).astype(np.float32)
        prefix = f"base_model.model.{module}"
        digest = hashlib.sha256(f"{seed} {module} {rank} {scale}".encode()).hexdigest()
        path = tmp_path_factory.mktemp("adapters") / digest
        path.mkdir()
        save_file({f"{prefix}.lora_A.weight": down, f"{prefix}.lora_B.weight": up}, path / "adapter_model.safetensors")
        config = {"peft_type": "LORA", "r": rank, "lora_alpha": rank, "target_modules": [module.split(".")[-1]],
                  "task_type": "CAUSAL_LM", "bias": "none"}  # fmt: skip
        (path / "adapter_config.json").write_text(json.dumps(config))
        return {"digest": digest, "path": str(path), "rank": rank}

    return make
