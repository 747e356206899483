"""The audit log: who changed what, when. The scripts that change something write it; here it is read.

Each entry carries the SHA-256 of the one before, computed by the script that appends it: Redis runs one script after
the other, so the log has one order and one chain, however many gateways and workers write. Nothing deletes entries.
"""

from dataclasses import dataclass
from typing import Self

from gateway.actor import actor
from gateway.forget.connection import connect
from gateway.forget.errors import RequestNotFound
from gateway.forget.model import ForgetRequest
from gateway.forget.resource import parse_view
from gateway.forget.scripted import Scripted
from gateway.forget.scripts import ROOT, script
from gateway.forget.snapshot import Composite


@dataclass(frozen=True)
class AuditHead:
    """The last entry: its number (0: there is none) and its SHA-256."""

    sequence: int
    digest: str


@dataclass(frozen=True)
class AuditPage:
    """Entries in canonical JSON, and whether there are more."""

    entries: tuple[str, ...]
    more: bool


@dataclass(frozen=True)
class Standing:
    """A request, the composite adapter that is to be live, and how far the log was then."""

    request: ForgetRequest
    composite: Composite | None
    head: AuditHead


class AuditLog(Scripted):
    """Reads the log. Every method raises `StoreUnavailable` when Redis is away."""

    @classmethod
    def from_url(cls, url: str) -> Self:
        """The log on the Redis at `url`; connects when first used."""
        return cls(connect(url))

    async def page(self, after: int = 0, limit: int = 500, request: str = "") -> AuditPage:
        """Up to `limit` entries that follow the one with number `after`; those of one request only, if it is named."""
        more, *entries = await self._run("audit", after, limit, request)
        return AuditPage(tuple(entries), bool(more))

    async def head(self) -> AuditHead:
        """The last entry."""
        return AuditHead(*await self._run("audit_head"))

    async def on_disk(self) -> None:
        """Returns when everything that was read so far is on the server's disk: what is signed must not be lost.

        The server writes its file in order, so that it is enough to wait for a later change.
        """
        await self._write("witness")

    async def standing(self, id_: str) -> Standing:
        """A request and the head of the log at one moment.

        Raises:
            RequestNotFound: there is none with this id.
        """
        async with self._answering(), self._client.pipeline(transaction=True) as pipeline:
            pipeline.eval(script("read"), 1, ROOT, id_, actor.get())
            pipeline.eval(script("audit_head"), 1, ROOT, actor.get())
            reply, head = await pipeline.execute()
        view = parse_view(reply)
        if view.requests[0] is None:
            raise RequestNotFound(id_)
        return Standing(view.requests[0], view.composite, AuditHead(*head))
