"""What changes a forget request: withdraw, retry, approve, reject, hold, release. Each of them heeds If-Match."""

import logging
from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter, Header, Response

from gateway.forget.conditions import revisions
from gateway.forget.model import Decision, ForgetRequest, State
from gateway.forget.problem_route import ProblemRoute, RequestId, problems
from gateway.forget.store import Store

logger = logging.getLogger(__name__)

IfMatch = Annotated[str | None, Header(description="the ETag of the request as you know it, or `*`")]


def router(store: Store, enqueue: Callable[[str, str], Awaitable[None]]) -> APIRouter:
    """The routes on `store`; `enqueue(kind, request_id)` hands a job to the workers."""
    routes = APIRouter(route_class=ProblemRoute, responses=problems(404, 409, 412))

    async def try_to_enqueue(kind: str, id_: str) -> None:
        try:
            await enqueue(kind, id_)
        except Exception:
            logger.warning("job %s of request %s will be queued later", kind, id_)

    async def shown(response: Response, id_: str) -> ForgetRequest:
        request = await store.get(id_)
        response.headers["ETag"] = request.etag
        return request

    async def decide(decision: Decision, id_: str, response: Response, if_match: str | None) -> ForgetRequest:
        if await store.review(id_, decision, revisions=revisions(if_match)) is State.GUARDED:
            await try_to_enqueue("erase", id_)
        return await shown(response, id_)

    @routes.post("/forget-requests/{id}/withdraw")
    async def withdraw(id_: RequestId, response: Response, if_match: IfMatch = None) -> ForgetRequest:
        """Stop forgetting: the guard is dropped, the adapter is rebuilt without it."""
        if await store.withdraw(id_, revisions=revisions(if_match)):
            await try_to_enqueue("rebuild", id_)
        return await shown(response, id_)

    @routes.post("/forget-requests/{id}/retry")
    async def retry(id_: RequestId, response: Response, if_match: IfMatch = None) -> ForgetRequest:
        """Start a failed erasure again."""
        await store.retry(id_, revisions=revisions(if_match))
        await try_to_enqueue("erase", id_)
        return await shown(response, id_)

    @routes.post("/forget-requests/{id}/approve")
    async def approve(id_: RequestId, response: Response, if_match: IfMatch = None) -> ForgetRequest:
        """A request that awaits review is to be enforced."""
        return await decide("approve", id_, response, if_match)

    @routes.post("/forget-requests/{id}/reject")
    async def reject(id_: RequestId, response: Response, if_match: IfMatch = None) -> ForgetRequest:
        """A request that awaits review is not; what is stored of its subject is deleted."""
        return await decide("reject", id_, response, if_match)

    @routes.post("/forget-requests/{id}/hold")
    async def hold(id_: RequestId, response: Response, if_match: IfMatch = None) -> ForgetRequest:
        """Nothing more happens to a request until it is released. A guard that is on stays on."""
        return await decide("hold", id_, response, if_match)

    @routes.post("/forget-requests/{id}/release")
    async def release(id_: RequestId, response: Response, if_match: IfMatch = None) -> ForgetRequest:
        """A request on hold goes on from where it was; an erasure that was interrupted starts again."""
        return await decide("release", id_, response, if_match)

    return routes
