"""A circuit breaker: a store that does not answer is not asked by everybody, but by one, now and then."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gateway.forget.errors import StoreUnavailable, Unanswered

TRIES = 3  # so many calls in a row without an answer open it
PAUSE_S = 0.5  # so long nobody asks then


class Breaker:
    """Counts calls that got no answer. Open, it refuses at once; after a pause one call at a time may try again.

    An error that the store itself answers with is an answer. Not for threads.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._unanswered = 0
        self._closed_from = 0.0  # until then everybody is refused
        self._trying = False

    @property
    def open(self) -> bool:
        """Whether calls are refused, but for one now and then."""
        return self._unanswered >= TRIES

    @contextmanager
    def guarding(self) -> Iterator[None]:
        """A call of the store.

        Raises:
            StoreUnavailable: it is not made, because the ones before got no answer.
        """
        trial = self.open
        if trial:
            if self._trying or self._clock() < self._closed_from:
                raise StoreUnavailable("Redis does not answer; it is tried again in a moment")
            self._trying = True
        try:
            yield
        except Unanswered:
            self._unanswered += 1
            self._closed_from = self._clock() + PAUSE_S
            raise
        except StoreUnavailable:
            self._unanswered = 0
            raise
        else:
            self._unanswered = 0
        finally:
            if trial:
                self._trying = False
