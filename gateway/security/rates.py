"""How often a key may ask: the generic cell rate algorithm, a token bucket that needs to remember one time only.

Chat requests are counted in each replica, where that costs nothing; requests to the forget routes in Redis, for all
replicas together (scripts/throttle.lua, the same algorithm), because they go there anyway.
"""

import math
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

MANY = 10_000  # keys and holders of tokens: from so many on, those whose bucket is full again are forgotten
_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
RATE_PATTERN = rf"^([1-9]\d{{0,8}})/({'|'.join(_SECONDS)})$"


@dataclass(frozen=True)
class Rate:
    """So many requests in a period, all of them at once if need be. Written `600/minute`."""

    count: int
    period: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """From its written form. Raises ValueError for anything else."""
        parts = re.fullmatch(RATE_PATTERN, text)
        if parts is None:
            raise ValueError(f"a rate is written like 600/minute (per {', '.join(_SECONDS)})")
        return cls(int(parts[1]), parts[2])

    @property
    def period_s(self) -> float:
        """Length of the period."""
        return float(_SECONDS[self.period])

    def __str__(self) -> str:
        return f"{self.count}/{self.period}"


class LocalThrottle:
    """The rates of keys, counted in this process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._arrivals: dict[str, float] = {}  # per key, when the bucket will be full again
        self._too_many = MANY

    def wait_s(self, key_id: str, rate: Rate) -> float:
        """Counts a request; seconds until it may be sent again if it came too early, else 0."""
        now = self._clock()
        full_at = max(now, self._arrivals.get(key_id, -math.inf)) + rate.period_s / rate.count
        if (early := full_at - now - rate.period_s) > 1e-6:
            return early
        if len(self._arrivals) >= self._too_many:
            self._arrivals = {id_: full for id_, full in self._arrivals.items() if full > now}
            self._too_many = max(MANY, 2 * len(self._arrivals))
        self._arrivals[key_id] = full_at
        return 0.0
