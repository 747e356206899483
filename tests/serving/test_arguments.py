"""vLLM's flags and variables: what the guard needs is set, what defeats it is refused with a reason."""

import dataclasses
from pathlib import Path

import pytest

from gateway.serving.arguments import CONFLICTS, build_arguments
from gateway.serving.environment import CPU_DEFAULTS, GATEWAY_PID, REFUSED, prepare_environment
from gateway.serving.errors import ConfigurationConflict
from gateway.serving.options import ServeOptions

MODULE = "model.layers.3.mlp.down_proj"


@pytest.fixture
def options(model_path: Path) -> ServeOptions:
    return ServeOptions(str(model_path), "demo", lora_modules=(MODULE,), max_rank=12)


def test_the_guard_is_always_in_the_arguments(options: ServeOptions) -> None:
    arguments = build_arguments(options)
    assert arguments.logits_processors == ["gateway.serving.logits_guard:LogitsGuard"]
    assert arguments.worker_extension_cls == "gateway.serving.worker_extension.GuardWorkerExtension"
    assert arguments.logprobs_mode == "processed_logprobs"
    assert arguments.lora_target_modules == [MODULE]
    assert arguments.max_lora_rank == 16
    assert arguments.served_model_name == ["demo"]


def test_without_modules_no_adapter_can_be_served(options: ServeOptions) -> None:
    assert not build_arguments(dataclasses.replace(options, lora_modules=())).enable_lora


def test_other_flags_pass_and_win_over_our_defaults(options: ServeOptions) -> None:
    flags = ("--max-model-len", "256", "--dtype", "float32", "--logprobs-mode", "processed_logprobs", "--seed", "7")
    arguments = build_arguments(dataclasses.replace(options, vllm_args=flags))
    assert (arguments.max_model_len, arguments.dtype, arguments.seed) == (256, "float32", 7)


@pytest.mark.parametrize(
    "flags",
    [
        "--logprobs-mode raw_logprobs",
        "--lora-target-modules down_proj",
        "--enable-lora",
        "--no-enable-lora",
        "--max-loras 4",
        "--lora-modules a=/tmp/a",
        '--speculative-config {"method":"ngram","num_speculative_tokens":2}',
        "--enable-prompt-embeds",
        "--logits-processors my.module:Processor",
        "--worker-extension-cls my.module.Extension",
        "--trust-request-chat-template",
        "--api-server-count 2",
        "--skip-tokenizer-init",
        "--runner pooling",
        "--enable-log-requests",
        "--enable-trace-replay",
        "--enable-scale-out",
        "--model other",
        "--port 9",
    ],
)
def test_flags_that_defeat_the_guard_are_refused_with_a_reason(options: ServeOptions, flags: str) -> None:
    flag, *values = flags.split(" ", 1)
    name = flag.removeprefix("--").removeprefix("no-").replace("-", "_")
    with pytest.raises(ConfigurationConflict) as refused:
        build_arguments(dataclasses.replace(options, vllm_args=(flag, *values)))
    assert f"--{name.replace('_', '-')}" in str(refused.value)
    assert CONFLICTS[name][1] in str(refused.value)


def test_a_config_file_cannot_smuggle_them_in(options: ServeOptions, tmp_path: Path) -> None:
    config = tmp_path / "vllm.yaml"
    config.write_text("max-model-len: 128\nlogprobs-mode: raw_logits\n")
    with pytest.raises(ConfigurationConflict, match="logprobs-mode"):
        build_arguments(dataclasses.replace(options, vllm_args=("--config", str(config))))


def test_a_rank_that_vllm_cannot_serve_is_refused(options: ServeOptions) -> None:
    with pytest.raises(ConfigurationConflict, match="rank"):
        build_arguments(dataclasses.replace(options, max_rank=1000))


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_variables_that_defeat_the_guard_are_refused_unless_off(name: str) -> None:
    with pytest.raises(ConfigurationConflict, match=name):
        prepare_environment({name: "1"}, cpu=True, verbose=False)
    prepare_environment({name: "0"}, cpu=True, verbose=False)


def test_what_the_user_has_set_stays() -> None:
    environ = {"OMP_NUM_THREADS": "3", "VLLM_LOGGING_LEVEL": "DEBUG"}
    prepare_environment(environ, cpu=True, verbose=False)
    assert environ["OMP_NUM_THREADS"] == "3"
    assert environ["VLLM_LOGGING_LEVEL"] == "DEBUG"
    assert environ["VLLM_ENABLE_V1_MULTIPROCESSING"] == CPU_DEFAULTS["VLLM_ENABLE_V1_MULTIPROCESSING"]
    assert environ[GATEWAY_PID].isdigit()


def test_a_gpu_machine_keeps_vllms_own_defaults() -> None:
    environ: dict[str, str] = {}
    prepare_environment(environ, cpu=False, verbose=True)
    assert not environ.keys() & CPU_DEFAULTS.keys()
    assert "VLLM_LOGGING_LEVEL" not in environ


def test_each_fused_layer_is_wrapped_once_and_in_its_block_only(options: ServeOptions) -> None:
    parts = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj")
    parts += ("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")
    modules = tuple(f"model.layers.{block}.{part}" for block in (0, 2) for part in parts)
    arguments = build_arguments(dataclasses.replace(options, lora_modules=modules))
    assert arguments.lora_target_modules == [
        f"model.layers.{block}.{layer}"
        for block in (0, 2)
        for layer in ("self_attn.qkv_proj", "self_attn.o_proj", "mlp.gate_up_proj", "mlp.down_proj")
    ]
