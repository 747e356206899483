"""Errors that no route answers itself, in the style of the route that was asked for: no such path, wrong method, wrong
fields of a Messages request."""

import json
from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from gateway.security.refusals import Refusal


def answer_in_style(app: FastAPI) -> None:
    """From now on `app` answers these as its routes answer their own errors."""
    told_by_vllm = app.exception_handlers[RequestValidationError]

    async def invalid(request: Request, error: Exception) -> Response:
        answer: Response = await told_by_vllm(request, error)  # type: ignore[misc]  # it is a coroutine
        if not request.url.path.startswith("/v1/messages"):
            return answer
        message = json.loads(bytes(answer.body))["error"]["message"]
        return Refusal(answer.status_code, "", message, "invalid_request_error").response(request.url.path)

    app.add_exception_handler(HTTPStatus.NOT_FOUND, _no_route)
    app.add_exception_handler(HTTPStatus.METHOD_NOT_ALLOWED, _no_route)
    app.add_exception_handler(RequestValidationError, invalid)


async def _no_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 for the type checker
    status, headers = error.status_code, dict(error.headers or {})
    if status == HTTPStatus.NOT_FOUND:
        refusal = Refusal(
            status, "not_found", "There is no such route: /openapi.json lists all.", "not_found_error", headers
        )
    else:
        detail = f"This route does not answer {request.method}: see the header Allow."
        refusal = Refusal(status, "method_not_allowed", detail, "invalid_request_error", headers)
    return refusal.response(request.url.path)
