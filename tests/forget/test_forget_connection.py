"""Addresses of Redis, and the breaker before a store that does not answer."""

import contextlib

import pytest

from gateway.forget.address import parse_address
from gateway.forget.breaker import PAUSE_S, TRIES, Breaker
from gateway.forget.errors import StoreUnavailable, Unanswered


def test_one_server_is_left_to_the_client_library() -> None:
    for url in ("redis://localhost:6379/0", "rediss://:secret@redis", "unix:///tmp/redis.sock"):
        assert parse_address(url) is None


def test_sentinels() -> None:
    address = parse_address("redis+sentinel://me:pass%40word@one:1,two,[::1]:3/forget/4?sentinel_password=other")
    assert address and address.kind == "sentinel" and address.service == "forget" and not address.tls
    assert address.nodes == (("one", 1), ("two", 26379), ("::1", 3))
    assert address.options == {"username": "me", "password": "pass@word", "db": 4}
    assert address.asking == {"username": None, "password": "other"}
    assert "pass" not in repr(address) and "other" not in repr(address)


def test_a_cluster() -> None:
    address = parse_address("rediss+cluster://:secret@one:1,two?ssl_ca_certs=/etc/ca.pem&copies=2")
    assert address and address.kind == "cluster" and address.tls and address.nodes == (("one", 1), ("two", 6379))
    assert address.copies == 2
    assert address.options == address.asking == {"password": "secret", "ssl_ca_certs": "/etc/ca.pem"}


@pytest.mark.parametrize(
    "url",
    [
        "http://secret@one",
        "redis+sentinel://secret@one:1",
        "redis+cluster://secret@one/forget",
        "redis+sentinel://secret@one:port/forget",
        "redis+other://secret@one",
        "redis+cluster://one?copies=secret",
        "redis+sentinel:///secret",
    ],
)
def test_what_is_no_address_is_not_quoted(url: str) -> None:
    with pytest.raises(ValueError) as raised:
        parse_address(url)
    assert "secret" not in str(raised.value)


class Store:
    """Answers, or does not."""

    def __init__(self) -> None:
        self.now, self.asked = 0.0, 0
        self.error: Exception | None = None
        self.breaker = Breaker(lambda: self.now)

    def ask(self) -> None:
        with contextlib.suppress(StoreUnavailable), self.breaker.guarding():
            self.asked += 1
            if self.error:
                raise self.error


def test_after_some_calls_without_an_answer_one_asks_now_and_then() -> None:
    store = Store()
    store.error = Unanswered()
    for _ in range(100):
        store.ask()
    assert store.asked == TRIES
    store.now += PAUSE_S
    with contextlib.suppress(Unanswered), store.breaker.guarding():
        store.ask()  # while another one tries
        raise Unanswered
    for _ in range(100):
        store.ask()
    assert store.asked == TRIES
    store.now += PAUSE_S
    store.error = None
    for _ in range(100):
        store.ask()
    assert store.asked == TRIES + 100


def test_an_error_is_an_answer() -> None:
    store = Store()
    store.error = StoreUnavailable("full")
    for _ in range(100):
        store.ask()
    assert store.asked == 100


def test_a_trial_that_is_given_up_lets_another_one_try() -> None:
    store = Store()
    store.error = Unanswered()
    for _ in range(TRIES):
        store.ask()
    store.now += PAUSE_S
    with pytest.raises(KeyboardInterrupt), store.breaker.guarding():
        raise KeyboardInterrupt
    store.error = None
    store.ask()
    assert store.asked == TRIES + 1 and not store.breaker.open
