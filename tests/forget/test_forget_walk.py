"""A random walk: whatever happens in whichever order, every request ends where its owner wants it, by legal steps."""

import contextlib
import itertools
import random

import pytest

from gateway.forget.errors import CompositeConflict, IllegalTransition, NothingToDo, StaleAttempt
from gateway.forget.model import TRANSITIONS, State
from gateway.forget.snapshot import NOWHERE, Mark
from gateway.forget.worker_store import Attempt, WorkerStore
from tests.forget.desk import SEALER, Desk, composite

STEPS = 120
REPLICAS = ("r1", "r2")
AT_REST = {State.GUARDED, State.ERASED, State.FAILED, State.WITHDRAWN}


class Walk:
    """Clients, two workers and two replicas, each doing something legal for its role at a random moment."""

    def __init__(self, desk: Desk, rng: random.Random) -> None:
        self.desk, self.rng = desk, rng
        self.worker = WorkerStore(desk.worker._client, SEALER, lease_s=0.02)
        self.ids: list[str] = []
        self.withdrawn: set[str] = set()
        self.attempts: list[tuple[Attempt, frozenset[str]]] = []
        self.seen: dict[str, tuple[Mark, str]] = {}
        self.weights: dict[str, frozenset[str]] = {"": frozenset()}  # digest -> whom its training really covered
        self.adapters = itertools.count()

    async def step(self) -> None:
        action = self.rng.choice(
            (
                *(self.submit, self.withdraw, self.load, self.begin, self.fail, self.retry, self.hold, self.release),
                *(self.acknowledge, self.acknowledge, self.publish, self.publish),
            )
        )
        with contextlib.suppress(NothingToDo, StaleAttempt, CompositeConflict, IllegalTransition):
            await action()

    async def submit(self) -> None:
        self.ids.append(await self.desk.submit(erase=self.rng.choice(["auto", "auto", "auto", "guard_only"])))

    async def load(self) -> None:
        changes = await self.desk.store.changes(NOWHERE)
        digest = changes.composite.digest if changes.composite else ""
        self.seen[self.rng.choice(REPLICAS)] = (changes.mark, digest)

    async def acknowledge(self) -> None:
        for replica, (mark, digest) in self.seen.items():
            await self.desk.store.acknowledge(replica, mark, digest)

    async def begin(self) -> None:
        for id_, _ in self.desk.waiting():
            try:
                attempt = self.worker.begin(id_)
            except NothingToDo:
                continue
            present = self.worker.snapshot().composite
            self.attempts.append((attempt, self.weights[present.digest] if present else frozenset()))

    async def publish(self) -> None:
        """Some time after it began, with what it loaded then: an erasure continues it, a rebuild starts anew."""
        if not self.attempts:
            return
        attempt, loaded = self.attempts.pop(self.rng.randrange(len(self.attempts)))
        if attempt.state is State.GUARDED:
            self.worker.record_knowledge(attempt, ["a fact"], [])
            return
        snapshot = self.worker.snapshot()
        enforced = {request.id for request in snapshot.enforced}
        together = frozenset(loaded & enforced)
        covered = together
        if attempt.state is not State.WITHDRAWING:
            together |= {attempt.id}
            covered = loaded | {attempt.id}
        digest = f"a{next(self.adapters)}" if together else ""
        earlier = sorted(together - {attempt.id})
        regressed = frozenset(self.rng.sample(earlier, k=min(self.rng.randrange(2), len(earlier))))
        self.weights[digest] = covered if digest else frozenset()
        adapter = composite(*together, verified=together - regressed, name=digest) if digest else None
        self.worker.publish_composite(attempt, adapter, regressed=regressed)

    async def withdraw(self) -> None:
        if self.ids:
            id_ = self.rng.choice(self.ids)
            self.withdrawn.add(id_)
            await self.desk.store.withdraw(id_)

    async def fail(self) -> None:
        if self.attempts:
            self.worker.fail(self.attempts[0][0], "too weak")

    async def retry(self) -> None:
        if self.ids:
            await self.desk.store.retry(self.rng.choice(self.ids))

    async def hold(self) -> None:
        if self.ids:
            await self.desk.store.review(self.rng.choice(self.ids), "hold")

    async def release(self) -> None:
        if self.ids:
            await self.desk.store.review(self.rng.choice(self.ids), "release")

    async def check(self) -> None:
        """What must hold at every moment."""
        changes = await self.desk.store.changes(NOWHERE)
        enforced = {request.id for request in changes.enforced}
        assert enforced == set(self.ids) - self.withdrawn
        if changes.composite:
            covered = self.weights[changes.composite.digest]
            assert covered == changes.composite.requests, "the weights hold nobody who is not named"
        for id_ in self.ids:
            request = await self.desk.store.get(id_)
            path = [entry.state for entry in request.state_history]
            assert all(after in TRANSITIONS[before] for before, after in itertools.pairwise(path))
            if request.state is State.WITHDRAWN and changes.composite:
                assert id_ not in changes.composite.requests

    async def settle(self) -> None:
        """Now everybody does their work until there is none."""
        for id_ in self.ids:
            with contextlib.suppress(IllegalTransition):
                await self.desk.store.review(id_, "release")
            with contextlib.suppress(IllegalTransition):
                await self.desk.store.retry(id_)
        for _ in range(1000):
            states = [await self.desk.state(id_) for id_ in self.ids]
            if AT_REST.issuperset(states) and not self.desk.waiting():
                return
            await self.load()
            await self.acknowledge()
            await self.begin()
            while self.attempts:
                with contextlib.suppress(StaleAttempt, CompositeConflict):
                    await self.publish()


@pytest.mark.parametrize("seed", range(6))
async def test_nothing_is_lost_or_stuck(desk: Desk, seed: int) -> None:
    walk = Walk(desk, random.Random(seed))
    for step in range(STEPS):
        await walk.step()
        if step % 10 == 0:
            await walk.check()
    await walk.settle()
    await walk.check()
    for id_ in walk.ids:
        request = await desk.store.get(id_)
        if id_ in walk.withdrawn:
            assert request.state is State.WITHDRAWN
        else:
            wanted = State.GUARDED if request.erase == "guard_only" else State.ERASED
            assert request.state in (wanted, State.FAILED), request.state_history
            assert request.state is wanted or "too often" in request.state_reason
    assert desk.waiting() == []
