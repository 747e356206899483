"""The gateway's side of the store: takes requests, shows them, hands out the policy, hears what replicas apply."""

import asyncio
import json
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.actor import acting
from gateway.forget.connection import BLOCK_S
from gateway.forget.errors import (
    IdempotencyConflict,
    IllegalTransition,
    RequestNotFound,
    RevisionMismatch,
)
from gateway.forget.model import AdapterState, Decision, ForgetRequest, ForgetRequestIn, PolicyState, Replicas, State
from gateway.forget.record_store import RecordStore
from gateway.forget.resource import GROUNDS, moment
from gateway.forget.scripts import ROOT
from gateway.forget.sealer import PROOF
from gateway.forget.snapshot import (
    Changes,
    Mark,
    findable,
    given_phrases,
    parse_changes,
    same_wish,
    subject_text,
    training_text,
)
from gateway.tracing import span

ANONYMOUS = "anonymous"
DEFAULT_LEASE_S = 60.0
CLAIM_S = 60.0  # longer than a round of questions takes


@dataclass(frozen=True)
class Event:
    """One entry of a request's event stream; `id` orders it."""

    id: str
    kind: str
    data: Mapping[str, Any]


@dataclass(frozen=True)
class Acknowledgement:
    """The store's answer to a replica: whether they follow the same log, and which requests moved because of it."""

    same_log: bool
    version: int
    moved: tuple[tuple[str, State], ...]


class Store(RecordStore):
    """Forget requests in Redis. Every method raises `StoreUnavailable` when Redis is away."""

    async def check(self) -> None:
        """Besides, opens what the first process sealed here: nothing is written before.

        Raises:
            SealError: that was with other keys.
        """
        proof = f"{ROOT}:sealed"
        async with self._answering():
            await self._client.setnx(proof, self._sealer.seal(PROOF, PROOF))
            sealed = await self._client.get(proof)
        self._sealer.unseal(str(sealed), PROOF)
        await super().check()

    async def submit(
        self,
        request: ForgetRequestIn,
        *,
        idempotency_key: str | None = None,
        principal: str = ANONYMOUS,
        trusted: bool = True,
        opendsr: Mapping[str, str] | None = None,
    ) -> str:
        """Stores a request; returns its id once it is durable. Only a trusted one becomes part of the policy at once.

        `opendsr` is how an OpenDSR controller calls it, for the callbacks.

        Raises:
            IdempotencyConflict: the key was used with another body.
        """
        id_ = str(uuid.uuid4())
        fingerprint, seal = self._sealer.fingerprint, self._sealer.seal
        phrases = await asyncio.to_thread(given_phrases, request)
        training, names = training_text(request), findable(request.subject)
        # `model_dump_json` keeps the order of the fields: equal bodies have equal forms, however they were written.
        with span("forget.submit", about=id_, first=True, kind=request.kind, trusted=trusted):
            reply = await self._write(
                "submit",
                id_,
                fingerprint(f"{principal}\0{idempotency_key}") if idempotency_key is not None else "",
                fingerprint(request.model_dump_json()) if idempotency_key is not None else "",
                request.kind,
                request.response,
                request.erase,
                "guard_only" if request.guard_only else "auto",
                json.dumps(request.labels),
                seal(subject_text(request), id_),
                request.in_context,
                json.dumps(request.audiences),
                json.dumps(request.model_dump(include=set(GROUNDS))),
                fingerprint(same_wish(request, names)),
                State.RECEIVED if trusted else State.AWAITING_REVIEW,
                seal(self._facts.dumps(phrases, (), id_), id_) if phrases else "",
                seal(training, id_) if training else "",
                ",".join(sorted(map(self._term, names))),
                json.dumps(request.languages),
                seal(json.dumps(request.status_callback_urls), id_) if request.status_callback_urls else "",
                len(request.status_callback_urls),
                json.dumps(opendsr) if opendsr is not None else "",
            )
        if reply[0] == "conflict":
            raise IdempotencyConflict("this Idempotency-Key was used with another body")
        return str(reply[1])

    async def claim(self, id_: str, asker: str) -> bool:
        """Whether `asker` may ask its model about a subject now: no other gateway is at it, none and no worker was."""
        return bool(await self._run("claim", id_, asker, int(CLAIM_S * 1000)))

    async def hear(
        self,
        id_: str,
        phrases: Sequence[str],
        aliases: Sequence[str],
        attributes: Sequence[str] = (),
        *,
        everything: bool = True,
    ) -> bool:
        """Makes what the served model says of a subject part of its guard, in place of what was heard before.

        `everything` says that there is no more to ask. Returns whether it was wanted: not where the worker has asked.
        """
        text = self._facts.dumps(phrases, aliases, id_, attributes) if phrases or aliases else ""
        return bool(await self._run("hear", id_, self._sealer.seal(text, id_) if text else "", int(everything)))

    async def submitted_as(self, principal: str, idempotency_key: str) -> ForgetRequest:
        """What a principal submitted with this idempotency key.

        Raises:
            RequestNotFound: nothing.
        """
        key = self._sealer.fingerprint(f"{principal}\0{idempotency_key}")
        async with self._answering():
            id_ = await self._client.hget(f"{ROOT}:idempotency:{key}", "id")
        if id_ is None:
            raise RequestNotFound("nothing was submitted so")
        return await self.get(str(id_))

    async def withdraw(self, id_: str, *, revisions: str = "") -> bool:
        """Drops the guard and starts the way out of the weights; says whether a rebuild has to be queued.

        Raises:
            RequestNotFound, RevisionMismatch, IllegalTransition (it is withdrawn already).
        """
        reply = self._accepted(await self._write("withdraw", id_, revisions), id_)
        return bool(reply[1] == "rebuild")

    async def retry(self, id_: str, *, revisions: str = "") -> None:
        """Lets a failed erasure start again.

        Raises:
            RequestNotFound, RevisionMismatch, IllegalTransition (it did not fail).
        """
        self._accepted(await self._write("retry", id_, revisions), id_)

    async def review(self, id_: str, decision: Decision, *, revisions: str = "") -> State:
        """Carries out a reviewer's decision; returns the state after it.

        Raises:
            RequestNotFound, RevisionMismatch, IllegalTransition (its state does not allow the decision).
        """
        return State(self._accepted(await self._write("review", id_, revisions, decision), id_)[1])

    async def changes(self, since: Mark) -> Changes:
        """What a replica at `since` has to apply to be up to date.

        Raises:
            SealError: a record cannot be opened.
        """
        reply = await self._run("changes", since.version, since.chain)
        return await asyncio.to_thread(parse_changes, reply, self._sealer, self._facts)

    async def wait_for_change(self, since: Mark, timeout_s: float = BLOCK_S) -> None:
        """Returns when the log goes beyond `since`, or after `timeout_s` (at most a second)."""
        await self._read_stream(f"{ROOT}:log", f"{since.version}-0", min(timeout_s, BLOCK_S))

    async def acknowledge(
        self, replica_id: str, applied: Mark, adapter_digest: str, *, lease_s: float = DEFAULT_LEASE_S
    ) -> Acknowledgement:
        """Records what a replica applies and advances every request that all live replicas have come up with.

        The replica counts as live for `lease_s`: it must not serve longer than that without an acknowledgement.
        """
        with acting(f"replica:{replica_id}"):
            same_log, version, *moved = await self._run(
                "acknowledge", replica_id, applied.version, applied.chain, adapter_digest, int(lease_s * 1000)
            )
        pairs = zip(moved[::2], moved[1::2], strict=True)
        return Acknowledgement(bool(same_log), version, tuple((id_, State(state)) for id_, state in pairs))

    async def leave(self, replica_id: str) -> None:
        """A replica stops serving: nobody waits for it any more."""
        async with self._answering():
            await self._client.hdel(f"{ROOT}:replicas", replica_id)

    async def events(self, id_: str, after: str = "0-0", *, block: bool = True) -> list[Event]:
        """Events of a request after the one with id `after`; waits up to a second for the first."""
        entries = await self._read_stream(f"{ROOT}:events:{id_}", after, BLOCK_S if block else None)
        return [_event(entry_id, fields) for entry_id, fields in entries]

    async def wait_until_guarded(self, id_: str, timeout_s: float) -> None:
        """Returns when the request is no longer merely received, or after `timeout_s` seconds."""
        deadline, last = time.monotonic() + timeout_s, "0-0"
        with span("forget.wait", about=id_) as record:
            while (left := deadline - time.monotonic()) > 0:
                for entry_id, fields in await self._read_stream(f"{ROOT}:events:{id_}", last, min(left, BLOCK_S)):
                    last = entry_id
                    if fields.get("state") != State.RECEIVED:
                        record(state=fields.get("state", ""))
                        return

    async def counts(self) -> dict[State, int]:
        """How many requests are in each state."""
        return (await self._overview())[2]

    async def policy(self) -> PolicyState:
        """The policy's version, coverage and adapter."""
        version, enforced, counts = await self._overview()
        view = await self._view([])
        applied = sum(replica_version >= version for replica_version, _ in view.replicas)
        composite = view.composite
        return PolicyState(
            version=version,
            enforced=enforced,
            counts=counts,
            replicas=Replicas(live=len(view.replicas), applied=applied),
            adapter=AdapterState(
                digest=composite.digest, stage=composite.stage, rank=composite.rank, requests=len(composite.requests)
            )
            if composite
            else None,
        )

    async def _overview(self) -> tuple[int, int, dict[State, int]]:
        states = list(State)
        version, enforced, _, *counts = await self._run("overview", *states)
        return version, enforced, dict(zip(states, counts, strict=True))

    async def _read_stream(self, key: str, after: str, block_s: float | None) -> list[tuple[str, Mapping[str, str]]]:
        block_ms = None if block_s is None else max(1, int(block_s * 1000))  # 0 would mean for ever
        async with self._answering():
            reply: Any = await self._client.xread({key: after}, count=500, block=block_ms)
        return reply[0][1] if reply else []

    @staticmethod
    def _accepted(reply: Sequence[Any], id_: str) -> Sequence[Any]:
        match reply[0]:
            case "missing":
                raise RequestNotFound(id_)
            case "revision":
                raise RevisionMismatch("the request has changed")
            case "illegal":
                raise IllegalTransition(reply[1])
        return reply


def _event(entry_id: str, fields: Mapping[str, str]) -> Event:
    data: dict[str, Any] = {"state": fields["state"], "at": moment(fields["at"]).isoformat()}
    if fields["event"] == "transition":
        data["reason"] = fields["reason"]
    else:
        data |= {"stage": fields["stage"], "fraction": float(fields["fraction"])}
    return Event(entry_id, fields["event"], data)
