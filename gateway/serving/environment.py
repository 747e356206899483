"""Environment variables that vLLM reads while it is being imported: checked, then completed, before the import."""

import gc
import os
from collections.abc import MutableMapping

from gateway.serving.errors import ConfigurationConflict

REFUSED = {
    "VLLM_SERVER_DEV_MODE": "it opens routes that reach the engine behind the guard",
    "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "adapters are swapped by the gateway only",
    "VLLM_USE_V2_MODEL_RUNNER": "the logits guard is verified on the V1 model runner only",
    "VLLM_DEBUG_LOG_API_SERVER_RESPONSE": "answers would be written to the log",
    "VLLM_KEEP_ALIVE_ON_ENGINE_DEATH": "a gateway without an engine must end, so that it is restarted",
}
GATEWAY_PID = "UNLEARN_GATEWAY_PID"

# Their warnings are about our own choices (eager mode, no Triton, the adapter's tokenizer); --verbose shows them.
QUIET = {
    "VLLM_LOGGING_LEVEL": "ERROR",
    "TORCH_CPP_LOG_LEVEL": "ERROR",
    "TORCH_LOGS": "-torch._library.triton",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "PYTHONWARNINGS": "ignore::FutureWarning,ignore::UserWarning:multiprocessing.resource_tracker",
}

# Measured: with the worker inside the engine process start-up takes 13 s instead of 23 s on two cores and decoding is
# faster; one thread per process, because two cores are shared with the HTTP server.
CPU_DEFAULTS = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "OMP_NUM_THREADS": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",
}


def prepare_environment(environ: MutableMapping[str, str] = os.environ, *, cpu: bool, verbose: bool) -> None:
    """Refuse variables that defeat the guard, then set what was measured best where the user has set nothing.

    Raises:
        ConfigurationConflict: a variable of `REFUSED` is switched on.
    """
    for name, reason in REFUSED.items():
        if environ.get(name, "0").strip().lower() not in ("", "0", "false"):
            raise ConfigurationConflict(f"unset {name}: {reason}")
    environ["VLLM_USE_V2_MODEL_RUNNER"] = "0"
    environ[GATEWAY_PID] = str(os.getpid())
    environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    if not verbose:
        for name, value in QUIET.items():
            environ.setdefault(name, value)
    if cpu:
        for name, value in CPU_DEFAULTS.items():
            environ.setdefault(name, value)


def has_gpu() -> bool:
    """Whether an NVIDIA driver answers; decided without importing torch, because the variables come first."""
    return os.path.exists("/proc/driver/nvidia/version") or os.path.exists("/dev/nvidiactl")


def freeze_heap() -> None:
    """Take what is there now out of the garbage collector's sight.

    vLLM and what it imports leave some 700,000 objects for good; a full pass over them stops every stream for tenths of
    a second. To be called once, when everything is loaded.
    """
    gc.collect()
    gc.freeze()
