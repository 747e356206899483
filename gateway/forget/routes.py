"""The forget-request API under /v1: submit, list, read, policy; what changes, searches and streams is beside it."""

import re
from collections.abc import Awaitable, Callable, Collection
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response

from gateway.forget.callback_target import CallbackRules
from gateway.forget.conditions import is_known
from gateway.forget.dry_run import DryRuns
from gateway.forget.event_routes import router as event_router
from gateway.forget.forecast import DryRun
from gateway.forget.model import ForgetRequest, ForgetRequestIn, ForgetRequestPage, Kind, PolicyState, State
from gateway.forget.problem_route import ProblemRoute, RequestId, problems
from gateway.forget.problems import invalid_fields
from gateway.forget.resource import PATH
from gateway.forget.review_routes import router as review_router
from gateway.forget.search_routes import router as search_router
from gateway.forget.store import ANONYMOUS, Store

ENFORCED_WITHIN_S = 1.0  # the answer to a POST waits so long for the guard, unless the client says otherwise
MAX_WAIT_S = 60.0

Enqueue = Callable[[str, str], Awaitable[None]]

_WAIT = re.compile(r"(?:^|[,;\s])wait=(\d{1,4})(?:$|[,;\s])")
_ETAG: dict[str, Any] = {"ETag": {"description": "for If-Match and If-None-Match", "schema": {"type": "string"}}}


def router(
    store: Store,
    *,
    enqueue: Enqueue,
    first_wait_s: float = ENFORCED_WITHIN_S,
    closing: Callable[[], bool] = lambda: False,
    dry_runs: DryRuns | None = None,
    languages: Collection[str] = (),
    callbacks: CallbackRules | None = None,
) -> APIRouter:
    """The routes on `store`.

    `enqueue(kind, request_id)` hands a job ("erase" or "rebuild") to the workers; if it fails, the reconciliation does
    it later. A POST waits up to `first_wait_s` for the guard, unless the client says otherwise. Event streams end when
    `closing()` says that the server stops. Without `dry_runs` a dry run knows neither traffic nor an active policy.
    `languages` are those in which the deployment verifies; none: not known, so that none is refused. `callbacks` says
    where callbacks may go: nowhere, without.
    """
    dry_runs, callbacks = dry_runs or DryRuns(), callbacks or CallbackRules()
    routes = APIRouter(prefix="/v1", tags=["forget"], route_class=ProblemRoute, responses=problems(422, 503))

    @routes.post(
        "/forget-requests",
        status_code=201,
        responses={
            **problems(400, 409, 413, 415),
            201: {"headers": {**_ETAG, "Location": {"schema": {"type": "string"}}}},
        },
    )
    async def submit(
        body: ForgetRequestIn,
        request: Request,
        response: Response,
        idempotency_key: Annotated[str | None, Header(max_length=255, min_length=1)] = None,
        prefer: Annotated[str | None, Header(description="`wait=N`: answer when all replicas enforce it")] = None,
    ) -> ForgetRequest:
        """Forget: durable, and normally enforced, when this answers.

        From a key that is not trusted it awaits review first.
        """
        require_languages(body, languages)
        require_callbacks(body, callbacks)
        principal = getattr(request.state, "principal", ANONYMOUS)
        trusted = getattr(request.state, "trusted", True)
        id_ = await store.submit(body, idempotency_key=idempotency_key, principal=principal, trusted=trusted)
        wait = _WAIT.search(prefer or "")
        timeout_s = min(float(wait[1]), MAX_WAIT_S) if wait else first_wait_s
        await store.wait_until_guarded(id_, timeout_s)
        if wait:
            response.headers["Preference-Applied"] = f"wait={wait[1]}"
        response.headers["Location"] = f"{PATH}/{id_}"
        submitted = await store.get(id_)
        response.headers["ETag"] = submitted.etag
        return submitted

    @routes.post("/forget-requests/dry-run", responses=problems(400, 413, 415, 500))
    async def dry_run(body: ForgetRequestIn) -> DryRun:
        """What the same request would guard, in counts. Nothing is stored.

        It tells how often others' prompts name somebody: it belongs to those who may submit forget requests, never to
        those who may only chat.
        """
        require_languages(body, languages)
        return await dry_runs.run(body)

    @routes.get("/forget-requests", responses=problems(400))
    async def list_requests(
        state: State | None = None,
        kind: Kind | None = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        cursor: Annotated[str | None, Query(description="`next_cursor` of the page before, same filters")] = None,
    ) -> ForgetRequestPage:
        """Requests, newest first. Those that come while one pages through appear on no later page."""
        requests, next_cursor = await store.page(state=state, kind=kind, limit=limit, cursor=cursor)
        return ForgetRequestPage(requests=requests, next_cursor=next_cursor)

    @routes.get(
        "/forget-requests/{id}",
        response_model=ForgetRequest,
        responses={**problems(404), 200: {"headers": _ETAG}, 304: {"description": "as If-None-Match has it"}},
    )
    async def get_request(
        id_: RequestId,
        response: Response,
        if_none_match: Annotated[str | None, Header(description="an ETag: answer 304 if nothing changed")] = None,
    ) -> ForgetRequest | Response:
        """One request."""
        request = await store.get(id_)
        if is_known(request.etag, if_none_match):
            return Response(status_code=304, headers={"ETag": request.etag})
        response.headers["ETag"] = request.etag
        return request

    @routes.get("/policy")
    async def policy() -> PolicyState:
        """Which policy is in force, and how far."""
        return await store.policy()

    for other in (search_router(store), review_router(store, enqueue), event_router(store, closing)):
        routes.include_router(other)
    return routes


def require_languages(body: ForgetRequestIn, languages: Collection[str]) -> None:
    """Raises a problem (422) if a language is asked for in which the deployment cannot verify an erasure."""
    message = (
        f"the deployment cannot verify in it: name some of {', '.join(sorted(languages))}, or none for all of them"
    )
    unknown = [(f"languages[{at}]", message) for at, language in enumerate(body.languages) if language not in languages]
    if languages and unknown:
        raise invalid_fields(unknown)


def require_callbacks(body: ForgetRequestIn, rules: CallbackRules) -> None:
    """Raises a problem (422) if a callback may not go where it is asked to."""
    refused = [
        (f"status_callback_urls[{at}]", reason)
        for at, address in enumerate(body.status_callback_urls)
        if (reason := rules.refusal(address))
    ]
    if refused:
        raise invalid_fields(refused)
