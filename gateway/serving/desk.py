"""Prompts that wait to be read at the same moment are read together: the busier the gateway is, the less each costs."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.guards.policy import Policy
from gateway.serving.plan import Reading, Request

MOST_TOGETHER = 8  # others have their turn after so many


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    request: Request
    policy: Policy
    reading: asyncio.Future[Reading]


class Desk:
    """Takes prompts and gives back what they say.

    Whoever comes alone is read at once. Those who come before the event loop's turn is over are read in its next ones.

    Args:
        read: reads some prompts under one policy (`Planner.read_all`).
    """

    def __init__(self, read: Callable[[Sequence[Request], Policy], Sequence[Reading]]) -> None:
        self._read = read
        self._busy = False
        self._waiting: deque[_Waiting] = deque()

    async def reading(self, request: Request, policy: Policy) -> Reading:
        """What a prompt says.

        Raises:
            Exception: whatever reading this prompt raises; that of another does not matter.
        """
        loop = asyncio.get_running_loop()
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
