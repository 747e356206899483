"""API keys over HTTP, under /v1/keys: made, listed, revoked. The answer that makes one shows it, none after that."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Response

from gateway.forget.problem_route import ProblemRoute
from gateway.forget.problems import MEDIA_TYPE, ProblemDetails
from gateway.security.forms import KeyList, MadeKey, NewKey, make, shown
from gateway.security.key_store import KeyStore


def router(store: KeyStore) -> APIRouter:
    """The routes on `store`."""
    problem: dict[str, Any] = {
        "description": "Problem details (RFC 9457)",
        "content": {MEDIA_TYPE: {"schema": ProblemDetails.model_json_schema()}},
    }
    routes = APIRouter(prefix="/v1", tags=["keys"], route_class=ProblemRoute, responses={503: problem, 422: problem})

    @routes.post("/keys", status_code=201, responses={400: problem, 413: problem, 415: problem})
    async def create_key(body: NewKey, response: Response) -> MadeKey:
        """Make a key. Note it down: only its hash is kept."""
        while (made := await make(store, body)) is None:  # an id of 48 bits that is taken already
            continue
        response.headers["Cache-Control"] = "no-store"
        return made

    @routes.get("/keys")
    async def list_keys() -> KeyList:
        """Every key, without its secret."""
        return KeyList(keys=[shown(listed) for listed in await store.keys()])

    @routes.post("/keys/{id}/revoke", status_code=204, responses={404: problem})
    async def revoke_key(id_: Annotated[str, Path(alias="id", pattern="^[0-9a-f]{12}$")]) -> None:
        """From now on the key is good no more: every replica hears of it at once, by the policy's change log."""
        await store.revoke(id_)

    return routes
