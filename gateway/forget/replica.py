"""Keeps this process's policy in step with the store: loads, follows the log, has it enforced, says so."""

import asyncio
import logging
import math
import time
import traceback
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

from gateway.adapter_storage import Fetch, as_published
from gateway.forget.connection import BLOCK_S
from gateway.forget.errors import AdapterUnavailable, ForgetError, StoreUnavailable
from gateway.forget.followed import Followed, target
from gateway.forget.model import State
from gateway.forget.snapshot import NOWHERE, Composite, Mark
from gateway.forget.store import DEFAULT_LEASE_S, Store
from gateway.guards.policy import AdapterRef, Policy, compile_policy
from gateway.security.keys import ApiKey
from gateway.tracing import span

logger = logging.getLogger(__name__)

Apply = Callable[[Policy], Awaitable[None]]
OnMoved = Callable[[str, State], Awaitable[None]]
OnKeys = Callable[[Sequence[ApiKey]], None]
Unready = Literal["store_unavailable", "policy_unreadable", "catching_up"]

HEARTBEAT_S = 1.0
FIRST_RETRY_S, LAST_RETRY_S = 0.1, 5.0
FETCH_POLL_S = 0.1
STORE_RETRY_S = 0.5  # at most: a store that is back should find every replica back within a second or two


class Replica:
    """Follows the policy of `store` and hands every version, compiled, to `apply`, one at a time.

    `apply` returns when the policy is enforced, or raises with the one before still enforced; a failure is tried again
    with back-off and never acknowledged. A new adapter that cannot be applied does not hold up the guards: new targets
    are enforced first, with the adapter at hand.

    While the store is away the last policy stays enforced; `ready` ends after `max_staleness_s`. If the store comes
    back with an older state, nothing that was enforced is dropped: see `orphans`.

    `on_keys` gets every API key whenever one was made or revoked. `nobody` is the policy it
    begins with. `fetch` brings an adapter by its digest and the
    folder of the worker that published it (`gateway.adapter_storage`), in a thread; meanwhile guards go on.
    """

    def __init__(
        self,
        store: Store,
        apply: Apply,
        replica_id: str,
        *,
        on_moved: OnMoved | None = None,
        on_keys: OnKeys | None = None,
        max_staleness_s: float = DEFAULT_LEASE_S,
        nobody: Policy | None = None,
        fetch: Fetch = as_published,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._apply = apply
        self._id = replica_id
        self._on_moved = on_moved
        self._on_keys = on_keys
        self._max_staleness_s = max_staleness_s
        self._nobody = nobody or compile_policy(0, {})
        self._fetch = fetch
        self._fetching: tuple[Composite, asyncio.Task[Path]] | None = None
        self._clock = clock
        self._heard_at = -math.inf
        self._acknowledged_at = -math.inf
        self._joined_at = -math.inf  # since then others wait for this replica
        self._in_step_at = -math.inf  # when it asked for what it enforces now
        self._wanted = Followed()
        self._enforced = NOWHERE  # what `apply` has taken
        self._live: Composite | None = None
        self._policy: Policy | None = None
        self._caught_up = False
        self._unopened = False  # the store holds a record that does not open here
        self._moved: asyncio.Queue[tuple[str, State]] = asyncio.Queue()
        self._swap_after = -math.inf
        self._swap_pause_s = FIRST_RETRY_S

    @property
    def orphans(self) -> int:
        """How many requests are guarded here that the store has lost: an alarm if not 0."""
        return len(self._wanted.orphaned)

    @property
    def version(self) -> int:
        """The version of the policy that this replica enforces; -1 before the first."""
        return self._enforced.version

    @property
    def store_up(self) -> bool:
        """Whether the store answered within the last few heartbeats."""
        return self._clock() - self._heard_at < 5 * HEARTBEAT_S

    @property
    def requests(self) -> tuple[str, ...]:
        """Ids of what is enforced here."""
        return tuple(self._wanted.requests)

    def names(self, request_id: str) -> tuple[str, ...]:
        """What people call the subject of a request that is enforced here, the client's own name for it first."""
        request = self._wanted.requests.get(request_id)
        return request.spoken_names if request else ()

    @property
    def ready(self) -> bool:
        """Whether the whole policy is enforced and can be read, and others wait for this replica when there is more.

        Of what came while nobody waited for it, because it started or was cut off, it hears by asking once more.
        """
        return self.unready is None

    @property
    def unready(self) -> Unready | None:
        """Why it is not ready."""
        if self._unopened:
            return "policy_unreadable"
        is_live = self._clock() - self._acknowledged_at < self._max_staleness_s
        in_step = self._caught_up and self._in_step_at >= self._joined_at
        if is_live and in_step:
            return None
        return "catching_up" if self.store_up and not in_step else "store_unavailable"

    async def run(self) -> None:
        """Follows until cancelled; then leaves, so that nobody waits for this replica."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._follow())
                tasks.create_task(self._beat())
                tasks.create_task(self._tell())
        finally:
            self._acknowledged_at = -math.inf
            with suppress(StoreUnavailable):  # then its lease runs out
                await self._store.leave(self._id)

    async def _follow(self) -> None:
        retry_s = FIRST_RETRY_S
        while True:
            try:
                await self._load()
                await self._enforce_targets()
                self._unopened = False
                wait_s = await self._swap_adapter()
                await self._compact()
                retry_s = FIRST_RETRY_S
                if self._in_step_at < self._joined_at:
                    continue
                await self._store.wait_for_change(self._wanted.mark, wait_s)
                continue
            except StoreUnavailable as error:
                logger.warning("the store is away, the last policy stays enforced: %s", error)
                retry_s = min(retry_s, STORE_RETRY_S)
            except ForgetError as error:
                logger.critical("ALARM: not ready, because the policy cannot be read: %s", error)
            except Exception as error:
                _log_failure(f"policy version {self._wanted.mark.version} could not be enforced, trying again", error)
            await asyncio.sleep(retry_s)
            retry_s = min(2 * retry_s, LAST_RETRY_S)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            if self._policy is not None:
                with suppress(StoreUnavailable):  # the follower logs it
                    await self._acknowledge()

    async def _load(self) -> None:
        asked_at = self._clock()
        try:
            changes = await self._store.changes(self._wanted.mark)
        except StoreUnavailable:
            raise
        except Exception:
            self._unopened = True
            raise
        self._heard_at = asked_at
        if changes.keys is not None and self._on_keys is not None:
            self._on_keys(changes.keys)
        self._wanted.hear(changes)

    async def _enforce_targets(self) -> None:
        """The guards first: an adapter takes longer to load, and may fail to."""
        mark, stale, asked_at = self._wanted.mark, self._wanted.stale, self._heard_at
        if mark == self._enforced:
            self._in_step_at = asked_at
            return
        if self._policy is None or stale:
            await self._compile_and_apply(mark, stale, self._live)
            stale.clear()
        self._enforced = mark
        self._in_step_at = asked_at
        await self._acknowledge()

    async def _swap_adapter(self) -> float:
        """Has the wanted adapter applied, if it is not and its turn has come; seconds until the next look."""
        if self._live == self._wanted.composite:
            self._caught_up = True
            return BLOCK_S
        if (left := self._swap_after - self._clock()) > 0:
            return min(left, BLOCK_S)
        composite = self._wanted.composite
        try:
            if composite is not None and not await self._fetched(composite):
                return FETCH_POLL_S
            await self._compile_and_apply(self._enforced, (), composite)
        except Exception as error:
            self._swap_pause_s = min(2 * self._swap_pause_s, LAST_RETRY_S)
            self._swap_after = self._clock() + self._swap_pause_s
            _log_failure(
                f"adapter {composite.digest if composite else 'none'} could not be applied, trying again", error
            )
            return min(self._swap_pause_s, BLOCK_S)
        self._live = composite
        self._caught_up = True
        self._swap_pause_s = FIRST_RETRY_S
        await self._acknowledge()
        return BLOCK_S

    async def _fetched(self, composite: Composite) -> bool:
        """Whether an adapter is here; if not, it is on its way, and nothing else waits for it."""
        if self._fetching is None or self._fetching[0] != composite:
            work = asyncio.to_thread(self._fetch, composite.digest, composite.path)
            self._fetching = composite, asyncio.create_task(work)
        task = self._fetching[1]
        await asyncio.wait((task,), timeout=FETCH_POLL_S)
        if not task.done():
            return False
        self._fetching = None
        await task  # raises what went wrong
        return True

    async def _compile_and_apply(self, mark: Mark, stale: Iterable[str], composite: Composite | None) -> None:
        adapter = None
        if composite is not None:
            path = await asyncio.to_thread(self._fetch, composite.digest, composite.path)
            adapter = AdapterRef(composite.digest, str(path), composite.rank, composite.untold)
        before = self._policy or self._nobody
        # After a failover the store counts from further back; the version enforced here never does.
        version = max(mark.version, before.version)
        requests = self._wanted.requests
        changed = [target(requests[id_]) for id_ in stale if id_ in requests]
        gone = [id_ for id_ in stale if id_ not in requests]
        with span("policy.enforce", linked=stale, version=version, changed=len(changed), gone=len(gone)):
            with span("policy.compile"):
                policy = await asyncio.to_thread(before.with_changes, version, changed, gone, adapter)
            with span("policy.apply"):
                await self._apply(policy)
        self._policy = policy

    async def _compact(self) -> None:
        """After many additions; apart from them, which nobody should wait for."""
        if self._policy is not None and self._policy.crowded:
            policy = await asyncio.to_thread(self._policy.compacted)
            await self._apply(policy)
            self._policy = policy

    async def _acknowledge(self) -> None:
        moved = True
        while moved:  # the store moves some at a time
            asked_at = self._clock()
            answer = await self._store.acknowledge(
                self._id, self._enforced, self._live.digest if self._live else "", lease_s=self._max_staleness_s
            )
            if asked_at - self._acknowledged_at >= self._max_staleness_s:
                self._joined_at = self._clock()
            self._acknowledged_at = asked_at
            moved = bool(answer.moved)
            for transition in answer.moved:
                self._moved.put_nowait(transition)

    async def _tell(self) -> None:
        """Apart from the following, which must not wait for what others do about it."""
        while True:
            id_, state = await self._moved.get()
            if self._on_moved is not None:
                try:
                    await self._on_moved(id_, state)
                except Exception as error:
                    _log_failure(f"nobody could be told that request {id_} is {state}", error)


def _log_failure(what: str, error: Exception) -> None:
    """Says where it happened, but not the error's own words: they may quote a subject. Of adapters ours say all."""
    if isinstance(error, AdapterUnavailable):
        logger.error("%s: %s", what, error)
        return
    where = "".join(traceback.format_tb(error.__traceback__))
    logger.error("%s: %s\n%s", what, type(error).__name__, where)
