"""Who this replica is: the same after a restart, so that nobody waits for the process that was killed."""

import fcntl
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DYING_S = 3.0  # so long a killed process may still hold its files, while its threads end
_POLL_S = 0.02


@contextmanager
def replica_identity(data_dir: Path) -> Iterator[str]:
    """The id kept in `data_dir`, while no other process uses it; a passing one for a second process on that folder.

    Waits for up to `DYING_S` for the other process, which may be the one before this, still dying: under another id
    everybody would wait until its lease has run out.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(data_dir / "replica-id", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "r+", encoding="ascii") as file:
        if not _locked(descriptor, DYING_S):
            yield str(uuid.uuid4())
            return
        kept = file.read()
        if not kept:
            kept = str(uuid.uuid4())
            file.write(kept)
            file.flush()
        yield kept


def _locked(descriptor: int, wait_s: float) -> bool:
    """Whether the file could be locked within that time."""
    deadline = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_S)
        else:
            return True
