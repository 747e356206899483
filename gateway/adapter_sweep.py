"""Adapter folders that nobody needs: written by a worker that was killed, or overtaken by later ones."""

import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from gateway.forget.worker_store import WorkerStore

KEEP_S = 600.0  # streams that run on an adapter which was replaced may still need its files

_DIGEST = re.compile(r"[0-9a-f]{64}")
_PARTIAL = ".partial-"  # what `whole_folder` leaves when its process is killed
_ASIDE = ".swept-"


class Sweep:
    """Deletes what nothing in the store has referred to for `keep_s`, as far as this process has seen.

    Nothing is deleted while any worker holds a request: its adapter is written before it is published. An erasure that
    begins while this runs may come to the same adapter; therefore a folder is taken out of its place first, and put
    back if it is needed after all: by the next sweep, if this one is killed.
    """

    def __init__(
        self,
        directory: Path,
        store: WorkerStore,
        keep_s: float = KEEP_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._directory = directory
        self._store = store
        self._keep_s = keep_s
        self._clock = clock
        self._needless_since: dict[str, float] = {}

    def run(self) -> int:
        """One look at all folders; returns how many were deleted."""
        _put_back(self._directory, self._store)
        quiet, needed = self._store.adapters_in_use()
        now, seen = self._clock(), {}
        for folder in self._directory.iterdir():
            is_adapter = _DIGEST.fullmatch(folder.name) is not None
            if folder.name not in needed and (is_adapter or folder.name.startswith((_PARTIAL, _ASIDE))):
                seen[folder.name] = self._needless_since.get(folder.name, now)
        self._needless_since = seen
        if not quiet:
            return 0
        due = [self._directory / name for name, since in seen.items() if now - since >= self._keep_s]
        return sum(
            _take_aside(folder, self._store) if _DIGEST.fullmatch(folder.name) else _delete(folder) for folder in due
        )


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
