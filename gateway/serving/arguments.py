"""vLLM's arguments from our options and the flags passed through; what would defeat the guard is refused."""

from argparse import Namespace
from collections.abc import Sequence
from typing import Any

from vllm.config import VllmConfig
from vllm.entrypoints.launchers.cli_args import make_arg_parser, validate_parsed_serve_args
from vllm.platforms import current_platform
from vllm.utils.argparse_utils import FlexibleArgumentParser

from gateway.serving.errors import ConfigurationConflict
from gateway.serving.modules import all_wrapped
from gateway.serving.options import ServeOptions

LOGITS_PROCESSOR = "gateway.serving.logits_guard:LogitsGuard"
WORKER_EXTENSION = "gateway.serving.worker_extension.GuardWorkerExtension"
MAX_LORAS = 3
LORA_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)  # vLLM accepts these only

_OURS = "the gateway sets it"
_ADAPTERS = "erasure adapters are loaded and chosen by the gateway only"
_PROMPTS_LOGGED = "prompts and answers would be written to the log"
_UNREAD = "the guard must read every prompt as text"

# destination -> (values that may be given, why others may not)
CONFLICTS: dict[str, tuple[tuple[Any, ...], str]] = {
    "model": ((), "use --model before `--`"),
    "model_tag": ((), "use --model before `--`"),
    "served_model_name": ((), "use --served-model-name before `--`"),
    "host": ((), "use --host before `--`"),
    "port": ((), "use --port before `--`"),
    "uds": ((), "the gateway listens on --host and --port"),
    "logprobs_mode": (("processed_logprobs",), "raw log probabilities would list forbidden tokens"),
    "logits_processors": ((), "a processor behind the guard could bring forbidden tokens back"),
    "worker_extension_cls": ((), _OURS),
    "enable_lora": ((), _ADAPTERS),
    "lora_modules": ((), _ADAPTERS),
    "default_mm_loras": ((), _ADAPTERS),
    "max_loras": ((), _ADAPTERS),
    "max_cpu_loras": ((), _ADAPTERS),
    "max_lora_rank": ((), _ADAPTERS),
    "lora_target_modules": ((), "only the modules that the erasure edits are wrapped; the layer map chooses them"),
    "speculative_config": ((), "with speculative decoding vLLM's V1 runner refuses or skips the logits guard"),
    "spec_method": ((), "with speculative decoding vLLM's V1 runner refuses or skips the logits guard"),
    "spec_model": ((), "with speculative decoding vLLM's V1 runner refuses or skips the logits guard"),
    "spec_tokens": ((), "with speculative decoding vLLM's V1 runner refuses or skips the logits guard"),
    "diffusion_config": ((), "the logits guard reads answers from left to right"),
    "watermark": ((), "watermarking needs the V2 model runner; the guard is verified on V1"),
    "watermark_config": ((), "watermarking needs the V2 model runner; the guard is verified on V1"),
    "enable_trace_replay": ((False,), "a replayed trace overwrites what the guard decided"),
    "enable_prompt_embeds": ((False,), _UNREAD),
    "enable_mm_embeds": ((False,), _UNREAD),
    "skip_tokenizer_init": ((False,), _UNREAD),
    "tokens_only": ((False,), _UNREAD),
    "runner": (("auto", "generate"), "only generation is guarded"),
    "convert": (("auto", "none"), "only generation is guarded"),
    "trust_request_chat_template": ((False,), "a client's template could hide names from the guard"),
    "enable_log_requests": ((False,), _PROMPTS_LOGGED),
    "enable_log_outputs": ((False,), _PROMPTS_LOGGED),
    "api_server_count": ((1,), "the policy lives in one server process; run more replicas instead"),
    "headless": ((False,), "the gateway serves the API itself"),
    "grpc": ((False,), "it would bypass the HTTP guard"),
    "grpc_port": ((), "it would bypass the HTTP guard"),
    "enable_scale_out": ((False,), "it opens routes that bypass the guard"),
    "enable_elastic_ep": ((False,), "new engine processes would start without guard tables"),
    "kv_sharing_fast_prefill": ((False,), "it changes which positions the guard sees"),
}

# Measured on two CPU cores (see docs/benchmarks.md); each only where the user has not said otherwise.
CPU_DEFAULTS: dict[str, tuple[str, ...]] = {
    "dtype": ("--dtype", "bfloat16"),
    "enforce_eager": ("--enforce-eager",),
    "max_num_seqs": ("--max-num-seqs", "64"),
}

_UNSET = object()


def build_arguments(options: ServeOptions) -> Namespace:
    """Parse our options and the passed-through flags into vLLM's namespace.

    Raises:
        ConfigurationConflict: a flag contradicts the guard; the message names the flag and the reason.
        SystemExit: a flag is unknown to vLLM (its own parser reports it).
    """
    given = _given_by_user(options.vllm_args)
    for name, (allowed, reason) in CONFLICTS.items():
        if name in given and given[name] not in allowed:
            raise ConfigurationConflict(f"--{name.replace('_', '-')} {_shown(given[name])}cannot be used: {reason}")
    return _parse([*options.vllm_args, *_our_flags(options), *_cpu_flags(given)])


def check_config(config: VllmConfig) -> None:
    """Look at the resolved configuration, which plugins and the model's own files may have changed.

    Raises:
        ConfigurationConflict: the engine would run without the guard.
    """
    if config.use_v2_model_runner:
        raise ConfigurationConflict("this configuration needs vLLM's V2 model runner; the guard is verified on V1")
    if config.speculative_config is not None:
        raise ConfigurationConflict("this model brings speculative decoding, which skips the logits guard on V1")


def _our_flags(options: ServeOptions) -> list[str]:
    flags = ["--model", options.model, "--served-model-name", options.served_name]
    flags += ["--host", options.host, "--port", str(options.port)]
    flags += ["--logprobs-mode", "processed_logprobs"]
    if not options.verbose:
        flags += ["--no-use-tqdm-on-load"]
    flags += ["--logits-processors", LOGITS_PROCESSOR, "--worker-extension-cls", WORKER_EXTENSION]
    if options.corruption is not None:
        flags += ["--enable-prompt-embeds"]  # ours alone: a client's are refused at the edge
    if options.lora_modules:
        rank = next((rank for rank in LORA_RANKS if rank >= options.max_rank), None)
        if rank is None:
            raise ConfigurationConflict(f"vLLM serves adapters up to rank {LORA_RANKS[-1]}, not {options.max_rank}")
        flags += ["--enable-lora", "--max-loras", str(MAX_LORAS), "--max-cpu-loras", str(2 * MAX_LORAS)]
        flags += ["--max-lora-rank", str(rank), "--lora-target-modules", *all_wrapped(options.lora_modules)]
    return flags


def _cpu_flags(given: dict[str, Any]) -> list[str]:
    if not current_platform.is_cpu():
        return []
    return [flag for name, flags in CPU_DEFAULTS.items() if name not in given for flag in flags]


def _given_by_user(arguments: Sequence[str]) -> dict[str, Any]:
    """What the user has set, on the command line or in vLLM's `--config` file, without vLLM's defaults."""
    parser = make_arg_parser(FlexibleArgumentParser())
    parser.set_defaults(**{action.dest: _UNSET for action in parser._actions if action.dest != "help"})
    return {name: value for name, value in vars(parser.parse_args(list(arguments))).items() if value is not _UNSET}


def _parse(arguments: Sequence[str]) -> Namespace:
    parsed: Namespace = make_arg_parser(FlexibleArgumentParser()).parse_args(list(arguments))
    validate_parsed_serve_args(parsed)
    return parsed


def _shown(value: Any) -> str:
    return f"{value} " if isinstance(value, str | int) and not isinstance(value, bool) else ""
