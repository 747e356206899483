"""Names of linear layers: those of the model's own code, and those of the layers that vLLM fuses them into."""

from collections.abc import Iterable

_FUSED = {"q_proj": "qkv_proj", "k_proj": "qkv_proj", "v_proj": "qkv_proj"} | {
    "gate_proj": "gate_up_proj",
    "up_proj": "gate_up_proj",
}


def wrapped(name: str) -> str:
    """Full name, in vLLM, of the layer that computes a module; a name of vLLM's own stays as it is.

    vLLM's `--lora-target-modules` matches full names exactly, but a part of a fused layer by its last component only,
    which would wrap all blocks: so the fused layer is named, and in full.
    """
    parent, _, leaf = name.rpartition(".")
    return f"{parent}.{_FUSED.get(leaf, leaf)}".removeprefix(".")


def all_wrapped(names: Iterable[str]) -> tuple[str, ...]:
    """The layers that compute these modules, each once."""
    return tuple(dict.fromkeys(map(wrapped, names)))
