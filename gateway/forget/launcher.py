"""Becomes the embedded Redis server: holds the lock on its folder for as long as it lives, dies with its parent.

Run as a script, with the standard library only: `launcher.py PARENT_PID LOCK_FILE SERVER ARGUMENT...`.

The lock makes a second server on the same append-only file impossible, whoever was killed in whichever order: it
belongs to the open file, which the server inherits, so it ends with the server and not before.
"""

import ctypes
import fcntl
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main() -> None:
    """Locks, then replaces this process by the server. Waits while another server has the lock."""
    parent, lock_path, *command = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(parent):
        sys.exit("the parent is gone")
    lock = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    os.set_inheritable(lock, True)
    os.execv(command[0], command)  # noqa: S606 the server that embedded.py found


if __name__ == "__main__":
    main()
