"""Builds what the API shows of a request from what lies in Redis."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from gateway.forget.deadlines import due_by
from gateway.forget.model import (
    Erasure,
    ForgetRequest,
    Links,
    Protection,
    Replicas,
    State,
    Transition,
)
from gateway.forget.snapshot import Composite, parse_composite

PATH = "/v1/forget-requests"
GROUNDS = ("regulation", "legal_basis", "jurisdiction")

REASONS = {
    "guard_only": "guard only: the weights are left alone, for this kind or as asked",
    "attempts_exhausted": "the erasure broke off too often; the guard stays on; POST .../retry starts it again",
    "recheck_failed": "a later check of the weights failed; the guard is on, the erasure starts again",
}


@dataclass(frozen=True)
class View:
    """Requests at one moment, with the replicas (version, adapter digest) and the composite of that moment."""

    version: int
    replicas: tuple[tuple[int, str], ...]
    composite: Composite | None
    requests: list[ForgetRequest | None]


def parse_view(reply: Sequence[Any]) -> View:
    """A `View` from the reply of `read.lua`."""
    version, replicas, flat_composite, *records = reply
    pairs = tuple((int(replica_version), digest) for replica_version, digest in replicas)
    composite = parse_composite(flat_composite)
    requests = [
        _resource(dict(zip(flat[::2], flat[1::2], strict=True)), pairs, composite) if flat else None for flat in records
    ]
    return View(version, pairs, composite, requests)


def moment(milliseconds: str | int | float) -> datetime:
    """A time of the server's clock."""
    return datetime.fromtimestamp(float(milliseconds) / 1000, UTC)


def _resource(
    record: Mapping[str, Any], replicas: Sequence[tuple[int, str]], composite: Composite | None
) -> ForgetRequest:
    id_ = record["member"][14:]
    state = State(record["state"])
    history = json.loads(record["history"])
    grounds = dict.fromkeys(GROUNDS) | json.loads(record.get("grounds", "{}"))
    published = composite if composite and id_ in composite.requests else None
    return ForgetRequest(
        id=id_,
        kind=record["kind"],
        response=record["response"],
        in_context=record.get("in_context", "block"),  # records of before this field was shown
        audiences=json.loads(record.get("audiences", "[]")),
        erase=record["requested"],
        **grounds,
        due_by=due_by(grounds["regulation"], moment(record["created"])),
        duplicate_of=record.get("duplicate"),
        labels=json.loads(record["labels"]),
        state=state,
        state_reason=_reason(record["reason"]),
        state_history=[
            Transition(state=entry["state"], at=moment(entry["at"]), reason=_reason(entry["reason"]))
            for entry in history
        ],
        created_at=moment(record["created"]),
        updated_at=moment(record["updated"]),
        policy_version=int(record["version"]),
        protection=_protection(record, state, replicas, published),
        erasure=Erasure(
            method="guard_only" if record["erase"] == "guard_only" else "counterfactual_name_distillation",
            attempt=int(record["attempt"]),
            stage=record.get("stage"),
            fraction=float(record["fraction"]) if "fraction" in record else None,
            composite_digest=published.digest if published else None,
            composite_stage=published.stage if published else None,
        ),
        verification=json.loads(record["verification"]) if "verification" in record else None,
        links=links(id_),
        etag=f'"{record["revision"]}"',
    )


def links(id_: str) -> Links:
    """What belongs to a request."""
    one = f"{PATH}/{id_}"
    return Links(
        self=one,
        events=f"{one}/events",
        report=f"{one}/report",
        certificate=f"{one}/certificate",
        audit=f"/v1/audit?request={id_}",
    )


def _protection(
    record: Mapping[str, str], state: State, replicas: Sequence[tuple[int, str]], published: Composite | None
) -> Protection:
    """The adapter counts, edited or trained, as soon as every live replica runs it; only the state tells of a proof."""
    level: Literal["none", "guard", "adapter"] = "guard"
    in_weights = published is not None and replicas and all(digest == published.digest for _, digest in replicas)
    unguarded = state in (State.AWAITING_REVIEW, State.REJECTED, State.RECEIVED, State.WITHDRAWING, State.WITHDRAWN)
    if unguarded or (state is State.ON_HOLD and "effective" not in record):
        level = "none"
    elif state is State.ERASED or in_weights:
        level = "adapter"
    version = int(record["version"])
    return Protection(
        level=level,
        policy_version=version,
        effective_time=moment(record["effective"]) if "effective" in record else None,
        replicas=Replicas(live=len(replicas), applied=sum(applied >= version for applied, _ in replicas)),
    )


def _reason(code: str) -> str:
    return REASONS.get(code, code)
