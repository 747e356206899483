"""Which of vLLM's routes are served: an allow-list, so that an upgrade cannot add an unguarded one."""

from fastapi import FastAPI
from starlette.routing import BaseRoute

ALLOWED = frozenset(
    {
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/responses",
        "/v1/messages",
        "/v1/messages/count_tokens",
        "/v1/models",
        "/tokenize",
        "/detokenize",
        "/health",
        "/ping",
        "/version",
        "/load",
        "/metrics",
        "/openapi.json",
        "/docs",
    }
)


def prune(app: FastAPI) -> list[str]:
    """Remove every route that is not on the allow-list; to be called before our own routers are included.

    Returns:
        the paths removed. A route whose path cannot be read is removed, too.
    """
    removed = [route for route in app.router.routes if _path(route) not in ALLOWED]
    app.router.routes[:] = [route for route in app.router.routes if _path(route) in ALLOWED]
    return sorted({_path(route) for route in removed})


def _path(route: BaseRoute) -> str:
    return getattr(route, "path", repr(type(route)))
