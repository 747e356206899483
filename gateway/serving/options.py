"""What the gateway decides about serving; everything else is vLLM's own flags, passed through."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # torch reads the environment, which is not prepared yet
    from unlearn_engine.corruption import Corruption

MAX_BODY_BYTES = 16 * 2**20


@dataclass(frozen=True)
class ServeOptions:
    """Options of one gateway process.

    Args:
        model: path of a Hugging Face folder, or a hub id.
        served_name: the one model name clients see.
        lora_modules: full names, as in the model's own code, of the modules that erasure adapters may change; empty:
            none can be served.
        max_rank: largest adapter rank that may come.
        vllm_args: vLLM's own flags, after `--`.
        allow_guards_off: honour the header `X-Unlearn-Guards` (for measurement).
        drain_timeout_s: what SIGTERM leaves to the requests in flight.
        verbose: keep vLLM's own log.
        weights_link: on SIGUSR1 the base weights of the folder that this link leads to are served, see
            `GuardedEngine.replace_weights`; None: there is no such way.
        corruption: what is done to the embeddings of a target's name in a prompt; None: a twin's name is put there.
        hops: whether the model is asked whom a prompt means by a relation, see `Hops`.
        sampled_prompts: how many of the latest prompts are kept in memory, see `PromptSample`.
    """

    model: str
    served_name: str
    host: str = "127.0.0.1"
    port: int = 8000
    lora_modules: tuple[str, ...] = ()
    max_rank: int = 16
    vllm_args: tuple[str, ...] = ()
    allow_guards_off: bool = False
    drain_timeout_s: float = 30.0
    max_body_bytes: int = MAX_BODY_BYTES
    verbose: bool = False
    weights_link: Path | None = None
    corruption: Corruption | None = None
    hops: bool = True
    sampled_prompts: int = 0
