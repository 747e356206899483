"""The report and the certificate of a request."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Response
from fastapi.responses import HTMLResponse

from gateway.adapter_storage import Fetch, as_published
from gateway.forget.audit_log import AuditLog
from gateway.forget.certificate import Deployment, content
from gateway.forget.problem_route import ProblemRoute
from gateway.forget.problems import MEDIA_TYPE, ProblemDetails
from gateway.forget.report import Report, page, report_on
from gateway.forget.resource import PATH
from gateway.forget.signing import Signer

NO_STORE = {"Cache-Control": "no-store"}
STRICT = {**NO_STORE, "Vary": "Accept", "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}


def _utc_now() -> datetime:
    return datetime.now(UTC)


def router(
    log: AuditLog,
    signer: Signer,
    deployment: Deployment,
    now: Callable[[], datetime] = _utc_now,
    fetch: Fetch = as_published,
) -> APIRouter:
    """The routes about what `log` tells of requests, signed by `signer` for `deployment`; `fetch` brings adapters."""
    problem: dict[str, Any] = {
        "description": "Problem details (RFC 9457)",
        "content": {MEDIA_TYPE: {"schema": ProblemDetails.model_json_schema()}},
    }
    signed: dict[str, Any] = {
        "description": "`{certificate, signature}`: check it by `unlearn-gateway verify-certificate`",
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["certificate", "signature"],
                    "properties": {"certificate": {"type": "object"}, "signature": {"type": "string"}},
                }
            }
        },
    }
    html: dict[str, Any] = {"content": {"text/html": {"schema": {"type": "string"}}}}
    Id = Annotated[str, Path(alias="id", pattern=r"^[0-9a-f-]{36}$")]
    routes = APIRouter(
        prefix=PATH, tags=["proof"], route_class=ProblemRoute, responses={404: problem, 422: problem, 503: problem}
    )

    @routes.get("/{id}/certificate", response_class=Response, responses={200: signed, 409: problem})
    async def certificate(id_: Id) -> Response:
        """What an erased request's erasure is vouched for with, signed; 409 while it is not, or no longer, erased."""
        standing = await log.standing(id_)
        said = await asyncio.to_thread(content, standing, deployment, now(), fetch)
        await log.on_disk()
        return Response(signer.signed("certificate", said), media_type="application/json", headers=NO_STORE)

    @routes.get("/{id}/report", response_model=Report, responses={200: html})
    async def report(
        id_: Id, response: Response, accept: Annotated[str, Header(description="text/html: as a page")] = ""
    ) -> Report | HTMLResponse:
        """What was done and measured. SUPPRESSED, ATTENUATED or REMOVED-EVIDENCE, and why."""
        told = report_on((await log.standing(id_)).request)
        if _prefers_html(accept):
            return HTMLResponse(page(told), headers=STRICT)
        response.headers.update({**NO_STORE, "Vary": "Accept"})
        return told

    return routes


def _prefers_html(accept: str) -> bool:
    """Whether HTML stands first among the two forms there are, as in what browsers send."""
    types = [part.partition(";")[0].strip().lower() for part in accept.split(",")]
    known = [kind for kind in types if kind in ("text/html", "application/json")]
    return bool(known) and known[0] == "text/html"
