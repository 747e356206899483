"""Routes that answer every error as problem+json, and read no body beyond a bound."""

from collections.abc import Callable, Coroutine, Mapping
from typing import Annotated, Any

from fastapi import Path, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from gateway.forget.errors import ForgetError
from gateway.forget.problems import (
    MEDIA_TYPE,
    Problem,
    ProblemDetails,
    from_forget_error,
    from_validation_error,
    malformed_json,
)

MAX_BODY_BYTES = 256 * 1024

PROBLEM: Mapping[str, Any] = {
    "description": "Problem details (RFC 9457)",
    "content": {MEDIA_TYPE: {"schema": ProblemDetails.model_json_schema()}},
}
RequestId = Annotated[
    str, Path(alias="id", pattern=r"^[0-9a-f-]{36}$", examples=["5d0d7c3e-3f0a-4f0e-9a37-0f1d2c3b4a59"])
]


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that answers these statuses with a problem."""
    return {status: dict(PROBLEM) for status in statuses}


class _LimitedRequest(Request):
    """Stops reading a body that is too large."""

    async def body(self) -> bytes:
        if not hasattr(self, "_limited"):
            self._limited = b""
            async for chunk in self.stream():
                self._limited += chunk
                if len(self._limited) > MAX_BODY_BYTES:
                    detail = (
                        f"Send at most {MAX_BODY_BYTES} bytes: of a long work the telling parts, or several requests."
                    )
                    raise Problem(413, "body_too_large", "Body too large", detail)
        return self._limited


class ProblemRoute(APIRoute):
    """Answers every error of these routes as problem+json, whatever the app around them does with errors."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, with its errors translated."""
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                if self.body_field is not None:
                    _require_json(request)
                    request = _LimitedRequest(request.scope, request.receive)
                    await request.body()
                return await handler(request)
            except Problem as problem:
                return self.answer(problem)
            except ForgetError as error:
                return self.answer(from_forget_error(error))
            except RequestValidationError as error:
                return self.answer(from_validation_error(error))
            except HTTPException as error:
                if error.status_code != 400:
                    raise
                return self.answer(malformed_json())  # FastAPI's answer to a body that it could not parse

        return handle

    def answer(self, problem: Problem) -> Response:
        """The answer for an error."""
        return problem.response()


def _require_json(request: Request) -> None:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json" and not media_type.endswith("+json"):
        raise Problem(415, "unsupported_media_type", "Unsupported media type", "Send Content-Type: application/json.")
