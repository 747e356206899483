"""Adapter folders that nobody needs: written by a worker that was killed, or overtaken by later ones."""

import re
import shutil
import time
from pathlib import Path

from gateway.forget.worker_store import WorkerStore

KEEP_S = 600.0  # streams that run on an adapter which was replaced may still need its files

_DIGEST = re.compile(r"[0-9a-f]{64}")
_PARTIAL = ".partial-"  # what `whole_folder` leaves when its process is killed
_ASIDE = ".swept-"


def sweep(directory: Path, store: WorkerStore, keep_s: float = KEEP_S) -> int:
    """Deletes what nothing in the store refers to, once it is `keep_s` old; returns how many folders that were.

    Nothing is deleted while any worker holds a request: its adapter is written before it is published. An erasure that
    begins while this runs may come to the same adapter; therefore a folder is taken out of its place first, and put
    back if it is needed after all: by the next sweep, if this one is killed.
    """
    _put_back(directory, store)
    quiet, needed = store.adapters_in_use()
    if not quiet:
        return 0
    swept = 0
    for folder in directory.iterdir():
        is_adapter = _DIGEST.fullmatch(folder.name) is not None
        if folder.name in needed or not (is_adapter or folder.name.startswith((_PARTIAL, _ASIDE))):
            continue
        if _age_s(folder) >= keep_s:
            swept += _take_aside(folder, store) if is_adapter else _delete(folder)
    return swept


def _put_back(directory: Path, store: WorkerStore) -> None:
    _, needed = store.adapters_in_use()
    for digest in needed:
        aside = directory / f"{_ASIDE}{digest}"
        if aside.exists() and not (directory / digest).exists():
            aside.rename(directory / digest)


def _take_aside(folder: Path, store: WorkerStore) -> int:
    aside = folder.with_name(f"{_ASIDE}{folder.name}")
    shutil.rmtree(aside, ignore_errors=True)
    try:
        folder.rename(aside)
    except OSError:  # another worker sweeps as well
        return 0
    quiet, needed = store.adapters_in_use()
    if folder.exists() or (quiet and folder.name not in needed):
        return _delete(aside)
    aside.rename(folder)
    return 0


def _delete(folder: Path) -> int:
    shutil.rmtree(folder, ignore_errors=True)
    return 1


def _age_s(folder: Path) -> float:
    try:
        return time.time() - folder.stat().st_mtime
    except FileNotFoundError:
        return 0.0
