"""The audit log over HTTP, and the public key of what this gateway signs."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from gateway.forget.audit_log import AuditLog
from gateway.forget.problem_route import ProblemRoute
from gateway.forget.problems import MEDIA_TYPE, ProblemDetails
from gateway.forget.signing import Signer
from gateway.verify_certificate import VERSIONS, canonical

PATH = "/v1/audit"
JWKS_PATH = "/.well-known/jwks.json"
JSON_LINES = "application/jsonl"

EXAMPLE = {
    "act": "transition",
    "actor": "replica:6f0c1f0e-7a0e-4a57-8a0e-2f7d9c1b1a11",
    "from": "received",
    "object": "",
    "policy_version": 1,
    "previous": "3f4d3a0e6b1f0c0cfb9d4b6e7f6a7f4a4f6f1f0f7f5ed7ea0c2ab9a4c1b0a2d1",
    "reason": "",
    "request": "5d0d7c3e-3f0a-4f0e-9a37-0f1d2c3b4a59",
    "sequence": 2,
    "time": 1760000000000,
    "to": "guarded",
}


def router(log: AuditLog, signer: Signer) -> APIRouter:
    """The routes on `log`."""
    problem: dict[str, Any] = {
        "description": "Problem details (RFC 9457)",
        "content": {MEDIA_TYPE: {"schema": ProblemDetails.model_json_schema()}},
    }
    page_of_lines: dict[str, Any] = {
        "description": "JSON lines",
        "content": {JSON_LINES: {"schema": {"type": "string"}, "example": f"{canonical(EXAMPLE).decode()}\n"}},
        "headers": {"Link": {"description": "the next page, if there is one", "schema": {"type": "string"}}},
    }
    signed: dict[str, Any] = {
        "description": "`{audit_head, signature}`",
        "content": {"application/json": {"schema": {"type": "object", "required": ["audit_head", "signature"]}}},
    }
    routes = APIRouter(tags=["audit"], route_class=ProblemRoute)

    @routes.get(PATH, response_class=Response, responses={200: page_of_lines, 422: problem, 503: problem})
    async def audit(
        after: Annotated[int, Query(ge=0, le=2**53 - 1, description="number of the last entry you have")] = 0,
        limit: Annotated[int, Query(ge=1, le=5000)] = 1000,
        request: Annotated[str, Query(pattern="^([0-9a-f-]{36})?$", description="this forget request's only")] = "",
    ) -> Response:
        """Every transition of a request and every administrative act, oldest first, for ever; never a subject.

        The SHA-256 of a line is `previous` in the next.
        """
        page = await log.page(after, limit, request)
        headers = {"Cache-Control": "no-store"}
        if page.more:
            last = json.loads(page.entries[-1])["sequence"]
            headers["Link"] = f'<{PATH}?after={last}&limit={limit}&request={request}>; rel="next"'
        return Response("".join(f"{entry}\n" for entry in page.entries), media_type=JSON_LINES, headers=headers)

    @routes.get(f"{PATH}/head", response_class=Response, responses={200: signed, 503: problem})
    async def head() -> Response:
        """The number and SHA-256 of the last entry, signed: kept elsewhere, it shows later whether the log was cut off
        or written anew."""
        content = {"version": VERSIONS["audit_head"], "issued_at": _now(), "audit": asdict(await log.head())}
        await log.on_disk()
        document = signer.signed("audit_head", content)
        return Response(document, media_type="application/json", headers={"Cache-Control": "no-store"})

    @routes.get(JWKS_PATH)
    async def jwks() -> dict[str, list[dict[str, str]]]:
        """The public key of certificates and audit heads (RFC 7517)."""
        return signer.jwks

    return routes


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
