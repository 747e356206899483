"""The certificate of an erased request: what was changed and measured, where it is live, what is not proven."""

import hashlib
import json
import logging
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from gateway.adapter_storage import Fetch, as_published
from gateway.forget.audit_log import Standing
from gateway.forget.errors import AdapterUnavailable
from gateway.forget.figures import LABELS, figures
from gateway.forget.model import ForgetRequest, State
from gateway.forget.problems import Problem
from gateway.forget.snapshot import Composite
from gateway.verify_certificate import VERSIONS
from unlearn_engine.adapter_digest import contents_of, digest_of

logger = logging.getLogger(__name__)

NOT_PROVEN = (
    "that it is still in force after issued_at: ask the gateway; a failed re-check or a withdrawal ends it",
    "that no other way of asking, and no attack on the weights, brings facts back: the figures hold for the questions "
    "that were put, in the languages named here",
    "that facts are forgotten which the base model did not tell when it was asked",
    "that other copies of the model, its training data, retrieval indexes, logs or backups have forgotten anything",
    "that the figures are true: the signature shows that the holder of the key states them",
    "that other replicas run the engine and configuration named here: those are the signing replica's",
)
OTHER_COMPOSITE = (
    "that the composite that is live has these figures: they were measured on the one named in measured_on; the live "
    "one contains this request too, and another request is on its way into or out of it"
)
OTHER_LANGUAGES = (
    "that it is forgotten in other languages of the deployment than those named here: the request asked for these alone"
)
BYPASS = (
    "that nobody gets around the adapter: this deployment honours the header X-Unlearn-Guards, which can switch it off"
)

REPORT_HAS = "Its report says how far it is."

PREFIX_CACHE = (
    "The engine keys cached prefixes by the adapter's name. The name is made of the composite's digest, so no other "
    "content ever has it: nothing computed under other weights is read under these. Answers that were under way when "
    "the adapter was exchanged ended on the weights with which they began."
)


@dataclass(frozen=True)
class Deployment:
    """What this replica serves with. `configuration` is the SHA-256 of the canonical JSON of the engine's settings."""

    base_model: str
    engine: str
    engine_version: str
    configuration: str
    gateway_version: str
    guards_can_be_bypassed: bool


def content(standing: Standing, deployment: Deployment, now: datetime, fetch: Fetch = as_published) -> dict[str, Any]:
    """What the certificate of a request says. Reads the adapter's files: blocks for a moment.

    Raises:
        Problem: the request is not erased (409), or the adapter on disk is not the one that is live (503).
    """
    request, composite = standing.request, standing.composite
    _require_erased(request)
    if composite is None or request.id not in composite.verified or not (request.verification or {}).get("passed"):
        raise _no_certificate(f"No verification that passed is recorded with it. {REPORT_HAS}")
    verification = dict(request.verification or {})
    measured_on = verification.get("composite_digest")
    not_proven = [*NOT_PROVEN]
    if measured_on != composite.digest:
        not_proven.insert(0, OTHER_COMPOSITE)
    if request.languages:
        not_proven.insert(0, OTHER_LANGUAGES)
    if deployment.guards_can_be_bypassed:
        not_proven.insert(0, BYPASS)
    erased_at = _entered(request, State.ERASED)
    guarded_at = request.protection.effective_time
    return {
        "version": VERSIONS["certificate"],
        "issued_at": instant(now),
        "request": {
            "id": request.id,
            "kind": request.kind,
            "created_at": instant(request.created_at),
            "erased_at": instant(erased_at),
        },
        "label": verification["label"],
        "label_meaning": LABELS[verification["label"]],
        "method": {"name": request.erasure.method, "stage": composite.stage, "attempts": request.erasure.attempt},
        "digests": {
            "base_model": deployment.base_model,
            "adapter": _adapter_weights(composite, deployment, fetch),
            "composite": composite.digest,
            "engine_configuration": deployment.configuration,
        },
        "engine": {"name": deployment.engine, "version": deployment.engine_version},
        "gateway": {"version": deployment.gateway_version},
        "verification": {
            "on": "the weights alone, guards off",
            "measured_on": measured_on,
            "questions": verification.get("n"),
            "languages": verification.get("languages"),
            "figures": [figure.model_dump() for figure in figures(verification)],
        },
        "replicas": {
            "live": request.protection.replicas.live,
            "applied": request.protection.replicas.applied,
            "policy_version": request.protection.policy_version,
        },
        "time_to_effect": {
            "guard_s": (guarded_at - request.created_at).total_seconds() if guarded_at else None,
            "weights_s": (erased_at - request.created_at).total_seconds(),
        },
        "prefix_cache": {"adapter_name": f"unlearn-{composite.digest[:16]}", "evidence": PREFIX_CACHE},
        "audit": asdict(standing.head),
        "does_not_prove": not_proven,
    }


def instant(at: datetime) -> str:
    """A time in UTC, to the millisecond."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _entered(request: ForgetRequest, state: State) -> datetime:
    return next(entry.at for entry in reversed(request.state_history) if entry.state is state)


def _require_erased(request: ForgetRequest) -> None:
    if request.state is State.ERASED:
        return
    states = [entry.state for entry in request.state_history]
    if State.ERASED not in states:
        raise _no_certificate(f"The request is {request.state}: only what is erased has a certificate. {REPORT_HAS}")
    left = request.state_history[len(states) - states[::-1].index(State.ERASED)]
    why = left.reason or ("it was withdrawn" if left.state is State.WITHDRAWING else f"it is {request.state}")
    raise _no_certificate(
        f"The request was erased until {instant(left.at)}: {why}. Certificates given before are void."
    )


def _no_certificate(detail: str) -> Problem:
    return Problem(409, "no_certificate", "There is no certificate", detail)


def _adapter_weights(composite: Composite, deployment: Deployment, fetch: Fetch) -> str:
    """The digest of the adapter's weights, if its files have the digest that `unlearn_engine.adapter` published."""
    unreadable = Problem(
        503,
        "adapter_unreadable",
        "The adapter cannot be checked",
        "Its files are not here, or not as they were published: try again; if it stays so, the gateway's log says why.",
    )
    try:
        contents = contents_of(fetch(composite.digest, composite.path))
        made_for = json.loads(contents[-1])["base_digest"]
    except (AdapterUnavailable, OSError, ValueError, KeyError) as error:
        logger.error("no certificate: %s", error if isinstance(error, AdapterUnavailable) else type(error).__name__)
        raise unreadable from None
    if (digest_of(contents), made_for) != (composite.digest, deployment.base_model):
        raise unreadable
    return hashlib.sha256(contents[0]).hexdigest()
