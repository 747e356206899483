"""Builds what the API shows of a request from what lies in Redis."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median
from typing import Any, Literal

from gateway.forget.conditions import etag
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
class Pace:
    """How fast erasures go: when a worker last began one, how long the latest took. Times in milliseconds."""

    begun: int | None
    durations: tuple[int, ...]


@dataclass(frozen=True)
class View:
    """Requests at one moment, with the replicas (version, adapter digest) and the composite of that moment."""

    version: int
    replicas: tuple[tuple[int, str], ...]
    composite: Composite | None
    requests: list[ForgetRequest | None]


def parse_view(reply: Sequence[Any]) -> View:
    """A `View` from the reply of `read.lua`."""
    version, replicas, flat_composite, (begun, *durations), *records = reply
    pairs = tuple((int(replica_version), digest) for replica_version, digest in replicas)
    composite = parse_composite(flat_composite)
    pace = Pace(int(begun) if begun else None, tuple(int(duration) for duration in durations))
    requests = [_resource(json.loads(text), pairs, composite, pace) if text else None for text in records]
    return View(version, pairs, composite, requests)


def moment(milliseconds: str | int | float) -> datetime:
    """A time of the server's clock."""
    return datetime.fromtimestamp(float(milliseconds) / 1000, UTC)


def _resource(
    record: Mapping[str, Any], replicas: Sequence[tuple[int, str]], composite: Composite | None, pace: Pace
) -> ForgetRequest:
    id_ = record["member"][14:]
    state = State(record["state"])
    history = json.loads(record["history"])
    grounds = dict.fromkeys(GROUNDS) | json.loads(record.get("grounds", "{}"))
    published = composite if composite and id_ in composite.requests else None
    request = ForgetRequest(
        id=id_,
        kind=record["kind"],
        response=record["response"],
        in_context=record.get("in_context", "block"),  # records of before this field was shown
        audiences=json.loads(record.get("audiences", "[]")),
        erase=record["requested"],
        languages=json.loads(record.get("languages", "[]")),
        **grounds,
        due_by=due_by(grounds["regulation"], moment(record["created"])),
        expected_completion_time=_expected(record, state, pace),
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
            layers=list(published.layers) if published and published.layers else None,
            attempt=int(record["attempt"]),
            stage=record.get("stage"),
            fraction=float(record["fraction"]) if "fraction" in record else None,
            base_digest=(published.base_digest or None) if published else None,
            adapter_digest=(published.weights_digest or None) if published else None,
            composite_digest=published.digest if published else None,
            composite_stage=published.stage if published else None,
        ),
        verification=json.loads(record["verification"]) if "verification" in record else None,
        links=links(id_),
        etag="",
    )
    return request.model_copy(update={"etag": etag(record["revision"], request.model_dump_json())})


def _expected(record: Mapping[str, Any], state: State, pace: Pace) -> datetime | None:
    """When the erasure will be done if the ones before it, and it, take as long as the latest did (their median).

    It depends on what happened, not on when one looks: a later time than that is not known.
    """
    if record["erase"] != "auto" or not pace.durations:
        return None
    each_ms = median(pace.durations)
    match state:
        case State.ERASING | State.VERIFYING:
            expected = int(record.get("begun", record["updated"])) + each_ms
        case State.RECEIVED | State.GUARDED:
            expected = max(pace.begun or 0, int(record["updated"])) + (int(record["ahead"]) + 1) * each_ms
        case _:
            return None
    return moment(expected) if expected > datetime.now(UTC).timestamp() * 1000 else None


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
