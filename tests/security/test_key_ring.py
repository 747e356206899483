"""Which tokens are recognised."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.security.keys import ApiKey, KeyRing, Scope, new_token, split_token


def stored(token: str, **fields: object) -> ApiKey:
    parts = split_token(token)
    assert parts is not None
    return ApiKey(id=parts[0], name="test", digest=parts[1], scopes=frozenset({Scope.CHAT}), **fields)  # type: ignore[arg-type]


def test_a_key_is_recognised_and_nothing_like_it() -> None:
    token, other = new_token(), new_token()
    ring = KeyRing()
    assert not ring.loaded and ring.recognise(token) is None
    ring.replace([stored(token)])
    assert ring.loaded
    key = ring.recognise(token)
    assert key is not None and token.split("_")[1] == key.id
    id_, secret = token.split("_")[1:]
    wrong = f"{secret[:-1]}{'0' if secret[-1] != '0' else '1'}"
    for bad in (other, f"ug_{id_}_{wrong}", f"ug_{id_}_{key.digest}", token + "0", token.upper(), f"{token} "):
        assert ring.recognise(bad) is None
    assert token.split("_")[2] not in repr(key) and key.digest not in repr(key)


@given(st.text())
def test_any_text_may_be_sent(text: str) -> None:
    ring = KeyRing()
    ring.replace([stored(new_token())])
    assert ring.recognise(text) is None
    assert ring.recognise(f"ug_{text}") is None


def test_expiry() -> None:
    now = [1000.0]
    token = new_token()
    ring = KeyRing(clock=lambda: now[0])
    ring.replace([stored(token, expires=1_001_000)])
    assert ring.recognise(token)
    now[0] = 1001.0
    assert ring.recognise(token) is None


def test_a_revocation_outlives_a_store_that_forgot_it() -> None:
    token, lasting = new_token(), new_token()
    ring = KeyRing()
    ring.replace([stored(token), stored(lasting)])
    ring.replace([stored(token, revoked=5), stored(lasting)])
    assert ring.recognise(token) is None
    ring.replace([stored(token), stored(lasting)])
    assert ring.recognise(token) is None and ring.recognise(lasting)


@pytest.mark.parametrize("gone", [0, 1])
def test_a_key_that_is_listed_no_more_is_unknown(gone: int) -> None:
    tokens = [new_token(), new_token()]
    ring = KeyRing()
    ring.replace(map(stored, tokens))
    ring.replace([stored(tokens[1 - gone])])
    assert ring.recognise(tokens[gone]) is None and ring.recognise(tokens[1 - gone])
