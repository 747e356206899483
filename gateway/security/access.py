"""Which scope a route needs. What is not listed needs `forget:admin`: a new route cannot be open by mistake."""

import re

from gateway.forget.resource import PATH
from gateway.security.keys import Scope
from gateway.serving.fields import ALLOWED_FIELDS

OPEN = frozenset(
    {"/health", "/ready", "/ping", "/.well-known/jwks.json", "/opendsr/v2/discovery", "/opendsr/v2/certificate.pem"}
)
CHAT = frozenset({*ALLOWED_FIELDS, "/v1/models"})
_ANY = frozenset(Scope)
_FIXED: dict[tuple[str, str], Scope] = {
    ("POST", PATH): Scope.SUBMIT,
    ("POST", f"{PATH}/dry-run"): Scope.SUBMIT,
    ("POST", f"{PATH}/search"): Scope.REVEAL,
    ("GET", PATH): Scope.READ,
    ("GET", "/v1/policy"): Scope.READ,
    ("GET", "/v1/callbacks"): Scope.READ,
    ("POST", "/opendsr/v2/requests"): Scope.SUBMIT,
    ("GET", "/v1/audit"): Scope.AUDIT,
    ("GET", "/v1/audit/head"): Scope.AUDIT,
    ("GET", "/metrics"): Scope.METRICS,
    ("GET", "/metrics/"): Scope.METRICS,
    ("GET", "/load"): Scope.METRICS,
    ("GET", "/version"): Scope.METRICS,
}
_OPENDSR_REQUEST = re.compile(r"/opendsr/v2/requests/[0-9a-f-]{36}")
_ONE_REQUEST = re.compile(rf"{PATH}/[0-9a-f-]{{36}}(/[a-z-]+)?")


def is_chat(path: str) -> bool:
    """Whether it is one of the OpenAI and Anthropic routes, for `chat` keys and with OpenAI's errors."""
    return path in CHAT or path.startswith("/v1/models/")


def accepted_scopes(method: str, path: str) -> frozenset[Scope] | None:
    """Any of these scopes lets a key through; None: the route is open to everyone."""
    method = "GET" if method == "HEAD" else method
    if path in OPEN:
        return None
    if is_chat(path):
        return frozenset({Scope.CHAT})
    if path in ("/openapi.json", "/docs"):
        return _ANY
    if (method, path) in _FIXED:
        return frozenset({_FIXED[method, path]})
    if _ONE_REQUEST.fullmatch(path):
        return frozenset({Scope.READ if method == "GET" else Scope.REVIEW})
    if _OPENDSR_REQUEST.fullmatch(path):  # of the controller's own: who may submit may cancel
        return frozenset({Scope.READ if method == "GET" else Scope.SUBMIT})
    return frozenset({Scope.ADMIN})
