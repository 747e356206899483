"""What the engine's own processes need before they work: the right CPU features, and an end when the gateway ends."""

import os
import select
import signal
import sys
import threading

import psutil  # type: ignore[import-untyped]
import torch
from vllm.config import VllmConfig

from gateway.serving import cpu_lora
from gateway.serving.environment import GATEWAY_PID


def prepare_engine_process(config: VllmConfig) -> None:
    """To be called once in every process that runs the model.

    vLLM 0.32's CPU attention uses AMX tiles where the CPU has them without asking Linux for the permission, and dies of
    an illegal instruction; torch's request holds for the whole process.
    """
    if torch.cpu._is_amx_tile_supported():
        torch.cpu._init_amx()
    cpu_lora.install(config)
    die_with_gateway()


def die_with_gateway() -> None:
    """End this process, and those between it and the gateway, when the gateway ends, even by `kill -9`.

    vLLM's engine waits for messages from a parent that may be gone, holding its memory for ever. A thread waits on the
    gateway's pidfd (Linux 5.3 and later); elsewhere this does nothing.
    """
    gateway = int(os.environ.get(GATEWAY_PID, "0"))
    if not sys.platform.startswith("linux") or gateway in (0, os.getpid()):
        return
    ancestors = [process.pid for process in psutil.Process().parents()]
    try:
        doomed = [*ancestors[: ancestors.index(gateway)], os.getpid()]
        descriptor = os.pidfd_open(gateway)
    except (ValueError, ProcessLookupError):
        os.kill(os.getpid(), signal.SIGKILL)
        return
    threading.Thread(target=_follow, args=(descriptor, doomed), name="die-with-gateway", daemon=True).start()


def _follow(descriptor: int, doomed: list[int]) -> None:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    poll.poll()
    for pid in doomed:
        os.kill(pid, signal.SIGKILL)
