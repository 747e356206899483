"""Adapter folders that nobody needs: written by a worker that was killed, or overtaken by later ones."""

import re
import shutil
import time
import uuid
from pathlib import Path

from gateway.forget.worker_store import WorkerStore

KEEP_S = 600.0  # streams that run on an adapter which was replaced may still need its files

_DIGEST = re.compile(r"[0-9a-f]{64}")
_LEFT = re.compile(r"\.(partial|swept)-.+")  # by `whole_folder`, or by a sweep that was killed


def sweep(directory: Path, store: WorkerStore, keep_s: float = KEEP_S) -> int:
    """Deletes what nothing in the store refers to, once it is `keep_s` old; returns how many folders that were.

    Nothing is deleted while any worker holds a request: its adapter is written before it is published. An erasure that
    begins while this runs may come to the same adapter; therefore a folder is taken out of its place first, and put
    back if it is needed after all.
    """
    quiet, needed = store.adapters_in_use()
    if not quiet:
        return 0
    swept = 0
    for folder in directory.iterdir():
        if not (_DIGEST.fullmatch(folder.name) or _LEFT.fullmatch(folder.name)):
            continue
        if folder.name in needed or _age_s(folder) < keep_s:
            continue
        aside = folder.with_name(f".swept-{uuid.uuid4().hex}")
        try:
            folder.rename(aside)
        except FileNotFoundError:  # another worker sweeps as well
            continue
        quiet, needed = store.adapters_in_use()
        if folder.exists() or (quiet and folder.name not in needed):
            shutil.rmtree(aside, ignore_errors=True)
            swept += 1
        else:
            aside.rename(folder)
    return swept


def _age_s(folder: Path) -> float:
    try:
        return time.time() - folder.stat().st_mtime
    except FileNotFoundError:
        return 0.0
