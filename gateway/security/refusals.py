"""What is said to those who may not pass, in the style of the route they asked for."""

import math
from dataclasses import dataclass, field

from starlette.responses import JSONResponse

from gateway.forget.problems import Problem
from gateway.security.access import is_chat


@dataclass(frozen=True)
class Refusal:
    """An answer to be given instead of passing a request on."""

    status: int
    code: str
    detail: str
    kind: str
    headers: dict[str, str] = field(default_factory=dict)

    def response(self, path: str) -> JSONResponse:
        """OpenAI's error on its routes, Anthropic's on its own, problem+json elsewhere."""
        if path.startswith("/v1/messages"):
            content = {"type": "error", "error": {"type": self.kind, "message": self.detail}}
            return JSONResponse(content, self.status, headers=self.headers)
        if is_chat(path):
            error = {"message": self.detail, "type": self.kind, "param": None, "code": self.code}
            return JSONResponse({"error": error}, self.status, headers=self.headers)
        response = Problem(self.status, self.code, self.code.replace("_", " ").capitalize(), self.detail).response()
        response.headers.update(self.headers)
        return response


_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="unlearning-gateway"'}
MISSING = Refusal(
    401, "missing_api_key", "Send an API key: Authorization: Bearer ug_...", "authentication_error", _CHALLENGE
)
INVALID = Refusal(
    401,
    "invalid_api_key",
    "This API key (or token) is unknown, revoked or expired: ask whoever runs this gateway for another.",
    "authentication_error",
    _CHALLENGE,
)
NOT_LOADED = Refusal(
    503, "keys_not_loaded", "The API keys are not loaded yet; try again.", "overloaded_error", {"Retry-After": "2"}
)
PROVIDER_AWAY = Refusal(
    503,
    "provider_unavailable",
    "The OpenID provider does not answer; try again.",
    "overloaded_error",
    {"Retry-After": "2"},
)
STORE_AWAY = Refusal(
    503, "store_unavailable", "The store does not answer; try again.", "overloaded_error", {"Retry-After": "2"}
)


def out_of_scope(needed: str) -> Refusal:
    """The key is good, but not for this."""
    return Refusal(403, "insufficient_scope", f"This needs an API key with the scope {needed}.", "permission_error")


def too_often(wait_s: float) -> Refusal:
    """The key's rate is used up."""
    headers = {"Retry-After": str(math.ceil(wait_s))}
    return Refusal(
        429,
        "rate_limit_exceeded",
        "This API key asks too often: wait for as long as Retry-After says.",
        "rate_limit_error",
        headers,
    )


def too_many_at_once(limit: int) -> Refusal:
    """The key has as many requests under way as it may."""
    detail = f"This API key may have {limit} requests under way at a time: wait for one to end."
    return Refusal(429, "concurrency_limit_exceeded", detail, "rate_limit_error", {"Retry-After": "1"})
