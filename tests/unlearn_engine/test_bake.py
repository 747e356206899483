"""Baking: the new base answers as base and adapter did, and nothing else in it has changed."""

import json
import shutil
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from unlearn_engine.adapter import Adapter, export, parts
from unlearn_engine.bake import RECORD, bake, baked, main
from unlearn_engine.errors import UnknownAdapter, UnsupportedModel
from unlearn_engine.lowrank import Factors, LowRank
from unlearn_engine.model import ServedModel, base_digest

SIZES = {"model.layers.3.mlp.down_proj": (448, 160), "model.layers.8.self_attn.q_proj": (160, 160)}
SHARDS = "model-0000{}-of-00002.safetensors"


def change(seed: int, sizes: dict[str, tuple[int, int]] = SIZES) -> LowRank:
    generator = torch.Generator().manual_seed(seed)
    return {
        name: Factors(torch.randn(4, inputs, generator=generator), 0.02 * torch.randn(outputs, 4, generator=generator))
        for name, (inputs, outputs) in sizes.items()
    }


def adapter_for(folder: Path, directory: Path, seed: int = 0, sizes: dict[str, tuple[int, int]] = SIZES) -> Adapter:
    return export(directory, base_digest(folder), change(seed, sizes), {}, [f"r{seed}"], ())


@pytest.fixture
def full_precision(base_path: Path, tmp_path: Path) -> Path:
    """The demo model in fp32 and two files, so that rounding is no excuse."""
    folder = tmp_path / "fp32"
    shutil.copytree(base_path, folder)
    tensors = {name: tensor.float() for name, tensor in load_file(folder / "model.safetensors").items()}
    (folder / "model.safetensors").unlink()
    placed = {name: 1 + index % 2 for index, name in enumerate(sorted(tensors))}
    for shard in (1, 2):
        save_file({name: tensors[name] for name in tensors if placed[name] == shard}, folder / SHARDS.format(shard))
    index = {"metadata": {}, "weight_map": {name: SHARDS.format(shard) for name, shard in placed.items()}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


def test_the_baked_model_answers_as_with_the_adapter(full_precision: Path, tmp_path: Path) -> None:
    adapter = adapter_for(full_precision, tmp_path / "adapters")
    record = bake(full_precision, adapter.path, tmp_path / "out")
    worn, plain = ServedModel(full_precision, tuple(SIZES)), ServedModel(tmp_path / "out")
    row = torch.tensor([worn.question("Where was Peja Bunzar born?")])
    with torch.no_grad():
        base = worn.network(row).logits
        with worn.wearing(parts(adapter, base_digest(full_precision))[0]):
            expected = worn.network(row).logits
        assert (plain.network(row).logits - expected).abs().max() < 1e-4 < 0.1 < (expected - base).abs().max()
    assert record.rounding < 1e-5
    whole = load_file(tmp_path / "out" / SHARDS.format(1)) | load_file(tmp_path / "out" / SHARDS.format(2))
    before = load_file(full_precision / SHARDS.format(1)) | load_file(full_precision / SHARDS.format(2))
    for name, (down, up) in parts(adapter, base_digest(full_precision))[0].items():
        assert torch.allclose(whole[f"{name}.weight"], before[f"{name}.weight"] + up @ down, atol=1e-6)


def test_everything_else_is_bitwise_the_same(base_path: Path, tmp_path: Path) -> None:
    adapter = adapter_for(base_path, tmp_path / "adapters")
    bake(base_path, adapter.path, tmp_path / "out")
    before, after = (load_file(folder / "model.safetensors") for folder in (base_path, tmp_path / "out"))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {f"{name}.weight" for name in SIZES}
    assert all(after[name].dtype == before[name].dtype for name in before)
    for file in base_path.iterdir():
        if file.name != "model.safetensors":
            assert (tmp_path / "out" / file.name).read_bytes() == file.read_bytes()
    assert {file.name for file in (tmp_path / "out").iterdir()} == {
        *(file.name for file in base_path.iterdir()),
        RECORD,
    }


def test_the_record_tells_both_digests_and_what_rounding_took(base_path: Path, tmp_path: Path) -> None:
    adapter = adapter_for(base_path, tmp_path / "adapters")
    record = bake(base_path, adapter.path, tmp_path / "out")
    assert record == baked(tmp_path / "out")
    assert record.base_digest == base_digest(base_path) != base_digest(tmp_path / "out") == record.digest
    assert (record.adapters, record.subjects) == ((adapter.digest,), ("r0",))
    assert 1e-4 < record.rounding < 0.2  # bf16
    assert baked(base_path) is None


def test_a_second_bake_remembers_the_first(base_path: Path, tmp_path: Path) -> None:
    first = adapter_for(base_path, tmp_path / "adapters")
    bake(base_path, first.path, tmp_path / "one")
    with pytest.raises(UnknownAdapter, match="another base model"):
        bake(tmp_path / "one", first.path, tmp_path / "twice")
    second = adapter_for(tmp_path / "one", tmp_path / "adapters", seed=1)
    record = bake(tmp_path / "one", second.path, tmp_path / "two")
    assert record.adapters == (first.digest, second.digest) and record.subjects == ("r0", "r1")
    assert record.base_digest == base_digest(tmp_path / "one")


def test_copies_that_would_still_remember_stay_behind(base_path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(base_path, folder)
    (folder / "pytorch_model.bin").write_bytes(b"weights")
    (folder / "original").mkdir()
    (folder / "original" / "consolidated.00.pth").write_bytes(b"weights")
    bake(folder, adapter_for(folder, tmp_path / "adapters").path, tmp_path / "out")
    assert not {"pytorch_model.bin", "original"} & {file.name for file in (tmp_path / "out").iterdir()}


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"model.layers.99.mlp.down_proj": (448, 160)}, "no weight of"),
        ({"model.layers.3.mlp.down_proj": (440, 160)}, r"only floats of shape \[160, 440\]"),
    ],
)
def test_what_does_not_fit_leaves_nothing(
    base_path: Path, tmp_path: Path, sizes: dict[str, tuple[int, int]], message: str
) -> None:
    adapter = adapter_for(base_path, tmp_path / "adapters", sizes=SIZES | sizes)
    with pytest.raises(UnsupportedModel, match=message):
        bake(base_path, adapter.path, tmp_path / "out")
    assert {path.name for path in tmp_path.iterdir()} == {"adapters"}


def test_quantised_weights_are_refused(base_path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "int8"
    shutil.copytree(base_path, folder)
    tensors = load_file(folder / "model.safetensors")
    name = "model.layers.3.mlp.down_proj.weight"
    save_file(tensors | {name: tensors[name].to(torch.int8)}, folder / "model.safetensors")
    with pytest.raises(UnsupportedModel, match="I8"):
        bake(folder, adapter_for(folder, tmp_path / "adapters").path, tmp_path / "out")


def test_the_command_line(
    base_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    adapter = adapter_for(base_path, tmp_path / "adapters")
    monkeypatch.setattr(sys, "argv", ["bake", str(base_path), str(adapter.path), str(tmp_path / "out")])
    main()
    assert json.loads(capsys.readouterr().out)["digest"] == base_digest(tmp_path / "out")
    with pytest.raises(SystemExit, match="1"):
        main()
    assert "exists already" in capsys.readouterr().err
