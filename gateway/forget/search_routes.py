"""Search by what may not stand in a URL: a name. For those who may know who is on the list; each search is audited."""

from typing import Annotated, Any, Self

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from gateway.forget.model import ForgetRequest
from gateway.forget.problem_route import ProblemRoute, problems
from gateway.forget.store import Store
from gateway.forget.subject import Hidden, Subject


class Search(Hidden):
    """Whose requests are looked for."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"subject": {"name": "Ivo Marlin"}},
                {"id": "5d0d7c3e-3f0a-4f0e-9a37-0f1d2c3b4a59", "reveal": True},
            ]
        }
    )

    subject: Subject | None = Field(
        None, description="found is whoever has one of these names, aliases or identifiers, whatever case and accents"
    )
    id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f-]{36}$")] | None = Field(
        None, description="of the one request whose subject is to be seen: what a reviewer decides about"
    )
    reveal: bool = Field(False, description="show what is stored of the subjects")
    limit: int = Field(50, ge=1, le=200)

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.subject is None) == (self.id is None):
            raise ValueError("give a subject or an id")
        if self.subject is not None and not self.subject.names:
            raise ValueError("patterns are not indexed: look for an alias, or the id")
        return self


class Stored(BaseModel):
    """What is kept of a subject: without what was deleted after its erasure."""

    names: list[str]
    pattern: str | None = None
    identifiers: dict[str, str] = {}
    creators: list[str] = []
    exclusions: list[str]
    description: str | None
    excerpts: list[str] = []
    documents: list[str] = []
    examples: list[dict[str, str]] = []


class FoundRequest(BaseModel):
    """A request, and what is stored of its subject if that was asked for (null: nothing is, any more)."""

    request: ForgetRequest
    stored: Stored | None


class SearchResult(BaseModel):
    """What was found, newest first."""

    total: int = Field(description="how many requests match; `found` has at most `limit`")
    found: list[FoundRequest]


def router(store: Store) -> APIRouter:
    """The route on `store`."""
    routes = APIRouter(route_class=ProblemRoute)

    @routes.post("/forget-requests/search", responses=problems(400, 413, 415))
    async def search(body: Search, response: Response) -> SearchResult:
        """Requests by the name, an alias or an identifier of their subject, or one by its id.

        Needs the scope `forget:reveal`: the answer tells who is on the list. The audit log tells of the search, and of
        each request whose subject was shown.
        """
        response.headers["Cache-Control"] = "no-store"
        total, found = await store.search(body.subject, id_=body.id or "", reveal=body.reveal, limit=body.limit)
        return SearchResult(
            total=total, found=[FoundRequest(request=one.request, stored=_shown(one.stored)) for one in found]
        )

    return routes


def _shown(stored: Any) -> Stored | None:
    return Stored.model_validate(stored) if stored else None
