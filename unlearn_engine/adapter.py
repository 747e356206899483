"""Adapters on disk: PEFT folders named by the digest of their content, written whole or not at all."""

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import load_file, save
from torch.nn.functional import pad

from unlearn_engine.errors import RankExhausted, UnknownAdapter
from unlearn_engine.lowrank import Factors, LowRank, concatenate, rank

MAX_RANK = 32  # one of the sizes that vLLM has kernels for; the trained part and pending closed-form edits share it
_PREFIX = "base_model.model."

Stage = Literal["edit", "trained"]


@dataclass(frozen=True)
class Adapter:
    """A composite on disk: which requests it covers and by what they are covered."""

    digest: str
    path: Path
    rank: int
    subjects: tuple[str, ...]  # request ids
    stage: Stage  # "edit" when at least one request is covered by a closed-form edit only


def export(
    directory: Path, base: str, trained: LowRank, edits: LowRank, subjects: Sequence[str], edited: Sequence[str]
) -> Adapter:
    """Write trained part and edits as one PEFT adapter under `directory`/<digest> and return it.

    All modules get the same rank, padded with zeros; tensors are bf16, so what was verified is what is served. The
    same content gives the same digest; a folder that exists already is kept. `subjects` are the request ids covered,
    `edited` those of them that are covered by the edits. Raises RankExhausted beyond MAX_RANK.
    """
    change = concatenate(trained, edits)
    size = rank(change)
    if size > MAX_RANK:
        raise RankExhausted(f"rank {size} needed, {MAX_RANK} available: train the pending subjects first")
    tensors = {}
    for name, (down, up) in sorted(change.items()):
        missing = size - down.shape[0]
        tensors[f"{_PREFIX}{name}.lora_A.weight"] = pad(down, (0, 0, 0, missing)).to(torch.bfloat16).contiguous()
        tensors[f"{_PREFIX}{name}.lora_B.weight"] = pad(up, (0, missing)).to(torch.bfloat16).contiguous()
    weights = save(tensors)
    config = _text(_peft_config(change, size))
    manifest = {
        "base_digest": base,
        "rank": size,
        "trained_rank": rank(trained),
        "subjects": sorted(subjects),
        "edited": sorted(edited),
        "weights_digest": hashlib.sha256(weights).hexdigest(),
    }
    digest = hashlib.sha256(b"\0".join((weights, config, _text(manifest)))).hexdigest()
    files = {"adapter_model.safetensors": weights, "adapter_config.json": config, "manifest.json": _text(manifest)}
    _write_folder(directory / digest, files)
    return load(directory / digest)


def load(path: Path) -> Adapter:
    """Read an adapter's manifest; raises UnknownAdapter if the folder is missing or incomplete."""
    manifest = _manifest(path)
    stage: Stage = "edit" if manifest["edited"] else "trained"
    return Adapter(path.name, path, manifest["rank"], tuple(manifest["subjects"]), stage)


def parts(adapter: Adapter, base: str) -> tuple[dict[str, Factors], dict[str, Factors], tuple[str, ...]]:
    """The trained part, the edits, and the request ids covered by the edits.

    Raises UnknownAdapter for an adapter of another base model, or one whose weights are not those of the manifest.
    """
    manifest = _manifest(adapter.path)
    if manifest["base_digest"] != base:
        raise UnknownAdapter(f"adapter {adapter.digest} was made for another base model")
    file = adapter.path / "adapter_model.safetensors"
    if hashlib.sha256(file.read_bytes()).hexdigest() != manifest["weights_digest"]:
        raise UnknownAdapter(f"the weights of adapter {adapter.digest} are damaged")
    tensors = {name: tensor.float() for name, tensor in load_file(file).items()}
    names = sorted({re.sub(r"\.lora_[AB]\.weight$", "", name.removeprefix(_PREFIX)) for name in tensors})
    whole = {
        name: Factors(tensors[f"{_PREFIX}{name}.lora_A.weight"], tensors[f"{_PREFIX}{name}.lora_B.weight"])
        for name in names
    }
    at = manifest["trained_rank"]
    trained = {name: Factors(down[:at], up[:, :at]) for name, (down, up) in whole.items()} if at else {}
    edits = {name: Factors(down[at:], up[:, at:]) for name, (down, up) in whole.items() if up[:, at:].any()}
    return trained, edits, tuple(manifest["edited"])


def compose(directory: Path, base: str, trained: Adapter, edit: Adapter) -> Adapter:
    """One adapter with the trained part of the first and the edits of the second; the deltas add up exactly."""
    kept, _, _ = parts(trained, base)
    _, edits, edited = parts(edit, base)
    return export(directory, base, kept, edits, sorted({*trained.subjects, *edited}), edited)


def _manifest(path: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads((path / "manifest.json").read_text("utf-8"))
    except (OSError, ValueError):
        raise UnknownAdapter(f"no complete adapter at {path}") from None
    return manifest


def _peft_config(change: LowRank, size: int) -> dict[str, Any]:
    """`target_modules` are full names, which both PEFT and vLLM match exactly; alpha = r, so the scale is 1."""
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": None,
        "r": size,
        "lora_alpha": size,
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": sorted(change),
        "inference_mode": True,
        "fan_in_fan_out": False,
        "init_lora_weights": True,
    }


def _text(value: dict[str, Any]) -> bytes:
    return json.dumps(value, indent=1, sort_keys=True).encode()


def _write_folder(path: Path, files: dict[str, bytes]) -> None:
    """Write all files to a temporary folder, sync them to disk, and rename; a folder already there wins."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=path.parent))
    try:
        for name, content in files.items():
            with (partial / name).open("wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
        try:
            partial.rename(path)
        except OSError:
            if not path.exists():
                raise
        _sync(path.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
