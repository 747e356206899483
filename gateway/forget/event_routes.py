"""The events of a request, as a stream."""

import json
import re
from collections.abc import AsyncIterator, Callable
from typing import Annotated

from fastapi import APIRouter, Header, Request
from fastapi.responses import StreamingResponse

from gateway.forget.errors import StoreUnavailable
from gateway.forget.model import State
from gateway.forget.problem_route import ProblemRoute, RequestId, problems
from gateway.forget.problems import Problem
from gateway.forget.store import Event, Store

KEEP_ALIVE_EVERY = 10  # reads of a second without an event

EVENT = {
    "description": "one event; `data` is JSON with `state`, `at` and `reason`, or `stage` and `fraction`",
    "type": "object",
    "required": ["id", "event", "data"],
    "properties": {
        "id": {"type": "string"},
        "event": {"type": "string", "enum": ["transition", "progress"]},
        "data": {"type": "string"},
    },
}

_SETTLED = frozenset({State.REJECTED, State.ERASED, State.FAILED, State.WITHDRAWN})
_EVENT_ID = re.compile(r"\d{1,19}-\d{1,19}")


def router(store: Store, closing: Callable[[], bool]) -> APIRouter:
    """The route on `store`; streams end when `closing()` says that the server stops."""
    routes = APIRouter(route_class=ProblemRoute)

    @routes.get(
        "/forget-requests/{id}/events",
        response_class=StreamingResponse,
        responses={**problems(400, 404), 200: {"content": {"text/event-stream": {"schema": EVENT}}}},
    )
    async def events(
        id_: RequestId, request: Request, last_event_id: Annotated[str | None, Header()] = None
    ) -> StreamingResponse:
        """Every transition and progress report, from the first or after Last-Event-ID, until the request settles."""
        if last_event_id is not None and not _is_event_id(last_event_id):
            raise Problem(400, "invalid_event_id", "Invalid Last-Event-ID", "Send an id of this event stream, or none.")
        await store.get(id_)
        stream = _stream(store, id_, last_event_id or "0-0", request, closing)
        return StreamingResponse(stream, media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    return routes


def _is_event_id(text: str) -> bool:
    return bool(_EVENT_ID.fullmatch(text)) and all(int(part) < 2**63 for part in text.split("-"))


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
