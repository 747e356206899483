"""Gateways without an engine that die at one step of a request's life: `python -m tests.forget.mortal_gateways LOG`.

Each line on standard input is `[PORT, STEP]`: a process forked from this one, which has everything imported, serves on
that port (`benchmarks.plane`) and is killed (SIGKILL) when it comes to that step, or not at all where it is empty. Its
process id is printed. Settings are in the environment.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import uvloop

from benchmarks import plane
from gateway.forget.jobs import Jobs
from gateway.forget.store import Store
from gateway.guards.policy import Policy

Seen = Callable[[tuple[Any, ...], Any], bool]


class Known:
    """What this gateway has come to know."""

    policy: Policy | None = None
    stage = ""  # of the composite that it was last told of


def enforced(*_: object) -> bool:
    return Known.policy is not None and bool(Known.policy.targets)


def swapped(*_: object) -> bool:
    return Known.policy is not None and Known.policy.adapter is not None and Known.stage == "trained"


def moved_to(state: str) -> Seen:
    return lambda _, reply: state in reply[2:]


def always(*_: object) -> bool:
    return True


BEFORE: dict[str, tuple[str, Seen]] = {
    "asked": ("submit", always),
    "enforced": ("acknowledge", enforced),
    "swapped": ("acknowledge", swapped),
    "asked to withdraw": ("withdraw", always),
}
AFTER: dict[str, tuple[str, Seen]] = {
    "stored": ("submit", always),
    "heard of": ("changes", lambda _, reply: len(reply) > 5),
    "guarded": ("acknowledge", moved_to("guarded")),
    "edited": ("changes", lambda *_: Known.stage == "edit"),
    "trained": ("changes", lambda *_: Known.stage == "trained"),
    "erased": ("acknowledge", moved_to("erased")),
    "withdrawing": ("withdraw", always),
    "withdrawn": ("acknowledge", moved_to("withdrawn")),
}
QUEUED = "queued"


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def arm(step: str) -> None:
    """From now on this process is killed when it comes to `step`."""
    run, write, queue, apply = Store._run, Store._write, Jobs._enqueue, plane.HeldPolicy.apply

    async def mortal_run(self: Store, name: str, *arguments: Any) -> Any:
        script, seen = BEFORE.get(step, ("", always))
        if name == script and seen(arguments, None):
            die()
        reply = await run(self, name, *arguments)
        if name == "changes":
            flat = reply[3]
            Known.stage = dict(zip(flat[::2], flat[1::2], strict=True)).get("stage", "")
        script, seen = AFTER.get(step, ("", always))
        if name == script and seen(arguments, reply):
            die()
        return reply

    def mortal_queue(self: Jobs, *arguments: str) -> None:
        queue(self, *arguments)
        if step == QUEUED:
            die()

    async def known_apply(self: plane.HeldPolicy, policy: Policy) -> None:
        await apply(self, policy)
        Known.policy = policy

    async def mortal_write(self: Store, name: str, *arguments: Any) -> Any:
        """Of a server with WAITAOF, which `_run` does not see."""
        if BEFORE.get(step, ("",))[0] == name:
            die()
        reply = await write(self, name, *arguments)
        if AFTER.get(step, ("",))[0] == name:
            die()
        return reply

    Store._run = mortal_run  # type: ignore[method-assign]
    Store._write = mortal_write  # type: ignore[method-assign]
    Jobs._enqueue = mortal_queue  # type: ignore[method-assign]
    plane.HeldPolicy.apply = known_apply  # type: ignore[method-assign]


def main() -> None:
    """One process for each line."""
    with open(sys.argv[1], "ab") as log:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        print("ready", flush=True)
        for line in sys.stdin:
            port, step = json.loads(line)
            child = os.fork()
            if child == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                os.close(0)
                os.dup2(log.fileno(), 1)
                os.dup2(log.fileno(), 2)
                arm(step)
                uvloop.run(plane.serve(port))
                os._exit(0)
            print(child, flush=True)


if __name__ == "__main__":
    main()
