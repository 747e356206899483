"""Requests as they lie in Redis, to be read: one, a page of them, those of a name; and what is deleted of them."""

import base64
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import redis.asyncio

from gateway.forget.connection import connect
from gateway.forget.errors import InvalidCursor, RequestNotFound
from gateway.forget.facts_at_rest import FactsAtRest
from gateway.forget.model import ForgetRequest, State
from gateway.forget.resource import View, parse_view
from gateway.forget.scripted import Scripted
from gateway.forget.sealer import Sealer
from gateway.forget.snapshot import findable
from gateway.forget.subject import Subject

PURGED_AT_ONCE = 1000
_TAG_LENGTH = 32


@dataclass(frozen=True)
class Found:
    """A request that a search found; `stored` is what is kept of its subject, if that was asked for and is there."""

    request: ForgetRequest
    stored: Mapping[str, Any] | None = field(repr=False)


class RecordStore(Scripted):
    """Reads requests. Every method raises `StoreUnavailable` when Redis is away."""

    def __init__(self, client: redis.asyncio.Redis, sealer: Sealer, facts: FactsAtRest | None = None) -> None:
        super().__init__(client)
        self._sealer = sealer
        self._facts = facts or FactsAtRest()

    @classmethod
    def from_url(cls, url: str, sealer: Sealer, facts: FactsAtRest | None = None) -> Self:
        """A store on the Redis at `url`; connects when first used."""
        return cls(connect(url), sealer, facts)

    async def get(self, id_: str) -> ForgetRequest:
        """The request as it stands.

        Raises:
            RequestNotFound: there is none with this id.
        """
        request = (await self._view([id_])).requests[0]
        if request is None:
            raise RequestNotFound(id_)
        return request

    async def page(
        self, *, state: State | None = None, kind: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> tuple[list[ForgetRequest], str | None]:
        """A page of requests, newest first, and the cursor of the next page.

        Raises:
            InvalidCursor: `cursor` is not from this list.
        """
        listed = f"cursor\0{state or ''}\0{kind or ''}\0"
        after = self._opened(cursor, listed) if cursor is not None else ""
        following, *ids = await self._run("list", state or "", kind or "", limit, after)
        requests = (await self._view(ids)).requests if ids else []
        shown = [request for request in requests if request is not None]
        return shown, self._cursor(following, listed) if following else None

    async def search(
        self, subject: Subject | None, *, id_: str = "", reveal: bool = False, limit: int = 50
    ) -> tuple[int, list[Found]]:
        """How many requests name somebody of `subject` (or have this id), the newest of them, for the audit log.

        Found are names, aliases and identifiers as they were given, whatever their case and accents.
        """
        terms = ",".join(sorted(map(self._term, findable(subject)))) if subject else ""
        total, *rows = await self._write("search", limit, terms, id_, int(reveal))
        requests = (await self._view([row[0] for row in rows])).requests if rows else []
        return total, [
            Found(request, self._stored(*row))
            for request, row in zip(requests, rows, strict=True)
            if request is not None
        ]

    async def verifications(self, limit: int, since: tuple[int, int]) -> tuple[tuple[int, int], list[dict[str, Any]]]:
        """A stamp, and what was measured about the newest erased requests; nothing if the stamp is still `since`."""
        version, erased, *texts = await self._run("verifications", limit, *since)
        return (version, erased), [json.loads(text) for text in texts]

    async def purge(self, kept_s: float) -> list[str]:
        """Deletes training inputs of what was erased at least `kept_s` ago; returns the ids of those requests."""
        purged, last = list[str](), ""
        while True:
            last, *ids = await self._write("purge", int(kept_s * 1000), PURGED_AT_ONCE, last)
            purged += ids
            if not last:
                return purged

    async def _view(self, ids: Sequence[str]) -> View:
        return parse_view(await self._run("read", *ids))

    def _term(self, name: str) -> str:
        return self._sealer.fingerprint(f"found\0{name}")

    def _stored(self, id_: str, subject: str | None = None, training: str | None = None) -> Mapping[str, Any] | None:
        if not subject:
            return None
        stored: dict[str, Any] = json.loads(self._sealer.unseal(subject, id_))
        return stored | (json.loads(self._sealer.unseal(training, id_)) if training else {})

    def _cursor(self, member: str, listed: str) -> str:
        tag = self._sealer.fingerprint(listed + member)[:_TAG_LENGTH]
        return base64.urlsafe_b64encode(f"{tag}{member}".encode()).decode().rstrip("=")

    def _opened(self, cursor: str, listed: str) -> str:
        """The member that a cursor of this very list stands for."""
        try:
            text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
        except ValueError:
            raise InvalidCursor("unknown cursor") from None
        member = text[_TAG_LENGTH:]
        if not hmac.compare_digest(self._cursor(member, listed), cursor):
            raise InvalidCursor("unknown cursor")
        return member
