"""The forget-request API under /v1."""

import json
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import StreamingResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from gateway.forget.dry_run import DryRuns
from gateway.forget.errors import ForgetError, StoreUnavailable
from gateway.forget.forecast import DryRun
from gateway.forget.model import Decision, ForgetRequest, ForgetRequestIn, ForgetRequestPage, Kind, PolicyState, State
from gateway.forget.problems import (
    MEDIA_TYPE,
    Problem,
    ProblemDetails,
    from_forget_error,
    from_validation_error,
    malformed_json,
)
from gateway.forget.resource import PATH
from gateway.forget.store import ANONYMOUS, Event, Store

logger = logging.getLogger(__name__)

MAX_BODY_BYTES = 64 * 1024
ENFORCED_WITHIN_S = 1.0  # the answer to a POST waits so long for the guard, unless the client says otherwise
MAX_WAIT_S = 60.0
KEEP_ALIVE_EVERY = 10  # reads of a second without an event

Enqueue = Callable[[str, str], Awaitable[None]]

_SETTLED = frozenset({State.REJECTED, State.ERASED, State.FAILED, State.WITHDRAWN})
_WAIT = re.compile(r"(?:^|[,;\s])wait=(\d{1,4})(?:$|[,;\s])")
_EVENT_ID = re.compile(r"\d{1,19}-\d{1,19}")


class _LimitedRequest(Request):
    """Stops reading a body that is too large."""

    async def body(self) -> bytes:
        if not hasattr(self, "_limited"):
            self._limited = b""
            async for chunk in self.stream():
                self._limited += chunk
                if len(self._limited) > MAX_BODY_BYTES:
                    detail = f"A request has at most {MAX_BODY_BYTES} bytes."
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
                return problem.response()
            except ForgetError as error:
                return from_forget_error(error).response()
            except RequestValidationError as error:
                return from_validation_error(error).response()
            except HTTPException as error:
                if error.status_code != 400:
                    raise
                return malformed_json().response()  # FastAPI's answer to a body that it could not parse

        return handle


def router(
    store: Store,
    *,
    enqueue: Enqueue,
    first_wait_s: float = ENFORCED_WITHIN_S,
    closing: Callable[[], bool] = lambda: False,
    dry_runs: DryRuns | None = None,
) -> APIRouter:
    """The routes on `store`.

    `enqueue(kind, request_id)` hands a job ("erase" or "rebuild") to the workers; if it fails, the reconciliation does
    it later. A POST waits up to `first_wait_s` for the guard, unless the client says otherwise. Event streams end when
    `closing()` says that the server stops. Without `dry_runs` a dry run knows neither traffic nor an active policy.
    """
    dry_runs = dry_runs or DryRuns()
    problem: dict[str, Any] = {
        "description": "Problem details (RFC 9457)",
        "content": {MEDIA_TYPE: {"schema": ProblemDetails.model_json_schema()}},
    }
    routes = APIRouter(prefix="/v1", tags=["forget"], route_class=ProblemRoute, responses={503: problem, 422: problem})
    Id = Annotated[str, Path(alias="id", pattern=r"^[0-9a-f-]{36}$")]
    IfMatch = Annotated[str | None, Header(description="the ETag of the request as you know it")]

    async def try_to_enqueue(kind: str, id_: str) -> None:
        try:
            await enqueue(kind, id_)
        except Exception:
            logger.warning("job %s of request %s will be queued later", kind, id_)

    async def shown(response: Response, id_: str) -> ForgetRequest:
        request = await store.get(id_)
        response.headers["ETag"] = request.etag
        return request

    @routes.post("/forget-requests", status_code=201, responses={409: problem, 413: problem, 415: problem})
    async def submit(
        body: ForgetRequestIn,
        request: Request,
        response: Response,
        idempotency_key: Annotated[str | None, Header(max_length=255, min_length=1)] = None,
        prefer: Annotated[str | None, Header(description="`wait=N`: answer when all replicas enforce it")] = None,
    ) -> ForgetRequest:
        """Forget: durable, and normally enforced, when this answers.

        From a key that is not trusted it awaits review first.
        ."""
        principal = getattr(request.state, "principal", ANONYMOUS)
        trusted = getattr(request.state, "trusted", True)
        id_ = await store.submit(body, idempotency_key=idempotency_key, principal=principal, trusted=trusted)
        wait = _WAIT.search(prefer or "")
        timeout_s = min(float(wait[1]), MAX_WAIT_S) if wait else first_wait_s
        await store.wait_until_guarded(id_, timeout_s)
        if wait:
            response.headers["Preference-Applied"] = f"wait={wait[1]}"
        response.headers["Location"] = f"{PATH}/{id_}"
        return await shown(response, id_)

    @routes.post("/forget-requests/dry-run", responses={413: problem, 415: problem, 500: problem})
    async def dry_run(body: ForgetRequestIn) -> DryRun:
        """What the same request would guard, in counts. Nothing is stored.

        It tells how often others' prompts name somebody: it belongs to those who may submit forget requests, never to
        those who may only chat.
        """
        return await dry_runs.run(body)

    @routes.get("/forget-requests", responses={400: problem})
    async def list_requests(
        state: State | None = None,
        kind: Kind | None = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        cursor: str | None = None,
    ) -> ForgetRequestPage:
        """Requests, newest first."""
        requests, next_cursor = await store.page(state=state, kind=kind, limit=limit, cursor=cursor)
        return ForgetRequestPage(requests=requests, next_cursor=next_cursor)

    @routes.get("/forget-requests/{id}", responses={404: problem})
    async def get_request(id_: Id, response: Response) -> ForgetRequest:
        """One request."""
        return await shown(response, id_)

    @routes.post("/forget-requests/{id}/withdraw", responses={404: problem, 409: problem, 412: problem})
    async def withdraw(id_: Id, response: Response, if_match: IfMatch = None) -> ForgetRequest:
        """Stop forgetting: the guard is dropped, the adapter is rebuilt without it."""
        if await store.withdraw(id_, revision=_revision(if_match)):
            await try_to_enqueue("rebuild", id_)
        return await shown(response, id_)

    @routes.post("/forget-requests/{id}/retry", responses={404: problem, 409: problem, 412: problem})
    async def retry(id_: Id, response: Response, if_match: IfMatch = None) -> ForgetRequest:
        """Start a failed erasure again."""
        await store.retry(id_, revision=_revision(if_match))
        await try_to_enqueue("erase", id_)
        return await shown(response, id_)

    async def decide(decision: Decision, id_: str, response: Response, if_match: str | None) -> ForgetRequest:
        if await store.review(id_, decision, revision=_revision(if_match)) is State.GUARDED:
            await try_to_enqueue("erase", id_)
        return await shown(response, id_)

    @routes.post("/forget-requests/{id}/approve", responses={404: problem, 409: problem, 412: problem})
    async def approve(id_: Id, response: Response, if_match: IfMatch = None) -> ForgetRequest:
        """A request that awaits review is to be enforced."""
        return await decide("approve", id_, response, if_match)

    @routes.post("/forget-requests/{id}/reject", responses={404: problem, 409: problem, 412: problem})
    async def reject(id_: Id, response: Response, if_match: IfMatch = None) -> ForgetRequest:
        """A request that awaits review is not; what is stored of its subject is deleted."""
        return await decide("reject", id_, response, if_match)

    @routes.post("/forget-requests/{id}/hold", responses={404: problem, 409: problem, 412: problem})
    async def hold(id_: Id, response: Response, if_match: IfMatch = None) -> ForgetRequest:
        """Nothing more happens to a request until it is released. A guard that is on stays on."""
        return await decide("hold", id_, response, if_match)

    @routes.post("/forget-requests/{id}/release", responses={404: problem, 409: problem, 412: problem})
    async def release(id_: Id, response: Response, if_match: IfMatch = None) -> ForgetRequest:
        """A request on hold goes on from where it was; an erasure that was interrupted starts again."""
        return await decide("release", id_, response, if_match)

    @routes.get(
        "/forget-requests/{id}/events",
        response_class=StreamingResponse,
        responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}, 404: problem},
    )
    async def events(
        id_: Id, request: Request, last_event_id: Annotated[str | None, Header()] = None
    ) -> StreamingResponse:
        """Every transition and progress report, from the first or after Last-Event-ID, until the request settles."""
        if last_event_id is not None and not _EVENT_ID.fullmatch(last_event_id):
            raise Problem(400, "invalid_event_id", "Invalid Last-Event-ID", "Send an id of this event stream, or none.")
        await store.get(id_)
        stream = _stream(store, id_, last_event_id or "0-0", request, closing)
        return StreamingResponse(stream, media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    @routes.get("/policy")
    async def policy() -> PolicyState:
        """Which policy is in force, and how far."""
        return await store.policy()

    return routes


async def _stream(
    store: Store, id_: str, last: str, request: Request, closing: Callable[[], bool]
) -> AsyncIterator[str]:
    quiet = 0
    try:
        batch = await store.events(id_, last, block=False)
        while not closing():
            for event in batch:
                last = event.id
                yield _frame(event)
            if not batch:
                quiet += 1
                if quiet % KEEP_ALIVE_EVERY == 0:
                    yield ": keep-alive\n\n"
            # An older settled state may have been left again: only the newest counts, once everything is sent.
            if await _is_settled(store, id_) and not await store.events(id_, last, block=False):
                return
            if await request.is_disconnected():
                return
            batch = await store.events(id_, last)
    except StoreUnavailable:
        return  # the client comes back with Last-Event-ID


async def _is_settled(store: Store, id_: str) -> bool:
    request = await store.get(id_)
    return request.state in _SETTLED or (request.state is State.GUARDED and request.erasure.method == "guard_only")


def _frame(event: Event) -> str:
    return f"id: {event.id}\nevent: {event.kind}\ndata: {json.dumps(event.data)}\n\n"


def _revision(if_match: str | None) -> str | None:
    return if_match.strip().strip('"') if if_match and if_match.strip() != "*" else None


def _require_json(request: Request) -> None:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json" and not media_type.endswith("+json"):
        raise Problem(415, "unsupported_media_type", "Unsupported media type", "Send Content-Type: application/json.")
