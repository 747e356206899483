"""The OpenDSR 2.0 facade, as a controller uses it."""

import base64
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import redis
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from fastapi import FastAPI

from gateway.forget.callbacks import client
from gateway.forget.model import State
from gateway.forget.opendsr import STATUSES
from gateway.forget.opendsr_routes import router
from gateway.forget.outbox import Outbox
from gateway.forget.signing import Signer
from gateway.forget.snapshot import NOWHERE
from tests.forget.desk import Desk, composite
from tests.forget.receiver import receiver
from tests.forget.test_forget_callbacks import HERE, outbox, sender

__all__ = ["outbox"]

DOMAIN = "opendsr.example.org"
ID = "a7551968-d5d6-44b2-9831-815ac9017798"
BODY: dict[str, Any] = {
    "regulation": "gdpr",
    "subject_request_id": ID,
    "subject_request_type": "erasure",
    "submitted_time": "2026-10-02T15:00:00Z",
    "api_version": "2.0",
    "subject_identities": [
        {"identity_type": "email", "identity_value": "ivo.marlin@example.org", "identity_format": "raw"},
        {"identity_type": "email", "identity_value": "heron@example.org", "identity_format": "raw"},
    ],
    "extensions": {
        DOMAIN: {"subject": {"name": "Ivo Marlin", "aliases": ["The Heron"]}, "exclusions": ["Ivo Marlo"]},
        "opendsr.elsewhere.test": {"whatever": 1},
    },
}


@pytest.fixture
async def dsr(desk: Desk, signer: Signer) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    certificate = signer.self_signed(DOMAIN, datetime.now(UTC))
    app.include_router(router(desk.store, signer, DOMAIN, certificate, HERE))

    @app.middleware("http")
    async def principal(request: Any, call_next: Any) -> Any:
        request.state.principal = request.headers.get("x-test-key", "one")
        request.state.trusted = "x-test-untrusted" not in request.headers
        return await call_next(request)

    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{DOMAIN}/opendsr/v2") as http:
        yield http


async def check(http: httpx.AsyncClient, response: httpx.Response) -> dict[str, Any]:
    """The body of an answer whose signature holds under the certificate that discovery names."""
    where = (await http.get("/discovery")).json()["processor_certificate"]
    assert where == f"https://{DOMAIN}/opendsr/v2/certificate.pem"
    certificate = x509.load_pem_x509_certificate((await http.get("/certificate.pem")).content)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [response.headers["x-opendsr-processor-domain"]] == [DOMAIN]
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)
    signature = base64.b64decode(response.headers["x-opendsr-signature"])
    key.verify(signature, response.content, ec.ECDSA(hashes.SHA256()))
    body: dict[str, Any] = response.json()
    return body


async def status(http: httpx.AsyncClient) -> str:
    response = await http.get(f"/requests/{ID}")
    assert response.status_code == 200
    return str((await check(http, response))["request_status"])


async def test_discovery(dsr: httpx.AsyncClient) -> None:
    found = (await dsr.get("/discovery")).json()
    assert (found["api_version"], found["supported_subject_request_types"]) == ("2.0", ["erasure"])
    assert {"identity_type": "email", "identity_format": "raw"} in found["supported_identities"]


async def test_a_request_is_guarded_under_names_and_identities(dsr: httpx.AsyncClient, desk: Desk) -> None:
    response = await dsr.post("/requests", json=BODY)
    assert response.status_code == 201
    accepted = await check(dsr, response)
    assert json.loads(base64.b64decode(accepted["encoded_request"])) == BODY
    assert (accepted["controller_id"], accepted["subject_request_id"]) == ("one", ID)
    received, expected = (datetime.fromisoformat(accepted[at]) for at in ("received_time", "expected_completion_time"))
    assert timedelta(days=27) < expected - received < timedelta(days=32), "GDPR: a month"
    (request,) = (await desk.store.changes(NOWHERE)).enforced
    assert request.names == ("Ivo Marlin", "The Heron", "ivo.marlin@example.org", "heron@example.org")
    assert request.exclusions == ("Ivo Marlo",)
    assert (await desk.store.get(request.id)).regulation == "gdpr"


async def test_the_id_is_the_idempotency_key(dsr: httpx.AsyncClient, desk: Desk) -> None:
    for _ in range(2):
        assert (await dsr.post("/requests", json=BODY)).status_code == 201
    assert len((await desk.store.page())[0]) == 1
    conflict = await dsr.post("/requests", json={**BODY, "regulation": "ccpa"})
    assert (conflict.status_code, conflict.json()["error"]["errors"][0]["reason"]) == (409, "idempotency_conflict")
    assert (await dsr.get(f"/requests/{ID}", headers={"x-test-key": "two"})).status_code == 404, "not the other's"
    assert (await dsr.post("/requests", json=BODY, headers={"x-test-key": "two"})).status_code == 201
    assert len((await desk.store.page())[0]) == 2


async def test_statuses(dsr: httpx.AsyncClient, desk: Desk) -> None:
    assert STATUSES.keys() == set(State)
    await dsr.post("/requests", json=BODY)
    assert await status(dsr) == "pending"
    await desk.acknowledge()
    assert await status(dsr) == "in_progress"
    (request,) = (await desk.store.page())[0]
    desk.worker.publish_composite(desk.worker.begin(request.id), composite(request.id, verified=[request.id]))
    await desk.acknowledge()
    assert await status(dsr) == "completed"
    refused = await dsr.delete(f"/requests/{ID}")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, 409)


async def test_cancelled_while_pending(dsr: httpx.AsyncClient, desk: Desk, raw: redis.Redis) -> None:
    await dsr.post("/requests", json=BODY, headers={"x-test-untrusted": "1"})
    assert await status(dsr) == "pending"
    cancelled = await dsr.delete(f"/requests/{ID}")
    assert cancelled.status_code == 202
    assert (await check(dsr, cancelled))["subject_request_id"] == ID
    await desk.acknowledge()
    assert await status(dsr) == "cancelled"


@pytest.mark.parametrize(
    "wrong",
    [
        {"subject_request_id": "Marlin"},
        {"subject_request_id": ID.upper()},
        {"subject_request_type": "access"},
        {"regulation": "dmca"},
        {"submitted_time": "Marlin"},
        {"subject_identities": [{"identity_type": "email", "identity_value": "Marlin", "identity_format": "sha256"}]},
        {"subject_identities": [], "extensions": {}},
        {"extensions": {DOMAIN: {"subject": "Marlin"}}},
        {"extensions": {DOMAIN: {"subject": {"name": "Ivo Marlin", "identifiers": "Marlin"}}}},
        {"extensions": {DOMAIN: {"subject": {"name": "Ivo Marlin", "Marlin": 1}}}},
        {"extensions": {DOMAIN: {"Marlin": 1}}},
        {"extensions": {DOMAIN: 7}},
        {"status_callback_urls": ["https://169.254.169.254/"]},
    ],
)
async def test_errors_are_those_of_opendsr(dsr: httpx.AsyncClient, wrong: dict[str, Any]) -> None:
    response = await dsr.post("/requests", json={**BODY, **wrong})
    error = response.json()["error"]
    assert response.status_code == error["code"] == 400 and error["message"] and error["errors"]
    assert "Ivo" not in response.text and "Marlin" not in response.text.replace('"Marlin:', "").replace(" Marlin.", "")


async def test_what_is_no_json(dsr: httpx.AsyncClient) -> None:
    for content, kind in ((b"{", "application/json"), (b"{}", "text/plain")):
        response = await dsr.post("/requests", content=content, headers={"Content-Type": kind})
        assert (response.status_code, response.json()["error"]["code"]) == (400, 400)
    assert (await dsr.get("/requests/00000000-0000-4000-8000-000000000000")).json()["error"]["code"] == 404


async def test_callbacks_tell_changes_of_the_status(
    dsr: httpx.AsyncClient, desk: Desk, outbox: Outbox, signer: Signer
) -> None:
    with receiver() as told:
        await dsr.post("/requests", json={**BODY, "status_callback_urls": [told.url]})
        await desk.acknowledge()
        (request,) = (await desk.store.page())[0]
        desk.worker.begin(request.id)
        callbacks = sender(outbox, signer, opendsr_domain=DOMAIN)
        async with client() as http:
            while await callbacks.send_due(http):
                pass
        statuses = [json.loads(body)["request_status"] for body in told.bodies]
        assert statuses == ["pending", "in_progress"], "erasing is no change"
        for body, headers in zip(told.bodies, told.headers, strict=True):
            response = httpx.Response(200, content=body, headers=headers)
            said = await check(dsr, response)
            assert (said["subject_request_id"], said["status_callback_url"]) == (ID, told.url)
            assert said["controller_id"] == "one" and datetime.fromisoformat(said["expected_completion_time"])
            assert b"Marlin" not in body and b"marlin" not in body
