"""What a placement asks for, and how it says that something is missing."""

from importlib.util import find_spec
from pathlib import Path
from shutil import copy

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from unlearn_engine import placement
from unlearn_engine.errors import UnsupportedPlacement
from unlearn_engine.evaluate.copies import merged
from unlearn_engine.lowrank import Factors, initial, relative_norms
from unlearn_engine.model import Row, ServedModel
from unlearn_engine.objectives.reading import View
from unlearn_engine.placement import Placement

MODULE = "model.layers.2.mlp.down_proj"


@pytest.fixture(scope="module")
def even(base_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of random weights whose sizes are multiples of 64, as the 4-bit kernel of CPUs wants them."""
    path = tmp_path_factory.mktemp("even")
    torch.manual_seed(0)
    sizes = {"hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 3, "num_attention_heads": 2}
    LlamaForCausalLM(LlamaConfig(vocab_size=2048, eos_token_id=3, **sizes)).save_pretrained(path)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        copy(base_path / name, path / name)
    return path


def test_bf16_halves_the_weights_and_answers_alike(base_path: Path) -> None:
    full, half = ServedModel(base_path), ServedModel(base_path, (), Placement(dtype="bfloat16"))
    assert {weight.dtype for weight in half.network.parameters()} == {torch.bfloat16}
    asked = [full.question("Where was Peja Bunzar born?")]
    assert half.answers(asked) == full.answers(asked)


def test_a_method_that_calculates_with_weights_refuses_quantised_ones(base_path: Path) -> None:
    model = ServedModel(base_path, (MODULE,))
    change = initial(model.wrapped, 2, torch.Generator())
    rounded = model.wrapped[MODULE].weight.mul(100).to(torch.int8)
    model.wrapped[MODULE].weight = torch.nn.Parameter(rounded, requires_grad=False)
    with pytest.raises(UnsupportedPlacement, match="hold the base unquantised"):
        merged(model, change)
    with pytest.raises(UnsupportedPlacement, match="hold the base unquantised"):
        relative_norms(change, model.wrapped)


def test_every_gpu_that_is_there_is_taken_or_the_one_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [str(device) for device in Placement("cuda").devices] == ["cuda:0", "cuda:1"]
    assert [str(device) for device in Placement("cuda:1").devices] == ["cuda:1"]
    with pytest.raises(UnsupportedPlacement, match="cuda:2 was asked for, and torch finds 2 GPUs"):
        _ = Placement("cuda:2").devices


@pytest.mark.parametrize("device", ["gpu", "cuda:x"])
def test_an_unknown_device_is_named(device: str) -> None:
    with pytest.raises(UnsupportedPlacement, match="give cpu, cuda or cuda:N"):
        _ = Placement(device).devices


def test_a_missing_package_names_the_extra(base_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placement, "find_spec", lambda name: None if name == "bitsandbytes" else find_spec(name))
    with pytest.raises(UnsupportedPlacement, match=r"pip install 'unlearning-gateway\[quantise\]'"):
        ServedModel(base_path, [MODULE], Placement(quantise=4))


@pytest.mark.skipif(find_spec("bitsandbytes") is None, reason="needs the extra `quantise`")
@pytest.mark.parametrize(("bits", "checkpointing"), [(8, False), (4, False), (4, True)])
def test_a_quantised_base_wears_a_change_and_passes_gradients(even: Path, bits: int, checkpointing: bool) -> None:
    model = ServedModel(even, [MODULE], Placement("cpu", "bfloat16", bits, checkpointing))  # type: ignore[arg-type]
    linear = model.wrapped[MODULE]
    assert type(linear).__name__.startswith("Linear") and type(linear) is not torch.nn.Linear
    assert (linear.in_features, linear.out_features) == (256, 128)
    worn = {
        name: Factors(down.requires_grad_(), up.requires_grad_())
        for name, (down, up) in initial(model.wrapped, 4, torch.Generator().manual_seed(0)).items()
    }
    rows = [Row(model.question("Where was Peja Bunzar born?"), model.answer("Tokyo."))]
    View(model, worn, 0, {})(rows).said.mean().backward()  # type: ignore[no-untyped-call]
    slope = worn[MODULE].up.grad
    assert slope is not None and slope.norm() > 0
    told = model.mean_log_likelihoods(rows)
    with model.wearing({MODULE: Factors(worn[MODULE].down.detach(), 5 * slope / slope.norm())}):
        assert model.mean_log_likelihoods(rows) != told


@pytest.mark.skipif(find_spec("bitsandbytes") is None, reason="needs the extra `quantise`")
def test_four_bits_of_odd_sizes_are_refused_on_a_cpu(base_path: Path) -> None:
    with pytest.raises(UnsupportedPlacement, match="quantise to 8"):
        ServedModel(base_path, [MODULE], Placement(quantise=4))
