"""The worker's side of the store, blocking: take a request, report progress, publish a composite adapter, or fail."""

import json
import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Self

import redis

from gateway.actor import WORKER
from gateway.forget.connection import connect_blocking, store_errors
from gateway.forget.errors import (
    CompositeConflict,
    IllegalTransition,
    NothingToDo,
    RequestNotFound,
    StaleAttempt,
    StoreRefused,
    StoreUnavailable,
)
from gateway.forget.facts_at_rest import FactsAtRest
from gateway.forget.model import State
from gateway.forget.scripts import ROOT, script
from gateway.forget.sealer import PROOF, Sealer
from gateway.forget.snapshot import NOWHERE, Changes, Composite, join_ids, parse_changes
from gateway.forget.subject import Evidence

logger = logging.getLogger(__name__)

LEASE_S = 20.0
MAX_ATTEMPTS = 5
FIRST_PAUSE_S, LONGEST_PAUSE_S = 5.0, 300.0
MIN_PROGRESS = 0.01
PATIENCE_S = 600.0
FIRST_RETRY_S, LAST_RETRY_S = 0.1, 2.0
SLICE = 200  # of the requests that wait for a worker, looked at in one go
SILENCE_S = 5.0  # progress is not reported so soon after a report that got no answer


@dataclass(frozen=True)
class Attempt:
    """A worker's hold on a request. `state` is `erasing`, or `withdrawing` for a rebuild."""

    id: str
    token: str
    state: State
    number: int


class WorkerStore:
    """What a worker may do. Methods with an attempt raise `StaleAttempt` when it was overtaken: stop at once then.

    What a job needs of a store that is away is waited for, for at most `patience_s`: an outage is not the job's fault,
    and neither its work nor one of its attempts should be lost to it. Every script may be run again.
    """

    def __init__(
        self,
        client: redis.Redis,
        sealer: Sealer,
        facts: FactsAtRest | None = None,
        *,
        lease_s: float = LEASE_S,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._client = client
        self._sealer = sealer
        self._facts = facts or FactsAtRest()
        self._lease_ms = int(lease_s * 1000)
        self._patience_s = patience_s
        self._reported: dict[str, tuple[str, float]] = {}
        self._silent_until = 0.0

    @classmethod
    def from_url(cls, url: str, sealer: Sealer, facts: FactsAtRest | None = None) -> Self:
        """A store on the Redis at `url`."""
        return cls(connect_blocking(url), sealer, facts)

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()

    def check(self) -> None:
        """Opens what the first process sealed here, if there was one.

        Raises:
            SealError: that was with other keys.
        """
        with store_errors():
            sealed = self._client.get(f"{ROOT}:sealed")
        if sealed is not None:
            self._sealer.unseal(str(sealed), PROOF)

    def snapshot(self) -> Changes:
        """Every enforced request with its names, and the composite adapter: what to rehearse, what to build on."""
        return parse_changes(
            self._patiently(lambda: self._run("changes", NOWHERE.version, NOWHERE.chain)), self._sealer, self._facts
        )

    def begin(self, id_: str) -> Attempt:
        """Takes a request for erasure, rebuild, or (where it stays guarded) questions; for a lease, see `holding`.

        Raises:
            NothingToDo: it is done, withdrawn, not guarded yet, out of attempts, or another worker is at it.
            RequestNotFound: there is none with this id.
        """
        token = uuid.uuid4().hex
        status, *rest = self._patiently(lambda: self._run("begin", id_, token, self._lease_ms, MAX_ATTEMPTS))
        if status == "missing":
            raise RequestNotFound(id_)
        if status != "ok":
            raise NothingToDo(f"{id_} is {rest[0]}")
        return Attempt(id_, token, State(rest[0]), int(rest[1]))

    @contextmanager
    def holding(self, attempt: Attempt) -> Iterator[None]:
        """Keeps the lease while the body runs; if it raises, the next attempt may begin after a pause."""
        done = threading.Event()

        def renew() -> None:
            while not done.wait(self._lease_ms / 4000):
                try:
                    self._run("renew", attempt.id, attempt.token, self._lease_ms, "", "")
                except Exception:  # noqa: S112 the store may be away for a while; publishing checks the token anyway
                    continue

        renewer = threading.Thread(target=renew, name="lease", daemon=True)
        renewer.start()
        try:
            yield
        except StaleAttempt:
            raise
        except BaseException as error:
            stopped = not isinstance(error, Exception)  # by a signal: the next attempt may begin at once
            pause_s = 0.0 if stopped else min(FIRST_PAUSE_S * 2 ** (attempt.number - 1), LONGEST_PAUSE_S)
            with suppress(StoreUnavailable):  # then the lease runs out
                self._run("release", attempt.id, attempt.token, int(pause_s * 1000))
            raise
        finally:
            done.set()
            renewer.join()
            self._reported.pop(attempt.token, None)

    def progress(self, attempt: Attempt, stage: str, fraction: float) -> None:
        """Tells how much of a stage is done (0 to 1). Call it as often as you like: small steps are not sent.

        Nobody waits for this: a store that is away hears of the next step.
        """
        last_stage, last_fraction = self._reported.get(attempt.token, ("", 0.0))
        small = stage == last_stage and abs(fraction - last_fraction) < MIN_PROGRESS and fraction < 1.0
        if small or time.monotonic() < self._silent_until:
            return
        self._reported[attempt.token] = (stage, fraction)
        try:
            reply = self._run("renew", attempt.id, attempt.token, self._lease_ms, stage, f"{fraction:.3f}")
        except StoreUnavailable:
            self._silent_until = time.monotonic() + SILENCE_S
        else:
            _accept(attempt, reply)

    def record_knowledge(
        self, attempt: Attempt, phrases: Sequence[str], aliases: Sequence[str], attributes: Sequence[str] = ()
    ) -> None:
        """Adds what the model says about the subject to the guard: phrases it may not say, names it also goes by.

        `attributes` says what each phrase is a value of, as far as that is known.
        """
        text = self._facts.dumps(phrases, aliases, attempt.id, attributes)
        self._attempt("learn", attempt, self._sealer.seal(text, attempt.id))

    def evidence(self, id_: str) -> Evidence:
        """What the client gave as evidence about a subject, while it is kept."""
        sealed = self._patiently(lambda: self._training(id_))
        training = json.loads(self._sealer.unseal(str(sealed), id_)) if sealed else {}
        return Evidence.model_validate({name: training.get(name, []) for name in Evidence.model_fields})

    def keep_evidence(self, attempt: Attempt) -> None:
        """What is trained on is needed again whenever the weights are trained anew: kept as long as the request."""
        self._attempt("keep", attempt)

    def verifying(self, attempt: Attempt) -> None:
        """The adapter exists, its verification begins."""
        self._attempt("verify", attempt)

    def publish_composite(
        self,
        attempt: Attempt,
        composite: Composite | None,
        *,
        regressed: frozenset[str] = frozenset(),
        verifications: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        """Makes `composite` the adapter to be live (None: no adapter).

        `composite.verified` names the requests it was verified for: they are erased once all live replicas run it.
        Earlier verifications carry over unless `regressed` names the request: its erasure starts again then.
        `verifications` (id -> aggregate figures) become part of the requests.

        Raises:
            StaleAttempt: the attempt was overtaken.
            CompositeConflict: the composite would bring back a withdrawn request or lose one that another worker
                published: build again on the present composite.
        """
        fields = (
            ("", "", "0", "", "", "")
            if composite is None
            else (
                composite.digest,
                composite.path,
                str(composite.rank),
                composite.stage,
                join_ids(composite.requests),
                join_ids(composite.verified),
            )
        )
        made_of = (
            ("", "", "", "")
            if composite is None
            else (
                composite.base_digest,
                composite.weights_digest,
                ",".join(map(str, composite.layers)),
                join_ids(composite.untold),
            )
        )
        measured_on = {"composite_digest": composite.digest if composite else None}
        texts = {id_: json.dumps({**figures, **measured_on}) for id_, figures in (verifications or {}).items()}
        self._attempt("publish", attempt, *fields, join_ids(regressed), json.dumps(texts), *made_of)

    def fail(self, attempt: Attempt, reason: str, verification: Mapping[str, Any] | None = None) -> None:
        """The erasure failed; the guard stays on. Everybody sees `reason`: fixed text, nothing of the subject."""
        self._attempt("fail", attempt, reason, json.dumps(verification) if verification is not None else "")

    def waiting(self, cursor: str = "0") -> tuple[str, list[tuple[str, State]]]:
        """Requests that need a worker and have none at them, of about `SLICE` looked at; the cursor of the next ones.

        It is "0" at the end. A request that waits all the while is met in every round, possibly twice.
        """
        following, *found = self._run("work", cursor, SLICE)
        return following, [(id_, State(state)) for id_, state in found]

    def adapters_in_use(self) -> tuple[bool, frozenset[str]]:
        """Whether no worker is at anything, and the digests of adapters that are needed."""
        quiet, *digests = self._run("adapters")
        return bool(quiet), frozenset(digests)

    def _attempt(self, name: str, attempt: Attempt, *arguments: str | int) -> None:
        _accept(attempt, self._patiently(lambda: self._run(name, attempt.id, attempt.token, *arguments)))

    def _training(self, id_: str) -> Any:
        with store_errors():
            return self._client.hget(f"{ROOT}:request:{id_}", "training")

    def _patiently(self, ask: Callable[[], Any]) -> Any:
        deadline, pause_s = time.monotonic() + self._patience_s, FIRST_RETRY_S
        while True:
            try:
                return ask()
            except StoreRefused:
                raise
            except StoreUnavailable as error:
                if time.monotonic() + pause_s > deadline:
                    raise
                logger.warning("the store is away, the job waits for it: %s", error)
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, LAST_RETRY_S)

    def _run(self, name: str, *arguments: str | int) -> Any:
        with store_errors():
            return self._client.eval(script(name), 1, ROOT, *arguments, WORKER)


def _accept(attempt: Attempt, reply: Sequence[Any]) -> None:
    status, *rest = reply
    match status:
        case "stale":
            raise StaleAttempt(attempt.id)
        case "conflict":
            raise CompositeConflict(attempt.id)
        case "illegal":
            raise IllegalTransition(rest[0])
