"""An adapter's name is the digest of its files."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

FILES = ("adapter_model.safetensors", "adapter_config.json", "manifest.json")


def digest_of(contents: Sequence[bytes]) -> str:
    """SHA-256 of the contents of `FILES`, in that order, hex."""
    return hashlib.sha256(b"\0".join(contents)).hexdigest()


def contents_of(folder: Path) -> list[bytes]:
    """The contents of `FILES`. Raises OSError where one cannot be read."""
    return [(folder / name).read_bytes() for name in FILES]
