"""The gate in front of every route: who asks, and may they? Pure ASGI: no body is read, no answer held back."""

import time
from collections import Counter
from collections.abc import Awaitable, Callable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.actor import acting
from gateway.audience import audiences
from gateway.forget.errors import StoreUnavailable
from gateway.security import refusals
from gateway.security.access import accepted_scopes, is_chat
from gateway.security.keys import ApiKey, KeyRing
from gateway.security.keys import Scope as KeyScope
from gateway.security.oidc import Oidc, OidcUnavailable
from gateway.security.rates import LocalThrottle, Rate
from gateway.security.refusals import Refusal

SharedThrottle = Callable[[str, Rate], Awaitable[float]]


class Gate:
    """ASGI middleware; `request.state` has `principal`, the id of the key that was let through, and `trusted`.

    Args:
        ring: the keys as this replica knows them.
        shared_throttle: counts a request of a key for all replicas; seconds to wait if it came too early, else 0.
        oidc: recognises what is no key of ours.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        ring: KeyRing,
        shared_throttle: SharedThrottle,
        used: dict[str, float],
        oidc: Oidc | None = None,
    ) -> None:
        self._app = app
        self._ring = ring
        self._shared_throttle = shared_throttle
        self._local_throttle = LocalThrottle()
        self._under_way: Counter[str] = Counter()
        self._used = used
        self._oidc = oidc

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if _is_preflight(scope):  # has no key; the CORS middleware answers it, no route does
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # no route of ours is a web socket
            await send({"type": "websocket.close", "code": 1008})
            return
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        accepted = accepted_scopes(scope["method"], path)
        if accepted is None:
            await self._app(scope, receive, send)
            return
        admitted = await self._admit(scope, path, accepted)
        if isinstance(admitted, Refusal):
            await admitted.response(path)(scope, receive, send)
        else:
            await self._pass(admitted, scope, receive, send)

    async def _admit(self, scope: Scope, path: str, accepted: frozenset[KeyScope]) -> ApiKey | Refusal:
        key = await self._recognise(scope)
        if isinstance(key, Refusal):
            return key
        if not accepted & key.scopes:
            return refusals.out_of_scope(min(accepted))
        if key.concurrency is not None and self._under_way[key.id] >= key.concurrency:
            return refusals.too_many_at_once(key.concurrency)
        return await self._throttled(key, path) or key

    async def _recognise(self, scope: Scope) -> ApiKey | Refusal:
        if not self._ring.loaded:
            return refusals.NOT_LOADED
        headers = Headers(scope=scope)
        kind, _, token = headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer":
            token = headers.get("x-api-key", "")  # Anthropic's clients
        if not token:
            return refusals.MISSING
        if self._oidc is not None and not token.startswith("ug_"):
            try:
                return await self._oidc.recognise(token.strip()) or refusals.INVALID
            except OidcUnavailable:
                return refusals.PROVIDER_AWAY
        return self._ring.recognise(token.strip()) or refusals.INVALID

    async def _throttled(self, key: ApiKey, path: str) -> Refusal | None:
        if key.rate is None:
            return None
        if is_chat(path):
            wait_s = self._local_throttle.wait_s(key.id, key.rate)
        else:
            try:
                wait_s = await self._shared_throttle(key.id, key.rate)
            except StoreUnavailable:
                return refusals.STORE_AWAY
        return refusals.too_often(wait_s) if wait_s else None

    async def _pass(self, key: ApiKey, scope: Scope, receive: Receive, send: Send) -> None:
        if not key.id.startswith("oidc-"):  # the store knows no such key
            self._used[key.id] = time.time()
        trusted = key.trusted or KeyScope.REVIEW in key.scopes
        scope.setdefault("state", {}).update(principal=key.id, trusted=trusted)
        self._under_way[key.id] += 1
        token = audiences.set(frozenset(key.audiences))
        try:
            with acting(key.id):
                await self._app(scope, receive, send)
        finally:
            audiences.reset(token)
            self._under_way[key.id] -= 1
            if not self._under_way[key.id]:  # holders of tokens are not a known few
                del self._under_way[key.id]


def _is_preflight(scope: Scope) -> bool:
    """A browser's question before the request itself (https://fetch.spec.whatwg.org/#cors-preflight-request)."""
    if scope["type"] != "http" or scope["method"] != "OPTIONS":
        return False
    headers = Headers(scope=scope)
    return "origin" in headers and "access-control-request-method" in headers
