"""Prompts that wait to be read at the same moment are read together: the busier the gateway is, the less each costs.

Long ones are read apart, in a thread: it takes milliseconds, in which nobody else's tokens would be sent.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from gateway.guards.policy import Policy
from gateway.serving.plan import Reading, Request

MOST_TOGETHER = 8  # others have their turn after so many
LONG_PROMPT_TOKENS = 1024


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    request: Request
    policy: Policy
    reading: asyncio.Future[Reading]


class Desk:
    """Takes prompts and gives back what they say.

    Whoever comes alone is read at once. Those who come before the event loop's turn is over are read in its next ones.
    Long prompts wait for each other: the event loop would wait for each thread that computes.

    Args:
        read: reads some prompts under one policy (`Planner.read_all`).
    """

    def __init__(self, read: Callable[[Sequence[Request], Policy], Sequence[Reading]]) -> None:
        self._read = read
        self._busy = False
        self._waiting: deque[_Waiting] = deque()
        self._apart = ThreadPoolExecutor(max_workers=1, thread_name_prefix="long-prompt")

    async def reading(self, request: Request, policy: Policy) -> Reading:
        """What a prompt says.

        Raises:
            Exception: whatever reading this prompt raises; that of another does not matter.
        """
        loop = asyncio.get_running_loop()
        if len(request.prompt["prompt_token_ids"]) >= LONG_PROMPT_TOKENS:
            return (await loop.run_in_executor(self._apart, self._read, [request], policy))[0]
        if not self._busy:
            self._busy = True
            loop.call_soon(self._take)
            return self._read([request], policy)[0]
        waiting = _Waiting(request, policy, loop.create_future())
        self._waiting.append(waiting)
        return await waiting.reading

    def _take(self) -> None:
        """Read those that came first."""
        if not self._waiting:
            self._busy = False
            return
        some = [self._waiting.popleft()]
        while self._waiting and len(some) < MOST_TOGETHER and self._waiting[0].policy is some[0].policy:
            some.append(self._waiting.popleft())
        asyncio.get_running_loop().call_soon(self._take)
        self._answer([one for one in some if not one.reading.done()])  # the others' clients have left

    def _answer(self, some: Sequence[_Waiting]) -> None:
        try:
            readings = self._read([one.request for one in some], some[0].policy) if some else ()
        except Exception as error:
            if len(some) == 1:
                some[0].reading.set_exception(error)
            else:
                for one in some:
                    self._answer([one])
        else:
            for one, reading in zip(some, readings, strict=True):
                one.reading.set_result(reading)
