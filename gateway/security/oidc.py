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

from gateway.security.keys import ApiKey, Scope

if TYPE_CHECKING:
    from gateway.settings import Settings

logger = logging.getLogger(__name__)

# None that is symmetric: a public key must not be taken for a secret.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
LEEWAY_S = 30
TIMEOUT_S = 5.0
MAX_TOKEN = 16_384
AGAIN_AFTER_S = 30.0  # an unknown key makes us ask for new ones so often at most


class OidcUnavailable(Exception):
    """The provider's keys cannot be had: nobody can be recognised by a token now."""


@dataclass
class Oidc:
    """Recognises tokens of one issuer.

    Args:
        issuer: its URL; its keys are found by `/.well-known/openid-configuration` unless `jwks_url` says where.
        audience: must be among the token's `aud`.
        scopes_claim: the claim with what the holder may do: a list, or words in one text (`scope`).
        scopes: which of our scopes a value of that claim gives; without, the values are our scopes' names.
    """

    issuer: str
    audience: str
    jwks_url: str | None = None
    scopes_claim: str = "scope"
    scopes: Mapping[str, Sequence[Scope]] = field(default_factory=dict)
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
        identity = hashlib.sha256(json.dumps([self.issuer, claims["sub"]]).encode()).hexdigest()
        return ApiKey(id=f"oidc-{identity[:24]}", name="oidc", digest="", scopes=self._granted(claims))

    def _granted(self, claims: Mapping[str, Any]) -> frozenset[Scope]:
        given = claims.get(self.scopes_claim, ())
        listed = given.split() if isinstance(given, str) else given if isinstance(given, list) else ()
        values = {value for value in listed if isinstance(value, str)}
        if self.scopes:
            return frozenset(scope for value in values for scope in self.scopes.get(value, ()))
        return frozenset(scope for scope in Scope if scope.value in values)

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


def oidc(settings: "Settings") -> Oidc | None:
    """As the settings have it; None where they name no provider.

    Raises:
        ValueError: a scope that there is not.
    """
    if settings.oidc_issuer is None or settings.oidc_audience is None:
        return None
    scopes = {value: [Scope(name) for name in names] for value, names in settings.oidc_scopes.items()}
    return Oidc(
        settings.oidc_issuer, settings.oidc_audience, settings.oidc_jwks_url, settings.oidc_scopes_claim, scopes
    )
