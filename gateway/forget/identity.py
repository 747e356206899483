"""Who this replica is: the same after a restart, so that nobody waits for the process that was killed."""

import fcntl
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replica_identity(data_dir: Path) -> Iterator[str]:
    """The id kept in `data_dir`, while no other process uses it; a passing one for a second process on that folder."""
    data_dir.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(data_dir / "replica-id", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "r+", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield str(uuid.uuid4())
            return
        kept = file.read()
        if not kept:
            kept = str(uuid.uuid4())
            file.write(kept)
            file.flush()
        yield kept
