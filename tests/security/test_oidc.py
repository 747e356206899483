"""Tokens of an OpenID provider: a real one on this machine, with real keys."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from fastapi import FastAPI, Request

from gateway.actor import actor
from gateway.audience import audiences
from gateway.security.gate import Gate
from gateway.security.key_store import KeyStore
from gateway.security.keys import ApiKey, KeyRing, Scope
from gateway.security.oidc import Oidc, oidc
from gateway.security.rates import Rate
from gateway.settings import Settings
from tests.security.provider import AUDIENCE, Provider, running_provider

POLICY, CHAT = "/v1/policy", "/v1/chat/completions"


@pytest.fixture
def provider() -> Iterator[Provider]:
    with running_provider() as provider:
        yield provider


def application(recogniser: Oidc, throttle: Any = None) -> FastAPI:
    app, ring = FastAPI(), KeyRing()
    ring.replace(())

    @app.get(POLICY)
    async def policy(request: Request) -> dict[str, Any]:
        return {"principal": request.state.principal, "actor": actor.get(), "trusted": request.state.trusted}

    @app.post(CHAT)
    async def chat() -> list[str]:
        return sorted(audiences.get())

    async def unlimited(*_: object) -> float:
        return 0.0

    app.add_middleware(Gate, ring=ring, shared_throttle=throttle or unlimited, used={}, oidc=recogniser)
    return app


@pytest.fixture
async def ask(provider: Provider) -> AsyncIterator[Any]:
    transport = httpx.ASGITransport(application(Oidc(provider.issuer, AUDIENCE, again_after_s=0.0)))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as http:

        async def ask(token: str) -> httpx.Response:
            return await http.get(POLICY, headers={"Authorization": f"Bearer {token}"})

        yield ask


async def test_a_good_token(provider: Provider, ask: Any) -> None:
    answers = [await ask(provider.token()) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200] * 3
    said = answers[0].json()
    assert (
        said["principal"] == said["actor"] and said["principal"].startswith("oidc-") and "ada" not in said["principal"]
    )
    assert (await ask(provider.token(sub="bo"))).json()["principal"] != said["principal"]
    assert provider.asked == 1, "the keys are kept"
    assert not said["trusted"] and (await ask(provider.token(scope=["forget:review", "forget:read"]))).json()["trusted"]


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "somebody-else"},
        {"aud": None},
        {"iss": "https://elsewhere.example.org"},
        {"iss": None},
        {"exp": 1_700_000_000},
        {"exp": None},
        {"nbf": 4_000_000_000},
        {"sub": None},
        {"sub": 7},
    ],
)
async def test_tokens_that_are_not_for_us_or_not_now(provider: Provider, ask: Any, claims: dict[str, Any]) -> None:
    answer = await ask(provider.token(**claims))
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_api_key")


async def test_forged_tokens(provider: Provider, ask: Any) -> None:
    good = provider.token()
    head, body, _ = good.split(".")
    forged = [
        provider.token(key=rsa.generate_private_key(65537, 2048)),
        f"{head}.{body}.",
        f"{good[:-4]}AAAA",
        jwt.encode({"sub": "ada"}, None, algorithm="none"),
        jwt.api_jws.encode(jwt.utils.base64url_decode(body), b"x" * 32, algorithm="HS256", headers={"kid": "one"}),
        provider.token(kid="one", key=ec.generate_private_key(ec.SECP256R1()), algorithm="ES256"),
        "a.b.c",
        "x" * 20_000,
    ]
    for token in forged:
        assert (await ask(token)).status_code == 401, token[:40]
    assert await Oidc(provider.issuer, AUDIENCE).recognise("é.é.é") is None


async def test_scopes(provider: Provider, ask: Any) -> None:
    for scope in ("chat", "", None, 7, ["metrics", {"forget:read": 1}], {"forget:read": 1}):
        assert (await ask(provider.token(scope=scope))).status_code == 403, scope
    mapped = Oidc(provider.issuer, AUDIENCE, None, "groups", {"privacy-desk": [Scope.READ]})
    assert (await mapped.recognise(provider.token(groups=["privacy-desk", "x"]))).scopes == {Scope.READ}  # type: ignore[union-attr]
    assert (await mapped.recognise(provider.token(groups=["forget:admin"]))).scopes == frozenset()  # type: ignore[union-attr]


LIMITED = {
    "audiences_claim": "may_see",
    "rate_claim": "rate",
    "rate": Rate(3, "hour"),
    "concurrency_claim": "at_once",
    "concurrency": 2,
}


async def recognised(provider: Provider, given: dict[str, Any] | None = None, **claims: Any) -> ApiKey | None:
    return await Oidc(provider.issuer, AUDIENCE, **(LIMITED if given is None else given)).recognise(
        provider.token(**claims)
    )


async def test_what_a_token_says_of_its_holder(provider: Provider) -> None:
    holder = await recognised(provider, may_see=["staff", "public"], rate="2/minute", at_once="5")
    assert holder is not None
    assert (holder.audiences, holder.rate, holder.concurrency) == (("staff", "public"), Rate(2, "minute"), 5)
    silent = await recognised(provider)
    assert silent is not None and (silent.audiences, silent.rate, silent.concurrency) == ((), Rate(3, "hour"), 2)
    assert (words := await recognised(provider, may_see="staff public")) and words.audiences == ("staff", "public")
    unasked = await recognised(provider, {}, may_see=["staff"], rate="2/minute", at_once=5)
    assert unasked is not None and (unasked.audiences, unasked.rate, unasked.concurrency) == ((), None, None)


@pytest.mark.parametrize("claim", [["staff", "No such!"], ["staff", 7], 7, {"staff": 1}, [["staff"]]])
async def test_audiences_that_cannot_be_read_are_none_at_all(provider: Provider, claim: Any) -> None:
    """Without the one that cannot be read a holder might be told what is withheld from it."""
    holder = await recognised(provider, may_see=claim)
    assert holder is not None and holder.audiences == ()


async def test_groups_become_audiences(provider: Provider) -> None:
    mapped = {"audiences_claim": "groups", "audiences": {"desk": ["staff", "partners"], "sales": ["staff"]}}
    holder = await recognised(provider, mapped, groups=["desk", "sales", "staff", 7])
    assert holder is not None and holder.audiences == ("partners", "staff")


@pytest.mark.parametrize(
    "claims", [{"rate": "much"}, {"rate": 600}, {"rate": ""}, {"at_once": 0}, {"at_once": "many"}, {"at_once": [1]}]
)
async def test_limits_that_cannot_be_read_are_no_licence(provider: Provider, claims: dict[str, Any]) -> None:
    assert await recognised(provider, **claims) is None


async def test_holders_are_held_to_them(provider: Provider, keys: KeyStore) -> None:
    app = application(Oidc(provider.issuer, AUDIENCE, **LIMITED), keys.throttle)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as http:

        async def ask(method: str, path: str, **claims: Any) -> httpx.Response:
            return await http.request(
                method, path, headers={"Authorization": f"Bearer {provider.token(may_see=['staff'], **claims)}"}
            )

        assert (await ask("POST", CHAT)).json() == ["staff"]
        for method, path in (("GET", POLICY), ("POST", CHAT)):
            answers = [await ask(method, path, sub="bo", rate="2/hour") for _ in range(3)]
            assert [answer.status_code for answer in answers] == [200, 200, 429]
            assert 0 < int(answers[-1].headers["retry-after"]) <= 1800
        assert (await ask("GET", POLICY, sub="cy")).status_code == 200, "each holder has its own"


async def test_a_rotated_key(provider: Provider, ask: Any) -> None:
    assert (await ask(provider.token())).status_code == 200
    provider.keys = {"two": ec.generate_private_key(ec.SECP256R1())}
    assert (await ask(provider.token("two", algorithm="ES256"))).status_code == 200
    assert (await ask(provider.token("three", key=provider.keys["two"], algorithm="ES256"))).status_code == 401


async def test_unknown_keys_do_not_make_us_ask_for_ever(provider: Provider) -> None:
    patient = Oidc(provider.issuer, AUDIENCE)
    assert await patient.recognise(provider.token()) is not None
    for at in range(20):
        assert await patient.recognise(provider.token(f"unknown{at}", key=provider.keys["one"])) is None
    assert provider.asked == 1


async def test_a_provider_that_is_away(provider: Provider) -> None:
    away = Oidc("http://127.0.0.1:1/realm", AUDIENCE)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(application(away)), base_url="http://gateway") as http:
        answer = await http.get(POLICY, headers={"Authorization": f"Bearer {provider.token()}"})
        assert (answer.status_code, answer.json()["code"]) == (503, "provider_unavailable")
        assert "retry-after" in answer.headers
        unknown_key = await http.get(POLICY, headers={"Authorization": f"Bearer ug_{'0' * 12}_{'0' * 64}"})
        assert unknown_key.status_code == 401, "API keys go on"


def test_settings() -> None:
    assert oidc(Settings()) is None
    made = oidc(Settings(oidc_issuer="https://id.example.org", oidc_audience="us", oidc_scopes={"a": ["chat"]}))
    assert made is not None and made.scopes == {"a": [Scope.CHAT]}
    limits = {"oidc_audiences_claim": "groups", "oidc_audiences": {"a": ["staff"]}, "oidc_rate": "2/hour"}
    given = Settings(oidc_issuer="https://id.example.org", oidc_audience="us", oidc_concurrency=3, **limits)
    made = oidc(given)
    assert made is not None and (made.audiences, made.rate, made.concurrency) == ({"a": ["staff"]}, Rate(2, "hour"), 3)
    for wrong in ({"oidc_rate": "often"}, {"oidc_concurrency": 0}, {"oidc_audiences": {"a": ["Not one"]}}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Settings(**wrong)
    with pytest.raises(ValueError, match="both"):
        Settings(oidc_issuer="https://id.example.org")
