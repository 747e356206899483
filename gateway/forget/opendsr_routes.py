"""OpenDSR 2.0 beside the native API: discovery, requests, statuses, cancellation; answers about requests are signed."""

import base64
import json
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ValidationError

from gateway.forget import opendsr
from gateway.forget.callback_target import CallbackRules
from gateway.forget.conditions import revisions
from gateway.forget.deadlines import due_by
from gateway.forget.model import ForgetRequest
from gateway.forget.problem_route import ProblemRoute
from gateway.forget.problems import RETRY_AFTER_S, Problem
from gateway.forget.routes import require_callbacks
from gateway.forget.signing import Signer
from gateway.forget.store import ANONYMOUS, Store


class OpenDsrRoute(ProblemRoute):
    """Tells errors as OpenDSR does (sections 7.5 to 7.7)."""

    def answer(self, problem: Problem) -> Response:
        """The error object; what is wrong with a request is always 400."""
        details = problem.details
        status = 400 if details.status in (415, 422) else details.status
        errors = details.errors or [{"field": "", "message": details.detail}]
        body = opendsr.ErrorBody(
            error=opendsr.Error(
                code=status,
                message=details.detail,
                errors=[
                    opendsr.ErrorDetail(
                        domain="Validation" if details.errors else "Request",
                        reason=details.code,
                        message=f"{error['field']}: {error['message']}".removeprefix(": "),
                    )
                    for error in errors
                ],
            )
        )
        headers = {"Cache-Control": "no-store"} | ({"Retry-After": str(RETRY_AFTER_S)} if status == 503 else {})
        return JSONResponse(body.model_dump(), status, headers=headers)


def router(
    store: Store, signer: Signer, domain: str, certificate: bytes, rules: CallbackRules | None = None
) -> APIRouter:
    """The routes on `store`; answers are signed by `signer` for `domain`, whose certificate (PEM) is given out.

    Args:
        rules: where callbacks may go; nowhere without.
    """
    rules = rules or CallbackRules()
    error = {"model": opendsr.ErrorBody}
    RequestUuid = Annotated[opendsr.RequestUuid, Path(alias="id", examples=["a7551968-d5d6-44b2-9831-815ac9017798"])]
    routes = APIRouter(
        prefix=opendsr.PATH, tags=["opendsr"], route_class=OpenDsrRoute, responses={400: error, 422: error, 503: error}
    )

    def signed(content: BaseModel, status: int) -> Response:
        body = content.model_dump_json().encode()
        headers = {"Cache-Control": "no-store", **opendsr.signed_headers(signer, domain, body)}
        return Response(body, status, headers=headers, media_type="application/json")

    async def known(request: Request, subject_request_id: str) -> tuple[str, ForgetRequest]:
        controller = getattr(request.state, "principal", ANONYMOUS)
        return controller, await store.submitted_as(controller, _key(subject_request_id))

    @routes.get("/discovery")
    async def discovery() -> opendsr.Discovery:
        """What this processor supports (section 6)."""
        return opendsr.Discovery.of(domain)

    @routes.get(
        "/certificate.pem",
        response_class=Response,
        responses={200: {"content": {"application/x-pem-file": {"schema": {"type": "string"}}}}},
    )
    async def processor_certificate() -> Response:
        """The certificate of the key that signs."""
        return Response(certificate, media_type="application/x-pem-file")

    @routes.post(
        "/requests",
        status_code=201,
        response_model=opendsr.Accepted,
        responses={409: error, 413: error},
    )
    async def create(body: opendsr.OpenDsrRequest, request: Request) -> Response:
        """An erasure request (section 7). Names, works, secrets and topics stand in this processor's extension."""
        controller = getattr(request.state, "principal", ANONYMOUS)
        try:
            wanted = opendsr.parsed(body, domain)
        except ValidationError as invalid:
            raise RequestValidationError(
                [{**detail, "loc": ("body", *detail["loc"])} for detail in invalid.errors(include_input=False)]
            ) from None
        require_callbacks(wanted, rules)
        due = due_by(wanted.regulation, datetime.now(UTC))
        assert due is not None  # noqa: S101 gdpr and ccpa both have a date
        id_ = await store.submit(
            wanted,
            idempotency_key=_key(body.subject_request_id),
            principal=controller,
            trusted=getattr(request.state, "trusted", True),
            opendsr=opendsr.names(body, controller, due),
        )
        accepted = await store.get(id_)
        content = opendsr.Accepted(
            controller_id=controller,
            expected_completion_time=opendsr.completion(accepted),
            received_time=accepted.created_at,
            encoded_request=base64.b64encode(await request.body()).decode(),
            subject_request_id=body.subject_request_id,
        )
        return signed(content, 201)

    @routes.get("/requests/{id}", response_model=opendsr.RequestStatus, responses={404: error})
    async def status(id_: RequestUuid, request: Request) -> Response:
        """How far a request is (section 8): of the controller's own only."""
        controller, found = await known(request, id_)
        content = opendsr.RequestStatus(
            controller_id=controller,
            expected_completion_time=opendsr.completion(found),
            subject_request_id=id_,
            request_status=opendsr.STATUSES[found.state],
        )
        return signed(content, 200)

    @routes.delete(
        "/requests/{id}",
        status_code=202,
        response_model=opendsr.Cancellation,
        responses={404: error, 409: error, 412: error},
    )
    async def cancel(id_: RequestUuid, request: Request) -> Response:
        """Cancel a request that is pending (section 9)."""
        controller, found = await known(request, id_)
        if opendsr.STATUSES[found.state] != "pending":
            detail = (
                f"Only what is pending can be cancelled. POST /v1/forget-requests/{found.id}/withdraw ends this one."
            )
            raise Problem(409, "not_pending", "Not pending", detail)
        await store.withdraw(found.id, revisions=revisions(found.etag))
        content = opendsr.Cancellation(
            controller_id=controller, received_time=datetime.now(UTC), subject_request_id=id_
        )
        return signed(content, 202)

    return routes


def _key(subject_request_id: str) -> str:
    return json.dumps(["opendsr", subject_request_id])
