"""Which of vLLM's routes are served, an allow-list, so that an upgrade cannot add an unguarded one; what it lacks."""

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.routing import BaseRoute

from gateway.security.refusals import Refusal

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


def model_router() -> APIRouter:
    """`GET /v1/models/{model}`, which OpenAI's clients ask for and vLLM has not."""
    router = APIRouter()

    @router.get("/v1/models/{model:path}")
    async def show_model(model: str, request: Request) -> JSONResponse:
        """One model of the list."""
        served = await request.app.state.openai_serving_models.show_available_models()
        for card in served.data:
            if card.id == model:
                return JSONResponse(card.model_dump())
        unknown = f"The model `{model}` does not exist: GET /v1/models lists what is served."
        return Refusal(404, "model_not_found", unknown, "NotFoundError").response(request.url.path)

    return router


def _path(route: BaseRoute) -> str:
    return getattr(route, "path", repr(type(route)))
