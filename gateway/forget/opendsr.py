"""OpenDSR 2.0 (github.com/opengdpr/OpenDSR, specification.md): its names and statuses for forget requests."""

import base64
import json
from collections.abc import Mapping
from datetime import datetime
from itertools import count
from typing import Annotated, Any, Literal, get_args

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from gateway.forget.model import ForgetRequest, ForgetRequestIn, State
from gateway.forget.outbox import Callback
from gateway.forget.signing import Signer

API_VERSION = "2.0"
PATH = "/opendsr/v2"
DOMAIN_HEADER, SIGNATURE_HEADER = "X-OpenDSR-Processor-Domain", "X-OpenDSR-Signature"

Status = Literal["pending", "in_progress", "completed", "cancelled"]
IdentityType = Literal[
    "controller_customer_id",
    "android_advertising_id",
    "android_id",
    "email",
    "fire_advertising_id",
    "ios_advertising_id",
    "ios_vendor_id",
    "microsoft_advertising_id",
    "microsoft_publisher_id",
    "roku_publisher_id",
    "roku_advertising_id",
]
RequestUuid = Annotated[
    str, StringConstraints(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")
]

STATUSES: Mapping[State, Status] = {
    State.RECEIVED: "pending",
    State.AWAITING_REVIEW: "pending",
    State.ON_HOLD: "pending",
    State.GUARDED: "in_progress",
    State.ERASING: "in_progress",
    State.VERIFYING: "in_progress",
    State.FAILED: "in_progress",
    State.WITHDRAWING: "in_progress",
    State.ERASED: "completed",
    State.WITHDRAWN: "cancelled",
    State.REJECTED: "cancelled",
}


class Identity(BaseModel):
    """Section 5.3. Only raw values: what is not known cannot be guarded."""

    model_config = ConfigDict(hide_input_in_errors=True)

    identity_type: IdentityType
    identity_value: str = Field(repr=False)
    identity_format: Literal["raw"]


class OpenDsrRequest(BaseModel):
    """Section 7.1."""

    model_config = ConfigDict(
        hide_input_in_errors=True,
        json_schema_extra={
            "examples": [
                {
                    "regulation": "gdpr",
                    "subject_request_id": "a7551968-d5d6-44b2-9831-815ac9017798",
                    "subject_request_type": "erasure",
                    "submitted_time": "2026-10-02T15:00:00Z",
                    "subject_identities": [
                        {"identity_type": "email", "identity_value": "ivo@example.org", "identity_format": "raw"}
                    ],
                    "extensions": {"localhost": {"subject": {"name": "Ivo Marlin"}}},
                }
            ]
        },
    )

    regulation: Literal["gdpr", "ccpa"]
    subject_request_id: RequestUuid = Field(description="made by the controller; the same one is the same request")
    subject_request_type: Literal["erasure"]
    submitted_time: AwareDatetime
    subject_identities: list[Identity] = Field(default_factory=list, max_length=16, repr=False)
    api_version: str | None = Field(None, max_length=20)
    status_callback_urls: list[str] = Field(default_factory=list, max_length=4, repr=False)
    extensions: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        repr=False,
        description="under this processor's domain: fields of a forget request (subject, kind, evidence, ...)",
    )

    def native(self, domain: str) -> dict[str, Any]:
        """The forget request, still to be validated. Extensions of other processors are theirs."""
        extension = self.extensions.get(domain, {})
        subject: Any = extension.get("subject", {})
        identifiers: Any = subject.get("identifiers", {}) if isinstance(subject, dict) else None
        if isinstance(identifiers, dict):  # else it is refused as it stands
            subject = {**subject, "identifiers": identifiers | self._identifiers(set(identifiers))}
        return {
            **extension,
            "subject": subject,
            "regulation": self.regulation,
            "status_callback_urls": self.status_callback_urls,
        }

    def _identifiers(self, taken: set[str]) -> dict[str, str]:
        """The identities by type; of several of one type the others get numbers."""
        found: dict[str, str] = {}
        for identity in self.subject_identities:
            name: str = identity.identity_type
            numbers = count(2)
            while name in taken or name in found:
                name = f"{identity.identity_type}_{next(numbers)}"
            found[name] = identity.identity_value
        return found


class SupportedIdentity(BaseModel):
    """A kind of identity that requests may have."""

    identity_type: IdentityType
    identity_format: Literal["raw"] = "raw"


class Discovery(BaseModel):
    """Section 6.3."""

    api_version: str = API_VERSION
    supported_identities: list[SupportedIdentity]
    supported_subject_request_types: list[Literal["erasure"]]
    processor_certificate: str

    @classmethod
    def of(cls, domain: str) -> "Discovery":
        """What this processor offers."""
        return cls(
            supported_identities=[SupportedIdentity(identity_type=kind) for kind in get_args(IdentityType)],
            supported_subject_request_types=["erasure"],
            processor_certificate=f"https://{domain}{PATH}/certificate.pem",
        )


class Accepted(BaseModel):
    """Section 7.3."""

    controller_id: str
    expected_completion_time: AwareDatetime
    received_time: AwareDatetime
    encoded_request: str = Field(description="the request's body in base64: do not log or store it")
    subject_request_id: RequestUuid


class RequestStatus(BaseModel):
    """Section 8.3."""

    controller_id: str
    expected_completion_time: AwareDatetime
    subject_request_id: RequestUuid
    request_status: Status
    api_version: str = API_VERSION


class Cancellation(BaseModel):
    """Section 9.2."""

    controller_id: str
    received_time: AwareDatetime
    subject_request_id: RequestUuid
    api_version: str = API_VERSION


class ErrorDetail(BaseModel):
    """What is wrong with one field."""

    domain: str
    reason: str
    message: str


class Error(BaseModel):
    """Section 7.6."""

    code: int
    message: str
    errors: list[ErrorDetail]


class ErrorBody(BaseModel):
    """Section 7.5."""

    error: Error


def completion(request: ForgetRequest) -> datetime:
    """When it is (or was) done, as far as that can be told; at the latest by the regulation's date."""
    if STATUSES[request.state] in ("completed", "cancelled"):
        return request.state_history[-1].at
    expected = request.expected_completion_time or request.due_by
    assert expected is not None  # noqa: S101 gdpr and ccpa both have a date
    return expected


def signed_headers(signer: Signer, domain: str, body: bytes) -> dict[str, str]:
    """Section 8.3: the processor's domain, and ECDSA with SHA-256 over the body (P-256, ASN.1, base64)."""
    signature = base64.b64encode(signer.der_signature(body)).decode()
    return {DOMAIN_HEADER: domain, SIGNATURE_HEADER: signature}


def told_before(callback: Callback) -> bool:
    """Whether an OpenDSR controller knows already: several of our states are one of its statuses."""
    if callback.opendsr is None or callback.before is None:
        return False
    return STATUSES[callback.before] == STATUSES[callback.state]


def callback_body(callback: Callback, address: str) -> bytes:
    """Section 8.6."""
    assert callback.opendsr is not None  # noqa: S101 the caller looked
    return json.dumps(
        {
            "controller_id": callback.opendsr["controller_id"],
            "expected_completion_time": callback.opendsr["due"],
            "status_callback_url": address,
            "subject_request_id": callback.opendsr["subject_request_id"],
            "request_status": STATUSES[callback.state],
        }
    ).encode()


def names(body: OpenDsrRequest, controller: str, due: datetime) -> dict[str, str]:
    """What the callbacks need to know."""
    return {
        "subject_request_id": body.subject_request_id,
        "controller_id": controller,
        "due": due.isoformat(timespec="seconds"),
    }


def parsed(body: OpenDsrRequest, domain: str) -> ForgetRequestIn:
    """The forget request that a request of OpenDSR asks for.

    Raises:
        pydantic.ValidationError: the identities or the extension do not make one.
    """
    return ForgetRequestIn.model_validate(body.native(domain))
