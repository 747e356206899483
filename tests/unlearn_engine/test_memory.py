"""A model that does not fit is refused from its headers alone, with what would help."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from unlearn_engine import memory
from unlearn_engine.errors import ModelTooLarge, UnsupportedModel
from unlearn_engine.free_memory import _within_groups, free_bytes
from unlearn_engine.lowrank import Factors
from unlearn_engine.memory import ERASURE, GIB, READING, need, require
from unlearn_engine.model import ServedModel
from unlearn_engine.placement import ON_CPU, Placement

EIGHT_BILLION = {
    "vocab_size": 128_256,
    "hidden_size": 4096,
    "intermediate_size": 14_336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
}


def llama(folder: Path, config: dict[str, int]) -> Path:
    """A folder with the config and the headers of such a model, and no weights."""
    h, m, kv = config["hidden_size"], config["intermediate_size"], config["num_key_value_heads"] * 128
    shapes = {"model.embed_tokens.weight": [config["vocab_size"], h], "lm_head.weight": [config["vocab_size"], h]}
    for block in range(config["num_hidden_layers"]):
        linears = {"self_attn.q_proj": [h, h], "self_attn.k_proj": [kv, h], "self_attn.v_proj": [kv, h]}
        linears |= {"self_attn.o_proj": [h, h], "mlp.gate_proj": [m, h], "mlp.up_proj": [m, h], "mlp.down_proj": [h, m]}
        linears |= {"input_layernorm": [h], "post_attention_layernorm": [h]}
        shapes |= {f"model.layers.{block}.{name}.weight": shape for name, shape in linears.items()}
    header = {name: {"dtype": "BF16", "shape": shape, "data_offsets": [0, 0]} for name, shape in shapes.items()}
    text = json.dumps({"__metadata__": {}} | header).encode()
    (folder / "model-00001-of-00001.safetensors").write_bytes(len(text).to_bytes(8, "little") + text)
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", **config}))
    return folder


@pytest.fixture
def huge(tmp_path: Path) -> Path:
    return llama(tmp_path, EIGHT_BILLION)


def free(monkeypatch: pytest.MonkeyPatch, size: float) -> None:
    monkeypatch.setattr(memory, "free_bytes", lambda devices: int(size * GIB))


def test_the_weights_are_those_of_the_headers(huge: Path) -> None:
    parameters = 8_030_000_000
    assert need(huge, ON_CPU).weights == pytest.approx(4 * parameters, rel=0.01)
    assert need(huge, Placement(dtype="bfloat16")).weights == pytest.approx(2 * parameters, rel=0.01)
    assert need(huge, Placement(dtype="bfloat16", quantise=8)).weights == pytest.approx(1.15 * parameters, rel=0.05)
    assert need(huge, Placement(dtype="bfloat16", quantise=4)).weights == pytest.approx(0.72 * parameters, rel=0.05)


def test_a_model_of_eight_billion_is_refused_without_reading_a_weight(
    huge: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free(monkeypatch, 40)
    with pytest.raises(ModelTooLarge) as refused:
        ServedModel(huge, ["model.layers.0.mlp.down_proj"])  # there is no weight to be read
    message = str(refused.value)
    assert f"needs {need(huge, ON_CPU).total / GIB:.1f} GiB" in message and "40.0 GiB are free on cpu" in message
    fitting = Placement(dtype="bfloat16", checkpointing=True)
    assert f"--dtype bfloat16 --checkpointing ({need(huge, fitting).total / GIB:.1f} GiB)" in message
    assert "with --dtype float32 --checkpointing" not in message  # which would need more than there is


def test_what_the_refusal_advises_is_let_through(huge: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free(monkeypatch, 40)
    require(huge, Placement(dtype="bfloat16", quantise=4, checkpointing=True))
    free(monkeypatch, 5)
    with pytest.raises(
        ModelTooLarge, match=r"no precision would make it fit: the least is .* --quantise 4 --checkpoint"
    ):
        require(huge, ON_CPU)


def test_reading_needs_less_than_erasing(huge: Path) -> None:
    reading = need(huge, ON_CPU, READING)
    assert reading.training == reading.edit == 0 < reading.reading
    assert reading.total < need(huge, ON_CPU, ERASURE).total


def test_every_option_saves(huge: Path) -> None:
    plain, thrifty, half = (
        need(huge, way) for way in (ON_CPU, Placement(checkpointing=True), Placement(dtype="bfloat16"))
    )
    assert thrifty.weights == plain.weights and thrifty.training < 0.7 * plain.training
    assert half.weights == plain.weights // 2 and half.training < plain.training


def test_the_need_grows_with_vocabulary_and_rows(huge: Path, base_path: Path) -> None:
    step = need(base_path, ON_CPU, replace(ERASURE, pool=0))
    twice = need(base_path, ON_CPU, replace(ERASURE, pool=0, rows=2 * ERASURE.rows))
    assert 1.5 * step.training < twice.training < 2 * step.training
    answers = 80 * ERASURE.answer * EIGHT_BILLION["vocab_size"] * 16
    assert need(huge, Placement(dtype="bfloat16", checkpointing=True)).training > answers


def test_the_estimate_of_the_graph_is_what_autograd_keeps(base_path: Path) -> None:
    model = ServedModel(base_path, [f"model.layers.{block}.mlp.down_proj" for block in range(5)])
    rows, tokens = 40, 48
    worn = {
        name: (torch.randn(4, linear.in_features).requires_grad_(), torch.randn(linear.out_features, 4))
        for name, linear in model.wrapped.items()
    }
    kept: dict[int, torch.Tensor] = {}

    def hold(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with (
        torch.autograd.graph.saved_tensors_hooks(hold, lambda tensor: tensor),
        model.wearing({name: Factors(*pair) for name, pair in worn.items()}),
    ):
        model.hidden([[5] * tokens] * rows)
    counted = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
    work = replace(ERASURE, rows=rows, tokens=tokens, pool=0, answer=0, rank=0)
    if ON_CPU.autocast:
        estimate = need(base_path, Placement(dtype="bfloat16"), work).training  # one loss: without the casts of two
        estimate += 2 * sum(linear.numel() for name, linear in model.network.named_parameters() if ".layers." in name)
    else:
        estimate = need(base_path, ON_CPU, work).training
    assert counted < estimate < 1.35 * counted  # one block more is in work, the first has no graph


def test_other_architectures_are_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gpt2"}))
    with pytest.raises(UnsupportedModel, match="Llama-shaped"):
        need(tmp_path, ON_CPU)


def test_a_control_group_bounds_what_is_free(tmp_path: Path) -> None:
    membership, group = tmp_path / "cgroup", tmp_path / "fs" / "jobs"
    membership.write_text("0::/jobs/inner\n")
    group.mkdir(parents=True)
    for name, text in {"max": "1000", "current": "700", "stat": "anon 600\ninactive_file 50"}.items():
        (group / f"memory.{name}").write_text(text + "\n")
    assert list(_within_groups(membership, tmp_path / "fs")) == [350]
    (group / "memory.max").write_text("max\n")
    assert list(_within_groups(membership, tmp_path / "fs")) == []


def test_the_first_control_groups_are_read_too(tmp_path: Path) -> None:
    membership, group = tmp_path / "cgroup", tmp_path / "fs" / "memory" / "jobs"
    membership.write_text("5:cpu:/jobs\n4:memory:/jobs\n")
    group.mkdir(parents=True)
    (group / "memory.limit_in_bytes").write_text("1000")
    (group / "memory.usage_in_bytes").write_text("900")
    (group / "memory.stat").write_text("total_inactive_file 10\n")
    assert list(_within_groups(membership, tmp_path / "fs")) == [110]


def test_this_machine_has_memory_and_knows_its_limit() -> None:
    assert 0 < free_bytes((torch.device("cpu"),)) < 1 << 50
