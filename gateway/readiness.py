"""Whether this replica may be sent requests: `GET /ready`, for load balancers."""

from collections.abc import Callable
from typing import Literal

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from gateway.forget.replica import Replica, Unready
from gateway.worker_process import WorkerState


class Readiness(BaseModel):
    """Why this replica is ready, or is not."""

    ready: bool
    reason: Unready | Literal["closing"] | None = Field(description="why it is not ready")
    policy_version: int
    store_up: bool
    orphans: int
    failing: list[str] = Field(description="parts of what runs in the background that fail, and are started again")
    worker: WorkerState
    adapters: str | None = Field(description="what is wrong with the storage for adapters, if replicas share one")


def readiness_router(
    replica: Replica,
    opened: Callable[[], bool],
    failing: Callable[[], list[str]],
    closing: Callable[[], bool],
    worker: Callable[[], WorkerState],
    adapters: Callable[[], str | None],
) -> APIRouter:
    """`opened` says whether the store was ever reached, and is ours."""
    router = APIRouter(tags=["operations"])

    @router.get("/ready", responses={503: {"model": Readiness}})
    async def ready() -> JSONResponse:
        """200 when the policy is enforced, the canary passed and the store was heard recently; else 503 and a reason:

        `store_unavailable` (Redis is away, for too long, or was never there), `catching_up`, `policy_unreadable` (a
        record does not open with these keys), `closing`. A part that fails in the background and is none of the policy
        (callbacks, retention) makes nobody unready: it is named in `failing`. Nor does a storage for adapters that
        cannot be used (`adapters`): what is enforced stays.
        """
        reason: Unready | Literal["closing"] | None = replica.unready
        if closing():
            reason = "closing"
        elif not opened():
            reason = "store_unavailable"
        readiness = Readiness(
            ready=reason is None,
            reason=reason,
            policy_version=replica.version,
            store_up=replica.store_up,
            orphans=replica.orphans,
            failing=failing(),
            worker=worker(),
            adapters=adapters(),
        )
        return JSONResponse(readiness.model_dump(), 200 if readiness.ready else 503)

    return router
