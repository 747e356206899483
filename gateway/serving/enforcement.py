"""Puts policies into the engine and takes old ones out: tables and adapter, then one pointer, then what is unused."""

import asyncio
import logging
import time
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from contextlib import suppress
from pathlib import Path

from vllm.lora.request import LoRARequest
from vllm.v1.engine.async_llm import AsyncLLM

from gateway.guards.policy import Policy
from gateway.serving.adapters import Adapters
from gateway.serving.canary import check_guard
from gateway.serving.errors import SwapFailed, WeightsLost
from gateway.serving.live import LivePolicy, watch_of
from gateway.serving.observer import GuardObserver
from gateway.serving.tables import drop_tables, load_tables
from gateway.serving.weights import Weights

logger = logging.getLogger(__name__)


class Enforcement:
    """The policy enforced now (`live`), and earlier ones that still have requests running."""

    def __init__(self, engine: AsyncLLM, modules: Sequence[str], weights: Weights, observer: GuardObserver) -> None:
        self.live: LivePolicy | None = None
        self._engine = engine
        self._weights = weights
        self._open = asyncio.Event()
        self._open.set()
        self._adapters = Adapters(engine, modules)
        self._observer = observer
        self._retiring: set[LivePolicy] = set()
        self._drains: set[asyncio.Task[None]] = set()
        self._applying = asyncio.Lock()

    async def apply(self, policy: Policy) -> None:
        """Enforce `policy` from the next request on.

        Requests in flight end on the tables and the adapter they began with, and do not say its names any more.

        Raises:
            SwapFailed: the engine refused a part of it; the previous policy is still enforced.
        """
        async with self._applying:
            began = time.perf_counter()
            tables = policy.tables()
            fresh = await asyncio.to_thread(_unused, tables.keys(), self._lives())
            try:
                await self._load({name: tables[name] for name in fresh})
                adapter = await self._adapter(policy)
            except Exception as error:
                await self._discard(fresh)
                if isinstance(error, SwapFailed):
                    raise
                raise SwapFailed(f"the engine refused the policy ({type(error).__name__})") from None
            watch = watch_of(policy, policy.names_tables)
            previous, self.live = self.live, LivePolicy(policy, adapter, tables.keys(), watch)
            if previous is not None:
                self._retire(previous)
            self._observer.observe("apply", time.perf_counter() - began)

    async def opened(self) -> None:
        """Return once generation may begin: at once, unless the weights are being replaced."""
        await self._open.wait()

    async def replace_weights(self, folder: Path, drain_s: float) -> None:
        """Serve the weights of `folder` under the same policy; new requests wait until those in flight have ended.

        The policy's adapter is loaded again where the new weights do not hold it already.

        Raises:
            SwapFailed: the folder or the policy's adapter does not fit, requests in flight took longer than `drain_s`,
                or the engine refused. Everything is as it was.
            WeightsLost: the engine's weights are unsound: no policy is enforced, so nothing is answered.
        """
        async with self._applying:
            live = self.live
            if live is None:
                raise SwapFailed("no policy is enforced yet: replace the weights once the gateway is ready")
            await asyncio.to_thread(self._weights.check, folder)
            if live.policy.adapter is not None:
                self._weights.lack(live.policy.adapter, folder)
            self._open.clear()
            try:
                await self._all_drained(drain_s)
                began = time.perf_counter()
                await self._replace(live, folder)
                self._observer.observe("replace_weights", time.perf_counter() - began)
            finally:
                self._open.set()

    async def _all_drained(self, drain_s: float) -> None:
        try:
            async with asyncio.timeout(drain_s):
                await asyncio.gather(*(live.drained() for live in self._lives()))
        except TimeoutError:
            raise SwapFailed(f"requests in flight did not end within {drain_s:g} s; the weights stay") from None

    async def _replace(self, live: LivePolicy, folder: Path) -> None:
        before, sound = self._weights.folder, False
        try:
            try:
                await self._weights.replace(folder)
                self.live, sound = await self._proven(live), True
            except Exception as error:
                with suppress(Exception):
                    await self._weights.replace(before)
                    self.live, sound = await self._proven(live), True
                if sound:
                    raise SwapFailed(f"the engine could not serve the weights in {folder}: {error}") from error
                raise WeightsLost("the engine has neither the new weights nor the old: restart the gateway") from error
        finally:
            if not sound:  # cancelled half-way, too
                self.live = None

    async def _proven(self, live: LivePolicy) -> LivePolicy:
        """The policy on the weights as they are, with its adapter loaded and the guard shown to hold."""
        wanted = live.policy.adapter
        adapter = await self._adapters.add(wanted) if wanted and self._weights.lack(wanted) else None
        await check_guard(self._engine)
        return LivePolicy(live.policy, adapter, live.tables, live.watch)

    async def _load(self, tables: Mapping[str, Sequence[str]]) -> None:
        began = time.perf_counter()
        await load_tables(self._engine, tables)
        self._observer.observe("load_tables", time.perf_counter() - began)

    async def _adapter(self, policy: Policy) -> LoRARequest | None:
        if policy.adapter is None or not self._weights.lack(policy.adapter):
            return None
        current = self.live
        if current is not None and current.policy.adapter == policy.adapter:
            return current.adapter
        began = time.perf_counter()
        adapter = await self._adapters.add(policy.adapter)
        self._observer.observe("add_adapter", time.perf_counter() - began)
        return adapter

    def _lives(self) -> list[LivePolicy]:
        return [*self._retiring, *([self.live] if self.live is not None else [])]

    def _retire(self, live: LivePolicy) -> None:
        self._retiring.add(live)
        task = asyncio.create_task(self._drain(live))
        self._drains.add(task)
        task.add_done_callback(self._drains.discard)

    async def _drain(self, live: LivePolicy) -> None:
        """Take tables and adapter out of the engine once no request and no other live policy uses them."""
        await live.drained()
        async with self._applying:
            self._retiring.discard(live)
            others = self._lives()
            await self._discard(await asyncio.to_thread(_unused, live.tables, others))
            if live.adapter is None or any(other.adapter is live.adapter for other in others):
                return
            try:
                await self._adapters.remove(live.adapter)
            except Exception as error:
                logger.warning("adapter %s could not be removed (%s)", live.adapter.lora_name, type(error).__name__)

    async def _discard(self, ids: Collection[str]) -> None:
        try:
            await drop_tables(self._engine, ids)
        except Exception as error:
            logger.warning("guard tables could not be dropped (%s)", type(error).__name__)


def _unused(tables: Set[str], lives: Iterable[LivePolicy]) -> Set[str]:
    """The tables that none of these policies has; quick, but where one of them was put together anew."""
    for live in lives:
        tables = tables - live.tables
    return tables
