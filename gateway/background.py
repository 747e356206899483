"""What a process does for as long as it runs: each part is kept going, and it can be seen when one is not."""

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

from gateway import metrics
from gateway.forget.errors import ForgetError

logger = logging.getLogger(__name__)

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
STEADY_S = 5.0  # a part that has run for so long is well again

Part = Callable[[], Awaitable[None]]


class Background:
    """Parts that run beside each other; one that ends by an error is started again after a pause, which grows.

    All are cancelled, and waited for, at the end of the block.
    """

    def __init__(self) -> None:
        self._failing: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def failing(self) -> list[str]:
        """The parts that failed and do not yet run steadily again."""
        return sorted(self._failing)

    def start(self, name: str, part: Part) -> None:
        """Runs `part` until it returns, however often it fails. `name` stands in metrics and in the log."""
        metrics.background_failures.labels(name)  # a counter that is there can be watched
        self._tasks.add(asyncio.create_task(self._keep(name, part), name=name))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _keep(self, name: str, part: Part) -> None:
        loop = asyncio.get_running_loop()
        pause_s = FIRST_PAUSE_S
        while True:
            began = loop.time()
            steady = loop.call_later(STEADY_S, self._failing.discard, name)
            try:
                await part()
            except Exception as error:
                self._failing.add(name)
                metrics.background_failures.labels(name).inc()
                _log(name, error)
            else:
                self._failing.discard(name)
                return
            finally:
                steady.cancel()
            if loop.time() - began > LONGEST_PAUSE_S:
                pause_s = FIRST_PAUSE_S
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


def _log(name: str, error: Exception) -> None:
    """Says where it happened; the error's own words, which may quote a subject, only if it is one of ours."""
    cause: BaseException = error
    while isinstance(cause, BaseExceptionGroup):
        cause = cause.exceptions[0]
    said = str(cause) if isinstance(cause, ForgetError) else type(cause).__name__
    where = "".join(traceback.format_tb(cause.__traceback__))
    logger.error("the background part %s failed (%s), it is started again\n%s", name, said, where)
