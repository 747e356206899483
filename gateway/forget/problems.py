"""Errors as `application/problem+json` (RFC 9457) with stable codes. No answer quotes a subject."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from gateway.forget.errors import (
    ForgetError,
    IdempotencyConflict,
    IllegalTransition,
    InvalidCursor,
    KeyNotFound,
    RequestNotFound,
    RevisionMismatch,
    SealError,
    StoreUnavailable,
)
from gateway.forget.model import TRANSITIONS, ForgetRequestIn, State
from gateway.forget.subject import Evidence, Example, Subject

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 2


class ProblemDetails(BaseModel):
    """RFC 9457."""

    type: str
    title: str
    status: int
    code: str = Field(description="stable: programs may rely on it")
    detail: str
    errors: list[dict[str, str]] | None = Field(None, description="per wrong field: `field` and `message`")


class Problem(Exception):
    """An error that a client is told about."""

    def __init__(
        self, status: int, code: str, title: str, detail: str, *, errors: Sequence[Mapping[str, str]] | None = None
    ) -> None:
        super().__init__(code)
        self.details = ProblemDetails(
            type=f"urn:unlearning-gateway:problem:{code}",
            title=title,
            status=status,
            code=code,
            detail=detail,
            errors=[dict(error) for error in errors] if errors else None,
        )

    def response(self) -> JSONResponse:
        """The answer."""
        headers = {"Retry-After": str(RETRY_AFTER_S)} if self.details.status == 503 else None
        content = self.details.model_dump(exclude_none=True)
        return JSONResponse(content, self.details.status, headers=headers, media_type=MEDIA_TYPE)


def from_forget_error(error: ForgetError) -> Problem:
    """The problem for an error of this room."""
    match error:
        case StoreUnavailable() | SealError():
            return Problem(
                503,
                "store_unavailable",
                "Store unavailable",
                "Requests cannot be stored safely at the moment. Nothing was acknowledged: send it again, with the "
                "same Idempotency-Key if you used one.",
            )
        case RequestNotFound():
            return Problem(
                404, "not_found", "No such forget request", "Check the id; GET /v1/forget-requests lists all."
            )
        case KeyNotFound():
            return Problem(404, "not_found", "No such API key", "Check the id; GET /v1/keys lists all.")
        case IllegalTransition():
            return Problem(
                409,
                "illegal_transition",
                "Not possible in this state",
                f"The request is {error.state}. {_possible(State(error.state))}",
            )
        case RevisionMismatch():
            return Problem(
                412, "revision_mismatch", "The request has changed", "GET it again and send its ETag in If-Match."
            )
        case IdempotencyConflict():
            return Problem(
                409,
                "idempotency_conflict",
                "Idempotency-Key was used before",
                "The same Idempotency-Key came with another body. Use a new key for a new request.",
            )
        case InvalidCursor():
            return Problem(400, "invalid_cursor", "Invalid cursor", "Use the next_cursor of the page before, or none.")
    raise error


def _possible(state: State) -> str:
    """What can be done with a request in a state."""
    next_ = TRANSITIONS[state]
    acts = {
        "approve": state is State.AWAITING_REVIEW,
        "reject": state is State.AWAITING_REVIEW,
        "release": state is State.ON_HOLD,
        "retry": state is State.FAILED,
        "hold": State.ON_HOLD in next_,
        "withdraw": State.WITHDRAWING in next_,
    }
    if possible := [act for act, allowed in acts.items() if allowed]:
        return f"What can be done with it: {', '.join(possible)}."
    return "Nothing more can be done with it: to forget the subject, POST a new request."


_HIDDEN = ("subject", "evidence")
_PLAUSIBLE_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,39}")

_ADVICE: Mapping[str, str] = {
    "missing": "required",
    "extra_forbidden": "unknown field: remove it",
    "string_type": "must be a string",
    "string_too_short": "must not be empty",
    "string_unicode": "must be valid Unicode text",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "json_type": "must be JSON",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "datetime_type": "must be a time like 2026-10-02T15:00:00Z",
    "datetime_parsing": "must be a time like 2026-10-02T15:00:00Z",
    "datetime_from_date_parsing": "must be a time like 2026-10-02T15:00:00Z",
    "timezone_aware": "must be a time with its zone, like 2026-10-02T15:00:00Z",
}
_FORMS: Mapping[str, str] = {
    "languages": "must be a language code like en or zh-Hans",
    "audiences": "must be lower-case letters, digits, - and _",
    "status_callback_urls": "must be a URL that begins with https://",
    "rate": "must be written like 600/minute",
    "id": "must be an id as this API gave it",
}


def from_validation_error(error: RequestValidationError) -> Problem:
    """422 with one entry per wrong field; 400 if the body is no JSON at all. Values are never repeated."""
    details = error.errors()
    if any(detail["type"] == "json_invalid" for detail in details):
        return malformed_json()
    return invalid_fields([(_field(detail["loc"]), _message(detail)) for detail in details])


def invalid_fields(wrong: Sequence[tuple[str, str]]) -> Problem:
    """422 about these fields, each with what is wrong with it."""
    fields = ", ".join(dict.fromkeys(field for field, _ in wrong))
    errors = [{"field": field, "message": message} for field, message in wrong]
    return Problem(422, "validation_failed", "Invalid request", f"Correct these fields: {fields}.", errors=errors)


def malformed_json() -> Problem:
    """400."""
    return Problem(400, "malformed_json", "Malformed JSON", "Send a body that is valid JSON in UTF-8.")


def _field(location: Sequence[str | int]) -> str:
    """`subject.aliases[3]`; names that the client invented are shown only outside of the subject, and if plausible."""
    known = {name for model in (Subject, Evidence, Example, ForgetRequestIn) for name in model.model_fields}
    where, *parts = location
    path = "" if where == "body" else str(where)
    for part in parts:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part in known or (not path.startswith(_HIDDEN) and _PLAUSIBLE_FIELD.fullmatch(part)):
            path += f".{part}" if path else part
        else:
            path += ".?" if path else "?"
    return path or "body"


def _message(detail: Mapping[str, Any]) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    match kind:
        case "string_pattern_mismatch":
            field = next(part for part in reversed(detail["loc"]) if isinstance(part, str))
            return _FORMS.get(field, "has not the form that /openapi.json gives")
        case "greater_than_equal":
            return f"must be at least {context['ge']}"
        case "less_than_equal":
            return f"must be at most {context['le']}"
        case "too_short":
            return f"must have at least {context['min_length']} entries"
        case "string_too_long":
            return f"must have at most {context['max_length']} characters"
        case "too_long":
            return f"must have at most {context['max_length']} entries"
        case "literal_error" | "enum":
            return f"must be one of {context['expected']}"
        case "value_error":
            return str(context["error"])
        case "extra_forbidden" if detail["loc"][1:2] == ("subject",):
            return f"unknown field: a subject has {', '.join(Subject.model_fields)}"
    return _ADVICE.get(kind, f"invalid ({kind})")
