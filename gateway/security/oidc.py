"""Bearer tokens of an OpenID Connect provider beside API keys: signed by its keys, for this audience, with scopes."""

import asyncio
import hashlib
import json
import logging
import threading
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import jwt
from pydantic import PositiveInt, TypeAdapter, ValidationError

from gateway.audience import Audience
from gateway.security.keys import ApiKey, Scope
from gateway.security.rates import Rate

if TYPE_CHECKING:
    from gateway.settings import Settings

logger = logging.getLogger(__name__)

# None that is symmetric: a public key must not be taken for a secret.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
LEEWAY_S = 30
TIMEOUT_S = 5.0
MAX_TOKEN = 16_384
AGAIN_AFTER_S = 30.0  # an unknown key makes us ask for new ones so often at most

_AUDIENCES = TypeAdapter(tuple[Audience, ...])
_CONCURRENCY = TypeAdapter(PositiveInt)


class OidcUnavailable(Exception):
    """The provider's keys cannot be had: nobody can be recognised by a token now."""


@dataclass
class Oidc:
    """Recognises tokens of one issuer; a holder is let through as the holder of a key with these rights would be.

    Args:
        issuer: its URL; its keys are found by `/.well-known/openid-configuration` unless `jwks_url` says where.
        audience: must be among the token's `aud`.
        scopes_claim: the claim with what the holder may do: a list, or words in one text (`scope`).
        scopes: which of our scopes a value of that claim gives; without, the values are our scopes' names.
        audiences_claim: the claim with the audiences as whom the holder chats, in the same forms; None: there is none.
        audiences: which audiences a value of that claim gives; without, the values are audiences.
        rate_claim: the claim with the holder's rate (`600/minute`); `rate` is for tokens without it.
        concurrency_claim: the claim with how many requests the holder may have under way; `concurrency` likewise.
    """

    issuer: str
    audience: str
    jwks_url: str | None = None
    scopes_claim: str = "scope"
    scopes: Mapping[str, Sequence[Scope]] = field(default_factory=dict)
    audiences_claim: str | None = None
    audiences: Mapping[str, Sequence[str]] = field(default_factory=dict)
    rate_claim: str | None = None
    rate: Rate | None = None
    concurrency_claim: str | None = None
    concurrency: int | None = None
    again_after_s: float = AGAIN_AFTER_S
    _client: jwt.PyJWKClient | None = field(default=None, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    async def recognise(self, token: str) -> ApiKey | None:
        """Whose token it is, as if it were an API key; None for one that is not good.

        Its id is `oidc-` and a digest of issuer and subject: the audit log names nobody.

        Raises:
            OidcUnavailable: the provider does not answer, and its keys are not known yet.
        """
        if len(token) > MAX_TOKEN:
            return None
        return await asyncio.to_thread(self._recognise, token)

    def _recognise(self, token: str) -> ApiKey | None:
        try:
            if jwt.get_unverified_header(token).get("alg") not in ALGORITHMS:
                return None
            key = self._keys().get_signing_key_from_jwt(token)
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=ALGORITHMS,
                audience=self.audience,
                issuer=self.issuer,
                leeway=LEEWAY_S,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except jwt.PyJWKClientConnectionError as error:
            raise OidcUnavailable(type(error).__name__) from None
        except (jwt.PyJWTError, ValueError, TypeError):
            return None
        try:
            return self._holder(claims)
        except (ValueError, TypeError):
            logger.warning("a token is refused: the rate or the concurrency in it cannot be read")
            return None

    def _holder(self, claims: Mapping[str, Any]) -> ApiKey:
        """Raises ValueError or TypeError where rate or concurrency cannot be read: as none they limit nothing."""
        identity = hashlib.sha256(json.dumps([self.issuer, claims["sub"]]).encode()).hexdigest()
        rate, concurrency = claims.get(self.rate_claim or ""), claims.get(self.concurrency_claim or "")
        return ApiKey(
            id=f"oidc-{identity[:24]}",
            name="oidc",
            digest="",
            scopes=self._granted(claims),
            audiences=self._audiences(claims),
            rate=self.rate if rate is None else Rate.parse(rate),
            concurrency=self.concurrency if concurrency is None else _CONCURRENCY.validate_python(concurrency),
        )

    def _granted(self, claims: Mapping[str, Any]) -> frozenset[Scope]:
        values = _listed(claims.get(self.scopes_claim))
        if self.scopes:
            return frozenset(scope for value in values for scope in self.scopes.get(value, ()))
        return frozenset(scope for scope in Scope if scope.value in values)

    def _audiences(self, claims: Mapping[str, Any]) -> tuple[str, ...]:
        """None where one of them cannot be read: without it the others might be told more."""
        claim = claims.get(self.audiences_claim or "")
        if self.audiences:
            return tuple(sorted({one for value in _listed(claim) for one in self.audiences.get(value, ())}))
        try:
            return _AUDIENCES.validate_python(claim.split() if isinstance(claim, str) else claim)
        except ValidationError:
            return ()

    def _keys(self) -> jwt.PyJWKClient:
        with self._lock:
            if self._client is None:
                url = self.jwks_url or self._discovered()
                self._client = jwt.PyJWKClient(url, timeout=TIMEOUT_S, cooldown_duration=self.again_after_s)
            return self._client

    def _discovered(self) -> str:
        where = f"{self.issuer.rstrip('/')}/.well-known/openid-configuration"
        try:
            with urllib.request.urlopen(where, timeout=TIMEOUT_S) as answer:  # noqa: S310 the operator's own setting
                found: dict[str, Any] = json.load(answer)
            if found["issuer"] != self.issuer:
                raise OidcUnavailable("the provider calls itself otherwise")
            return str(found["jwks_uri"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            logger.warning("the OpenID provider cannot be asked: %s", type(error).__name__)
            raise OidcUnavailable(type(error).__name__) from None


def _listed(claim: object) -> frozenset[str]:
    """The values of a claim: a list, or words in one text."""
    listed = claim.split() if isinstance(claim, str) else claim if isinstance(claim, list) else ()
    return frozenset(value for value in listed if isinstance(value, str))


def oidc(settings: "Settings") -> Oidc | None:
    """As the settings have it; None where they name no provider.

    Raises:
        ValueError: a scope that there is not.
    """
    if settings.oidc_issuer is None or settings.oidc_audience is None:
        return None
    scopes = {value: [Scope(name) for name in names] for value, names in settings.oidc_scopes.items()}
    return Oidc(
        settings.oidc_issuer,
        settings.oidc_audience,
        settings.oidc_jwks_url,
        settings.oidc_scopes_claim,
        scopes,
        settings.oidc_audiences_claim,
        settings.oidc_audiences,
        settings.oidc_rate_claim,
        Rate.parse(settings.oidc_rate) if settings.oidc_rate else None,
        settings.oidc_concurrency_claim,
        settings.oidc_concurrency,
    )
