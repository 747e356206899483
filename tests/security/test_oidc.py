"""Tokens of an OpenID provider: a real one on this machine, with real keys."""

import json
import threading
import time
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from fastapi import FastAPI, Request

from gateway.actor import actor
from gateway.security.gate import Gate
from gateway.security.keys import KeyRing, Scope
from gateway.security.oidc import Oidc, oidc
from gateway.settings import Settings

AUDIENCE = "unlearning-gateway"
POLICY = "/v1/policy"


class Provider:
    """Publishes its keys, signs tokens."""

    def __init__(self) -> None:
        self.keys: dict[str, Any] = {"one": rsa.generate_private_key(65537, 2048)}
        self.asked = 0
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.asked += self.path.endswith("jwks")
                found = provider.jwks() if self.path.endswith("jwks") else provider.configuration()
                body = json.dumps(found).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *arguments: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self.server.server_address[1]}/realm"

    def configuration(self) -> dict[str, str]:
        return {"issuer": self.issuer, "jwks_uri": f"{self.issuer}/jwks"}

    def jwks(self) -> dict[str, Any]:
        found = []
        for kid, key in self.keys.items():
            kind: Any = (
                jwt.algorithms.RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else jwt.algorithms.ECAlgorithm
            )
            found.append({**kind.to_jwk(key.public_key(), as_dict=True), "kid": kid, "use": "sig"})
        return {"keys": found}

    def token(self, kid: str = "one", key: Any = None, algorithm: str = "RS256", **claims: Any) -> str:
        now = int(time.time())
        stated = {
            "iss": self.issuer,
            "aud": AUDIENCE,
            "sub": "ada",
            "exp": now + 60,
            "scope": "chat forget:read",
            **claims,
        }
        kept = {name: value for name, value in stated.items() if value is not None}
        return jwt.encode(kept, key or self.keys[kid], algorithm=algorithm, headers={"kid": kid})


@pytest.fixture
def provider() -> Iterator[Provider]:
    provider = Provider()
    thread = threading.Thread(target=provider.server.serve_forever, args=(0.01,))
    thread.start()
    yield provider
    provider.server.shutdown()
    provider.server.server_close()
    thread.join()


def application(recogniser: Oidc) -> FastAPI:
    app, ring = FastAPI(), KeyRing()
    ring.replace(())

    @app.get(POLICY)
    async def policy(request: Request) -> dict[str, Any]:
        return {"principal": request.state.principal, "actor": actor.get(), "trusted": request.state.trusted}

    async def throttle(*_: object) -> float:
        return 0.0

    app.add_middleware(Gate, ring=ring, shared_throttle=throttle, used={}, oidc=recogniser)
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
    with pytest.raises(ValueError, match="both"):
        Settings(oidc_issuer="https://id.example.org")
