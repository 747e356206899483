"""The same algorithm in a process and in Redis."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.security import rates
from gateway.security.key_store import KeyStore
from gateway.security.rates import LocalThrottle, Rate


@pytest.mark.parametrize("text", ["", "600", "0/minute", "-1/minute", "1/fortnight", "1/minute ", "1.5/second"])
def test_what_is_no_rate(text: str) -> None:
    with pytest.raises(ValueError, match="600/minute"):
        Rate.parse(text)


def test_a_rate_reads_as_it_is_written() -> None:
    assert str(Rate.parse("600/minute")) == "600/minute"
    assert Rate.parse("7/hour").period_s == 3600


@given(
    count=st.integers(1, 20),
    pauses=st.lists(st.floats(0, 90, allow_nan=False), min_size=1, max_size=200),
)
def test_bursts_and_steady_streams_are_bounded(count: int, pauses: list[float]) -> None:
    """Of a token bucket: in any stretch of time no more than its depth and what flows in."""
    now, passed = 0.0, []
    throttle, rate = LocalThrottle(lambda: now), Rate(count, "minute")
    for pause in pauses:
        now += pause
        wait_s = throttle.wait_s("key", rate)
        if not wait_s:
            passed.append(now)
        else:
            before, now = now, now + wait_s
            assert throttle.wait_s("key", rate) == 0, "having waited as told, it passes"
            passed.append(now)
            assert wait_s <= 60 / count + 1e-3 and now >= before
    for start in range(len(passed)):
        for end in range(start, len(passed)):
            assert end - start + 1 <= count + (passed[end] - passed[start]) * count / 60 + 1e-3


def test_keys_do_not_share_a_rate() -> None:
    throttle, rate = LocalThrottle(lambda: 0.0), Rate(1, "minute")
    assert [throttle.wait_s(key, rate) for key in ("a", "b", "a")] == [0, 0, 60]


def test_who_may_ask_again_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "MANY", 3)
    now = 0.0
    throttle, often, seldom = LocalThrottle(lambda: now), Rate(1, "second"), Rate(1, "minute")
    assert throttle.wait_s("seldom", seldom) == 0
    for each in range(100):
        now += 0.5
        assert throttle.wait_s(f"holder {each}", often) == 0
        assert len(throttle._arrivals) <= 6
    assert throttle.wait_s("seldom", seldom) == 10


async def test_counted_in_redis(keys: KeyStore) -> None:
    rate = Rate(3, "day")
    waits = [await keys.throttle("a", rate) for _ in range(5)]
    assert waits[:3] == [0, 0, 0]
    assert all(28_000 < wait <= 28_800 for wait in waits[3:]), "a third of a day, less what has passed"
    assert await keys.throttle("b", rate) == 0
