"""What became of callbacks: how many are under way, which were given up, and another try for those."""

from datetime import datetime

from fastapi import APIRouter
from pydantic import BaseModel, Field

from gateway.forget.outbox import Outbox
from gateway.forget.problem_route import ProblemRoute, problems

MOST_SHOWN = 200


class GivenUp(BaseModel):
    """A callback that did not arrive."""

    callback: str = Field(description="request, step of its history, number of the address")
    given_up_at: datetime
    attempts: int
    reason: str = Field(
        description="`status_<code>`, `timeout`, `connection`, `unknown_host`, `private_address`, `host_not_allowed`, "
        "`unreadable` (the request's record is damaged, or a later version's)"
    )


class CallbackState(BaseModel):
    """How callbacks are doing."""

    pending: int
    dead: int
    latest_dead: list[GivenUp]


class Retried(BaseModel):
    """How many callbacks are tried again."""

    retried: int


def router(outbox: Outbox) -> APIRouter:
    """The routes on `outbox`."""
    routes = APIRouter(
        prefix="/v1/callbacks", tags=["callbacks"], route_class=ProblemRoute, responses=problems(422, 503)
    )

    @routes.get("")
    async def callbacks() -> CallbackState:
        """Callbacks under way, and the latest that were given up."""
        pending, dead, letters = await outbox.dead(MOST_SHOWN)
        latest = [
            GivenUp(callback=one.name, given_up_at=one.given_up_at, attempts=one.attempts, reason=one.reason)
            for one in letters
        ]
        return CallbackState(pending=pending, dead=dead, latest_dead=latest)

    @routes.post("/retry")
    async def retry() -> Retried:
        """Try all that were given up once more."""
        return Retried(retried=await outbox.try_again())

    return routes
