"""A desk to play replicas and worker at, step by step, against the real store."""

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from gateway.forget.model import ForgetRequestIn, State
from gateway.forget.sealer import AesGcmSealer
from gateway.forget.snapshot import NOWHERE, Composite
from gateway.forget.store import Acknowledgement, Store
from gateway.forget.worker_store import WorkerStore
from gateway.security.sealing_keys import GivenKeys, SealingKeys

SEALER = AesGcmSealer(GivenKeys(SealingKeys.generate().dump()))


@dataclass
class Desk:
    """Plays replicas and worker against the store, step by step."""

    store: Store
    worker: WorkerStore

    async def submit(self, name: str = "Ivo Marlin", **fields: Any) -> str:
        return await self.store.submit(ForgetRequestIn(subject={"name": name}, **fields))

    async def acknowledge(self, replica: str = "r1", adapter: str | None = None) -> Acknowledgement:
        """A replica that applies everything the store has (or another adapter)."""
        changes = await self.store.changes(NOWHERE)
        digest = changes.composite.digest if changes.composite else ""
        return await self.store.acknowledge(replica, changes.mark, digest if adapter is None else adapter)

    def waiting(self) -> list[tuple[str, State]]:
        """What needs a worker and has none; few enough to be told in one go."""
        rest, found = self.worker.waiting()
        assert rest == "0"
        return found

    async def state(self, id_: str) -> State:
        return (await self.store.get(id_)).state

    async def guarded(self, name: str = "Ivo Marlin", **fields: Any) -> str:
        id_ = await self.submit(name, **fields)
        await self.acknowledge()
        assert await self.state(id_) is State.GUARDED
        return id_

    async def erased(self, name: str = "Ivo Marlin") -> str:
        id_ = await self.guarded(name)
        attempt = self.worker.begin(id_)
        before = self.worker.snapshot().composite
        together = {id_, *(before.requests if before else ())}
        self.worker.publish_composite(attempt, composite(*together, verified=together))
        await self.acknowledge()
        assert await self.state(id_) is State.ERASED
        return id_


def composite(*requests: str, verified: Iterable[str] = (), stage: str = "trained", name: str = "") -> Composite:
    digest = name or f"{stage}-{abs(hash(frozenset(requests))):x}"
    return Composite(digest, f"/adapters/{digest}", 8, stage, frozenset(requests), frozenset(verified))


async def until(condition: Callable[[], object], timeout_s: float = 15.0) -> None:
    deadline = time.monotonic() + timeout_s
    while True:
        outcome = condition()
        if asyncio.iscoroutine(outcome):
            outcome = await outcome
        if outcome:
            return
        assert time.monotonic() < deadline, "did not happen"
        await asyncio.sleep(0.005)
