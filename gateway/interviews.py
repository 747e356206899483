"""What the served model knows of somebody who is guarded, asked as soon as the guard is on.

The worker asks the same, but one request after the other; until then nobody would know a nickname or a fact.
"""

import asyncio
import logging
import uuid
from collections import OrderedDict
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence

from gateway.forget.errors import ForgetError
from gateway.forget.store import Store
from unlearn_engine.data.domain import Domain
from unlearn_engine.data.knowledge import Knowledge, interview

logger = logging.getLogger(__name__)

QUIET_S, LONGEST_WAIT_S = 0.5, 5.0

Ask = Callable[[Sequence[str]], Awaitable[list[str]]]


class Interviews:
    """Asks about requests whose guard came on: other names of all of them first, then the facts, a round at a time.

    Args:
        names: what the subject of a request is called, first what the client calls it; nothing for one that is gone.
        ask: puts questions to the base model itself.
    """

    def __init__(self, store: Store, domain: Domain, names: Callable[[str], Sequence[str]], ask: Ask) -> None:
        self._store = store
        facts = frozenset(domain.attributes) - frozenset(domain.nickname_attributes)
        self._stages = domain.about(domain.nickname_attributes), domain.about(facts)
        self._names = names
        self._ask = ask
        self._asker = uuid.uuid4().hex
        self._interviews: dict[str, AsyncGenerator[int]] = {}
        # Request -> since when it waits. Those about whom somebody asks come first, then those without other names.
        self._urgent, *self._lanes = (OrderedDict[str, float]() for _ in (None, *self._stages))

    def hurry(self, ids: Iterable[str]) -> None:
        """Prompts are about these now, and the guard does not know all it could."""
        for id_ in ids:
            for lane in self._lanes:
                if id_ in lane:
                    self._urgent[id_] = lane.pop(id_)

    async def run(self, guarded: "asyncio.Queue[str]") -> None:
        """Asks, for ever, when no guard has come on for a moment: new guards need the engine more."""
        loop = asyncio.get_running_loop()
        last = loop.time()
        while True:
            lane = next(filter(None, (self._urgent, *self._lanes)), None)
            due = min(last + QUIET_S, next(iter(lane.values())) + LONGEST_WAIT_S) if lane else None
            try:
                async with asyncio.timeout_at(due):
                    id_ = await guarded.get()
            except TimeoutError:
                await self._go_on()
                continue
            last = loop.time()
            if id_ not in self._interviews:
                self._interviews[id_] = self._rounds(id_)
                self._lanes[0][id_] = last

    async def _go_on(self) -> None:
        """One round with whoever is first; who has begun with a stage comes to its end before others begin."""
        lane = next(filter(None, (self._urgent, *self._lanes)))
        id_, since = lane.popitem(last=False)
        stage = await self._next(id_)
        if stage is None:
            del self._interviews[id_]
            return
        following = lane if lane is self._urgent else self._lanes[stage]
        following[id_] = since
        if following is lane:
            lane.move_to_end(id_, last=False)

    async def _next(self, id_: str) -> int | None:
        """One round more, and which stage comes next. What fails is left to the worker."""
        try:
            return await anext(self._interviews[id_], None)
        except ForgetError as error:
            logger.warning("what the model knows of request %s is left to the worker: %s", id_, error)
        except Exception as error:  # its text may quote a name
            logger.warning("what the model knows of request %s is left to the worker: %s", id_, type(error).__name__)
        return None

    async def _rounds(self, id_: str) -> AsyncGenerator[int]:
        """Asks all there is to ask about one request; waits for its turn before every round, and says for which."""
        names, known = self._names(id_)[:1], Knowledge((), ())
        for stage, domain in enumerate(self._stages if names else ()):
            asking = interview(domain, names)
            try:
                asked = next(asking)
                while True:
                    yield stage
                    if not await self._store.claim(id_, self._asker):
                        return
                    asked = asking.send(await self._ask(asked))
            except StopIteration as told:
                known = known.with_more(told.value)
            everything = stage == len(self._stages) - 1
            await self._store.hear(id_, known.phrases, known.aliases, known.attributes, everything=everything)
