"""Which other names the served model has for somebody who is guarded: asked as soon as the guard is on.

The worker asks for everything, but one request after the other; until then nobody would know a nickname.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from gateway.forget.errors import ForgetError
from gateway.forget.store import Store
from unlearn_engine.data.domain import Domain
from unlearn_engine.data.knowledge import interview, learned

logger = logging.getLogger(__name__)

QUIET_S, LONGEST_WAIT_S = 0.5, 5.0

Ask = Callable[[Sequence[str]], Awaitable[list[str]]]


class Nicknames:
    """Takes requests whose guard came on, one at a time.

    Args:
        names: what the subject of a request is called, first what the client calls it; nothing for one that is gone.
        ask: puts questions to the base model itself.
    """

    def __init__(self, store: Store, domain: Domain, names: Callable[[str], Sequence[str]], ask: Ask) -> None:
        self._store = store
        self._domain = domain.about(domain.nickname_attributes)
        self._names = names
        self._ask = ask

    async def run(self, guarded: "asyncio.Queue[str]") -> None:
        """Asks, for ever, when no guard has come on for a moment: new guards need the engine more."""
        loop = asyncio.get_running_loop()
        waiting: deque[tuple[float, str]] = deque()
        last = loop.time()
        while True:
            due = min(last + QUIET_S, waiting[0][0] + LONGEST_WAIT_S) if waiting else None
            try:
                async with asyncio.timeout_at(due):
                    id_ = await guarded.get()
                last = loop.time()
                waiting.append((last, id_))
            except TimeoutError:
                await self._try(waiting.popleft()[1])

    async def _try(self, id_: str) -> None:
        """What fails is left to the worker."""
        try:
            await self._find(id_)
        except ForgetError as error:
            logger.warning("other names of request %s are left to the worker: %s", id_, error)
        except Exception as error:  # its text may quote a name
            logger.warning("other names of request %s are left to the worker: %s", id_, type(error).__name__)

    async def _find(self, id_: str) -> None:
        names = self._names(id_)
        if not names or not self._domain.nickname_attributes or (await self._store.get(id_)).kind != "person":
            return
        asked = interview(self._domain, names[0])
        known = learned(self._domain, names, asked, await self._ask([question.text for question in asked]))
        if known.aliases:
            await self._store.hear(id_, known.aliases)
