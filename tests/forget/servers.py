"""Redis servers of the tests' own: one, behind a Sentinel, or a Cluster; real processes that end with their block."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import redis
from redis.crc import key_slot

from gateway.forget.embedded import find_server
from gateway.forget.scripts import ROOT

SLOTS = 16384
PRIMARIES = 3  # of a Cluster: a majority has to agree on a failover
NODE_TIMEOUT_MS = 400


@dataclass
class Server:
    """A Redis process on a port of its own; after `kill` it can be started again, on what it had on disk."""

    folder: Path
    options: dict[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    port: int = 0
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = self.port or free_port()
        options = {"port": str(self.port), "dir": str(self.folder), "save": "", "logfile": "log", **self.options}
        settings = [part for name, value in options.items() for part in (f"--{name}", *value.split("\0"))]
        command = [str(find_server(self.folder)), *self.arguments, *settings]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        until(self.answers)

    def answers(self) -> bool:
        """Whether it serves."""
        with contextlib.suppress(redis.RedisError), self.client() as client:
            return bool(client.ping())
        return False

    def client(self) -> redis.Redis:
        """A plain client."""
        return redis.Redis(port=self.port, protocol=2, decode_responses=True, socket_timeout=2.0)

    @property
    def url(self) -> str:
        """Its address."""
        return f"redis://127.0.0.1:{self.port}"

    def kill(self) -> None:
        """By SIGKILL."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(30)
            self.process = None

    @contextlib.contextmanager
    def hung(self) -> Iterator[None]:
        """Its sockets accept and never answer."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.process.pid, signal.SIGCONT)

    def __enter__(self) -> "Server":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


@dataclass
class Topology:
    """Several servers behind one URL."""

    url: str
    kill_primary: Callable[[], None]
    replica: Server


def free_port() -> int:
    """A port that nobody listens on; below 55000, since a Cluster's nodes talk to each other 10000 higher."""
    while True:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port: int = listener.getsockname()[1]
        if port < 55_000:
            return port


def until(
    condition: Callable[[], object], timeout_s: float = 15.0, why: Callable[[], object] = lambda: "did not happen"
) -> None:
    """Polls."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, why()
        time.sleep(0.01)


def replicates(server: Server) -> Callable[[], bool]:
    """Whether a server has a whole copy of its primary's data."""

    def check() -> bool:
        with server.client() as client:
            return bool(client.info("replication").get("master_link_status") == "up")

    return check


DURABLE = {"appendonly": "yes", "appendfsync": "always", "repl-diskless-sync": "yes", "repl-diskless-sync-delay": "0"}


@contextlib.contextmanager
def behind_sentinel(folder: Path) -> Iterator[Topology]:
    """A primary, its replica, and a Sentinel; the URL names another Sentinel as well, which is away."""
    with contextlib.ExitStack() as stack:
        primary = stack.enter_context(Server(folder / "primary", DURABLE))
        replica = Server(folder / "replica", {**DURABLE, "replicaof": f"127.0.0.1\0{primary.port}"})
        stack.enter_context(replica)
        until(replicates(replica))
        watch = folder / "sentinel" / "sentinel.conf"
        watch.parent.mkdir()
        watch.write_text(
            f"sentinel monitor forget 127.0.0.1 {primary.port} 1\n"
            f"sentinel down-after-milliseconds forget {NODE_TIMEOUT_MS}\nsentinel failover-timeout forget 3000\n"
        )
        sentinel = Server(watch.parent, arguments=(str(watch), "--sentinel"))
        stack.enter_context(sentinel)

        def knows_the_replica() -> bool:
            with sentinel.client() as client:
                return len(client.execute_command("SENTINEL", "REPLICAS", "forget")) == 1

        until(knows_the_replica)
        nodes = f"127.0.0.1:{free_port()},127.0.0.1:{sentinel.port}"
        yield Topology(f"redis+sentinel://{nodes}/forget", primary.kill, replica)


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[Topology]:
    """Three primaries with a third of the slots each, and a replica of the one that has ours."""
    options = {
        **DURABLE,
        "cluster-enabled": "yes",
        "cluster-node-timeout": str(NODE_TIMEOUT_MS),
        "cluster-replica-validity-factor": "0",
    }
    with contextlib.ExitStack() as stack:
        nodes = [stack.enter_context(Server(folder / str(number), options)) for number in range(PRIMARIES + 1)]
        clients = [stack.enter_context(node.client()) for node in nodes]
        share = SLOTS // PRIMARIES + 1
        for number, client in enumerate(clients[:PRIMARIES]):
            client.execute_command("CLUSTER", "ADDSLOTS", *range(number * share, min((number + 1) * share, SLOTS)))
            client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for node in nodes[1:]:
            clients[0].execute_command("CLUSTER", "MEET", "127.0.0.1", node.port)
        ours = key_slot(ROOT.encode()) // share
        ours_id = clients[ours].execute_command("CLUSTER", "MYID")

        def says(what: str) -> Callable[[], bool]:
            return lambda: all(what in str(client.execute_command("CLUSTER", "INFO")) for client in clients)

        until(says(f"cluster_known_nodes:{len(nodes)}"))
        clients[-1].execute_command("CLUSTER", "REPLICATE", ours_id)
        until(says("cluster_state:ok"))
        until(replicates(nodes[-1]))
        url = "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in nodes)
        yield Topology(url, nodes[ours].kill, nodes[-1])
