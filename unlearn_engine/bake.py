"""Bake an adapter into the base weights: a new model folder that needs no adapter to have forgotten.

    W' = round(W + B A)   for the modules that the adapter changes; every other byte stays what it was.

Since neither type nor shape changes, each safetensors file is copied and only the changed tensors' bytes are written
over, one tensor at a time. What rounding to the stored type takes away from the change is measured and recorded.
"""

import argparse
import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from unlearn_engine import adapter as adapters
from unlearn_engine.durable import whole_folder
from unlearn_engine.errors import EraseError, UnsupportedModel
from unlearn_engine.lowrank import Factors, LowRank, concatenate
from unlearn_engine.model import base_digest

RECORD = "baked.json"
_INDEX = "model.safetensors.index.json"
_TYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
_OTHER_WEIGHTS = frozenset({".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".gguf", ".h5", ".msgpack", ".onnx"})


@dataclass(frozen=True)
class Baked:
    """What a baked folder says of itself in `baked.json`."""

    digest: str  # of the weights, as `base_digest` gives it
    base_digest: str  # of the weights before
    adapters: tuple[str, ...]  # digests of the adapters inside, the last one baked last
    subjects: tuple[str, ...]  # request ids that they cover
    rounding: float  # largest share of a module's change lost by rounding, ‖W' - (W + BA)‖ / ‖BA‖


def bake(model: Path, adapter: Path, out: Path) -> Baked:
    """Write `out`, a copy of the model folder with the adapter in its weights; whole, or not at all.

    Of other formats of the same weights (.bin, .gguf, subfolders) nothing is copied: they would still remember. Raises
    FileExistsError if `out` is there, UnknownAdapter if the adapter is damaged or of another base, and UnsupportedModel
    if a changed weight is missing from the files, of another shape, or quantised.
    """
    if out.exists():
        raise FileExistsError(f"{out} exists already: give a folder that does not")
    base = base_digest(model)
    source = adapters.load(adapter)
    trained, edits, _ = adapters.parts(source, base)
    change = concatenate(trained, edits)
    earlier = baked(model)
    with whole_folder(out) as folder:
        for file in _copied(model):
            shutil.copyfile(file, folder / file.name)
        lost = _merge(folder, change)
        record = Baked(
            digest=base_digest(folder),
            base_digest=base,
            adapters=(*(earlier.adapters if earlier else ()), source.digest),
            subjects=tuple(sorted({*(earlier.subjects if earlier else ()), *source.subjects})),
            rounding=max(lost.values(), default=0.0),
        )
        (folder / RECORD).write_text(json.dumps(asdict(record), indent=1) + "\n", "utf-8")
    return record


def baked(model: Path) -> Baked | None:
    """What is baked into a model folder; None for an ordinary one. Raises UnsupportedModel for a damaged record."""
    try:
        fields = json.loads((model / RECORD).read_text("utf-8"))
        return Baked(**fields | {"adapters": tuple(fields["adapters"]), "subjects": tuple(fields["subjects"])})
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        raise UnsupportedModel(f"{model / RECORD} is damaged: nobody knows what these weights have forgotten") from None


def _copied(model: Path) -> Iterator[Path]:
    shards = set(_shards(model))
    for file in sorted(model.iterdir()):
        if file.is_file() and (file in shards or file.suffix not in _OTHER_WEIGHTS) and file.name != RECORD:
            yield file


def _shards(model: Path) -> list[Path]:
    if (model / _INDEX).exists():
        names = set(json.loads((model / _INDEX).read_text("utf-8"))["weight_map"].values())
        return [model / name for name in sorted(names)]
    return sorted(model.glob("*.safetensors"))


def _merge(folder: Path, change: LowRank) -> dict[str, float]:
    """Add the change to the files of the folder in place; what rounding took, by module."""
    missing, lost = dict(change), {}
    for shard in _shards(folder):
        with shard.open("r+b") as stream:
            header, start = _header(stream)
            for name in sorted(missing.keys() & {key.removesuffix(".weight") for key in header}):
                lost[name] = _add(stream, header[f"{name}.weight"], start, name, missing.pop(name))
    if missing:
        raise UnsupportedModel(f"the model's files hold no weight of {', '.join(sorted(missing))}")
    return lost


def _header(stream: BinaryIO) -> tuple[dict[str, Any], int]:
    """Names, types, shapes and places of the tensors, and where their bytes begin (safetensors' own format)."""
    length = int.from_bytes(stream.read(8), "little")
    return json.loads(stream.read(length)), 8 + length


def _add(stream: BinaryIO, entry: dict[str, Any], start: int, name: str, factors: Factors) -> float:
    down, up = factors
    shape = [up.shape[0], down.shape[1]]
    if entry["dtype"] not in _TYPES or entry["shape"] != shape:
        found = f"{entry['dtype']} {entry['shape']}"
        raise UnsupportedModel(f"the weight of {name} is {found}: only floats of shape {shape} can take this change")
    begin, end = entry["data_offsets"]
    stream.seek(start + begin)
    stored = torch.frombuffer(bytearray(stream.read(end - begin)), dtype=_TYPES[entry["dtype"]]).view(shape)
    exact = torch.promote_types(stored.dtype, torch.float32)
    delta = up.to(exact) @ down.to(exact)
    wanted = stored.to(exact) + delta
    rounded = wanted.to(stored.dtype)
    stream.seek(start + begin)
    stream.write(_bytes(rounded))
    return float((rounded.to(exact) - wanted).norm() / delta.norm()) if delta.any() else 0.0


def _bytes(tensor: Tensor) -> bytes:
    return tensor.contiguous().view(torch.uint8).numpy().tobytes()


def main() -> None:
    """Bake an adapter into a model folder and print what was made."""
    parser = argparse.ArgumentParser(prog="python -m unlearn_engine.bake", description=main.__doc__)
    parser.add_argument("model", type=Path, help="folder of the base model")
    parser.add_argument("adapter", type=Path, help="folder of the adapter, made for this base")
    parser.add_argument("out", type=Path, help="folder to be made")
    options = parser.parse_args()
    try:
        record = bake(options.model, options.adapter, options.out)
    except (EraseError, FileExistsError) as error:
        parser.exit(1, f"{error}\n")
    print(json.dumps(asdict(record), indent=1))


if __name__ == "__main__":
    main()
