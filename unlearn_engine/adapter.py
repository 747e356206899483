"""Adapters on disk: PEFT folders named by the digest of their content, written whole or not at all."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import load_file, save
from torch.nn.functional import pad

from unlearn_engine.adapter_digest import FILES, digest_of
from unlearn_engine.durable import whole_folder
from unlearn_engine.errors import RankExhausted, UnknownAdapter, UnsupportedModel
from unlearn_engine.lowrank import Factors, LowRank, concatenate, rank

MAX_RANK = 64  # one of the sizes that vLLM has kernels for; the trained part and pending closed-form edits share it
_PREFIX = "base_model.model."
_SERVABLE = re.compile(r"model\.layers\.\d+\.(self_attn\.[qkvo]_proj|mlp\.(gate|up|down)_proj)")

Stage = Literal["edit", "trained"]


@dataclass(frozen=True)
class Adapter:
    """A composite on disk: which requests it covers and by what they are covered."""

    digest: str
    path: Path
    rank: int
    subjects: tuple[str, ...]  # request ids
    stage: Stage  # "edit" when at least one request is covered by a closed-form edit only
    base_digest: str  # of the base model it was made for
    weights_digest: str  # SHA-256 of the weights' file
    layers: tuple[int, ...]  # numbers of the blocks it changes
    audience: str | None = None  # whom it is served to; None: everybody


def per_audience(
    requests: Mapping[str, tuple[LowRank, str | None]],
) -> dict[str | None, tuple[dict[str, Factors], tuple[str, ...]]]:
    """One composite for each audience that any request names, with the ids it covers; None is for everybody else.

    A request with audience None is forgotten for everybody, so it is part of all composites; another only of its own
    audience's. The order of ids decides the order of the factors, so equal requests make equal composites.
    """
    audiences = {None} | {audience for _, audience in requests.values()}
    covered = {
        audience: tuple(id_ for id_ in sorted(requests) if requests[id_][1] in (None, audience))
        for audience in audiences
    }
    return {audience: (concatenate(*(requests[id_][0] for id_ in ids)), ids) for audience, ids in covered.items()}


def export(
    directory: Path,
    base: str,
    trained: LowRank,
    edits: LowRank,
    subjects: Sequence[str],
    edited: Sequence[str],
    audience: str | None = None,
) -> Adapter:
    """Write trained part and edits as one PEFT adapter under `directory`/<digest> and return it.

    All modules get the same rank, padded with zeros; tensors are bf16, so what was verified is what is served. The
    same content gives the same digest; a folder that exists already is kept. `subjects` are the request ids covered,
    `edited` those of them that are covered by the edits. Raises RankExhausted beyond MAX_RANK, and UnsupportedModel for
    a module that vLLM takes no adapter for (embeddings, the output head, norms).
    """
    at = rank(trained)
    before = {name: Factors(down[:0], up[:, :0]) for name, (down, up) in edits.items()} | dict(trained)
    change = concatenate({name: _padded(factors, at) for name, factors in before.items()}, edits)
    if unservable := sorted(name for name in change if not _SERVABLE.fullmatch(name)):
        raise UnsupportedModel(f"{', '.join(unservable)} cannot be served changed by an adapter")
    size = rank(change)
    if size > MAX_RANK:
        raise RankExhausted(f"rank {size} needed, {MAX_RANK} available: train the pending subjects first")
    tensors = {}
    for name, (down, up) in sorted(change.items()):
        down, up = _padded(Factors(down, up), size)
        tensors[f"{_PREFIX}{name}.lora_A.weight"] = down.to(torch.bfloat16).contiguous()
        tensors[f"{_PREFIX}{name}.lora_B.weight"] = up.to(torch.bfloat16).contiguous()
    weights = save(tensors)
    config = _text(_peft_config(change, size))
    manifest = {
        "base_digest": base,
        "rank": size,
        "trained_rank": at,
        "subjects": sorted(subjects),
        "edited": sorted(edited),
        "weights_digest": hashlib.sha256(weights).hexdigest(),
    } | ({"audience": audience} if audience is not None else {})
    contents = (weights, config, _text(manifest))
    digest = digest_of(contents)
    _write_folder(directory / digest, dict(zip(FILES, contents, strict=True)))
    return load(directory / digest)


def _padded(factors: Factors, size: int) -> Factors:
    missing = size - factors.down.shape[0]
    return Factors(pad(factors.down, (0, 0, 0, missing)), pad(factors.up, (0, missing)))


def load(path: Path) -> Adapter:
    """Read an adapter's manifest; raises UnknownAdapter if the folder is missing or incomplete."""
    manifest, config = _read(path, "manifest.json"), _read(path, "adapter_config.json")
    return Adapter(
        digest=path.name,
        path=path,
        rank=manifest["rank"],
        subjects=tuple(manifest["subjects"]),
        stage="edit" if manifest["edited"] else "trained",
        base_digest=manifest["base_digest"],
        weights_digest=manifest["weights_digest"],
        layers=tuple(sorted({int(name.split(".")[2]) for name in config["target_modules"]})),
        audience=manifest.get("audience"),
    )


def parts(adapter: Adapter, base: str) -> tuple[dict[str, Factors], dict[str, Factors], tuple[str, ...]]:
    """The trained part, the edits, and the request ids covered by the edits.

    Raises UnknownAdapter for an adapter of another base model, or one whose weights are not those of the manifest.
    """
    manifest = _read(adapter.path, "manifest.json")
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
    trained = {name: Factors(down[:at], up[:, :at]) for name, (down, up) in whole.items() if up[:, :at].any()}
    edits = {name: Factors(down[at:], up[:, at:]) for name, (down, up) in whole.items() if up[:, at:].any()}
    return trained, edits, tuple(manifest["edited"])


def compose(directory: Path, base: str, trained: Adapter, edit: Adapter) -> Adapter:
    """One adapter with the trained part of the first and the edits of the second; the deltas add up exactly.

    Raises ValueError when they are for different audiences.
    """
    if trained.audience != edit.audience:
        raise ValueError("adapters for different audiences cannot be composed")
    kept, _, _ = parts(trained, base)
    _, edits, edited = parts(edit, base)
    return export(directory, base, kept, edits, sorted({*trained.subjects, *edited}), edited, trained.audience)


def _read(path: Path, name: str) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads((path / name).read_text("utf-8"))
    except (OSError, ValueError):
        raise UnknownAdapter(f"no complete adapter at {path}") from None
    return content


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
    """Write all files, or none; a folder already there wins."""
    if path.exists():
        path.touch()  # as young as if it were new: who deletes old ones goes by that
        return
    with whole_folder(path) as folder:
        for name, content in files.items():
            (folder / name).write_bytes(content)
