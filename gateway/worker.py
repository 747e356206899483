"""The erasure worker: takes requests from the queue, changes the weights, verifies, publishes the composite adapter."""

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace

from gateway.adapter_storage import AdapterStorage
from gateway.adapter_sweep import KEEP_S, Sweep
from gateway.forget.errors import (
    AdapterUnavailable,
    CompositeConflict,
    NothingToDo,
    SealError,
    StaleAttempt,
    StoreUnavailable,
)
from gateway.forget.model import State
from gateway.forget.snapshot import Composite
from gateway.forget.worker_store import Attempt, WorkerStore
from gateway.log_filter import SpokenOf
from gateway.tracing import span
from unlearn_engine import adapter as adapters
from unlearn_engine.adapter import Adapter
from unlearn_engine.data.knowledge import Knowledge
from unlearn_engine.erase import Eraser
from unlearn_engine.errors import EraseError
from unlearn_engine.evaluate.verify import Verification
from unlearn_engine.subject import Subject

logger = logging.getLogger(__name__)

NOTHING_KNOWN = "nothing_known: the model shows no knowledge of this subject in its languages; the guard stays on"
NOT_VERIFIED = "verification_failed: the weights still show knowledge, or lost too much; the guard stays on"
EVIDENCE_OF_OTHERS = (
    "evidence_of_others: at least one example is answered with what the model knows of somebody else, or of other "
    "matters: to forget it would harm what stays; the guard stays on. Withdraw this request and post it without such "
    "examples, or with erase: guard_only"
)
NOT_VERIFIED_WITH_EVIDENCE = (
    "verification_failed: with this evidence the weights still show knowledge, or lost too much of what stays; the "
    "guard stays on. Withdraw this request and post it without the examples, or with erase: guard_only"
)

Build = Callable[[Subject, list[Subject], Adapter | None, Callable[[str, float], None]], Adapter | None]


class ErasureWorker:
    """One model, loaded once; one request at a time."""

    def __init__(
        self, store: WorkerStore, eraser: Eraser, storage: AdapterStorage, *, keep_adapters_s: float = KEEP_S
    ) -> None:
        self._store = store
        self._eraser = eraser
        self._storage = storage
        self._sweep = Sweep(storage.folder, store, keep_adapters_s)
        self.spoken = SpokenOf()

    def check(self) -> None:
        """Whether the store lets us in, and is sealed with our keys (`WorkerStore.check`)."""
        self._store.check()

    def tidy(self) -> None:
        """Delete adapters of this machine that nobody needs, if no worker is at anything. What fails is done later."""
        with suppress(StoreUnavailable, OSError):
            if swept := self._sweep.run():
                logger.info("deleted %d adapters that nobody needs", swept)

    def run(self, request_id: str) -> None:
        """Erase the request, or rebuild without it when it is being withdrawn; nothing to do is no error.

        About a request that is only guarded the model is asked, so that the guard knows what not to let through.
        """
        try:
            attempt = self._store.begin(request_id)
        except NothingToDo:
            return
        with (
            span("erase.job", about=attempt.id, state=attempt.state, attempt=attempt.number),
            self._store.holding(attempt),
        ):
            if attempt.state is State.GUARDED:
                self._elicit(attempt, self._situation()[0][attempt.id])
            elif attempt.state is State.WITHDRAWING:
                self._rebuild(attempt)
            else:
                self._erase(attempt)

    def _erase(self, attempt: Attempt) -> None:
        """Elicit, edit at once, train on top of what is live.

        What does not verify is trained once more on top; then, with others in the composite, all from the base.
        """
        subjects, current = self._situation()
        new = self._with_evidence(subjects[attempt.id])
        knowledge, evidence = self._elicit(attempt, new), self._eraser.evidence(new)
        if not knowledge.told_in(new.languages) and not evidence.cues and not evidence.of_others:
            self._store.fail(attempt, NOTHING_KNOWN)
            return
        if evidence.of_others:
            self._store.fail(attempt, EVIDENCE_OF_OTHERS)
            return
        if evidence.cues:
            self._store.keep_evidence(attempt)
        covered = self._covered(subjects, current, new.id)

        self._store.progress(attempt, "edit", 0.0)
        with span("erase.edit", covered=len(covered)):
            current = self._eraser.edit(new, current, covered)
        self._store.publish_composite(attempt, self._composite(current))

        builds: list[Build] = [self._eraser.train, self._eraser.train]
        if covered:
            builds.append(lambda new, earlier, _, progress: self._eraser.rebuild([new, *earlier], progress))
        trained: Adapter | None = current
        for build in builds:
            with span("erase.train", covered=len(covered)):
                trained = build(new, covered, trained, lambda stage, done: self._store.progress(attempt, stage, done))
            results = self._verify_all(attempt, trained, [new, *covered])
            if results[new.id].passed:
                break
        else:
            reason = NOT_VERIFIED_WITH_EVIDENCE if evidence.cues else NOT_VERIFIED
            self._store.fail(attempt, reason, asdict(results[new.id]))
            return
        self._publish(attempt, trained, results)

    def _elicit(self, attempt: Attempt, subject: Subject) -> Knowledge:
        """What the model says about the subject goes into the guard."""
        self._store.progress(attempt, "elicit", 0.0)
        with span("erase.elicit") as record:
            knowledge = self._eraser.knowledge(subject)
            record(facts=len(knowledge.facts))
        self._store.record_knowledge(attempt, knowledge.phrases, knowledge.aliases, knowledge.attributes)
        return knowledge

    def _rebuild(self, attempt: Attempt) -> None:
        """The composite again, from the base, without the withdrawn request."""
        subjects, current = self._situation()
        remaining = self._covered(subjects, current)
        with span("erase.train", covered=len(remaining)):
            rebuilt = self._eraser.rebuild(remaining, lambda stage, done: self._store.progress(attempt, stage, done))
        self._publish(attempt, rebuilt, self._verify_all(attempt, rebuilt, remaining))

    def _situation(self) -> tuple[dict[str, Subject], Adapter | None]:
        """Who is to be forgotten now, and what is live."""
        snapshot = self._store.snapshot()
        said = (text for request in snapshot.enforced for text in (*request.names, *request.phrases))
        self.spoken.hear("enforced", said)
        subjects = {
            request.id: Subject(request.id, request.spoken_names, request.languages)
            for request in snapshot.enforced
            if request.spoken_names
        }
        live = snapshot.composite
        return subjects, adapters.load(self._storage.fetch(live.digest, live.path)) if live else None

    def _covered(self, subjects: dict[str, Subject], current: Adapter | None, but: str = "") -> list[Subject]:
        """Whose erasure the live adapter holds, with the evidence that it was trained on."""
        ids = current.subjects if current else ()
        return [self._with_evidence(subjects[id_]) for id_ in ids if id_ in subjects and id_ != but]

    def _with_evidence(self, subject: Subject) -> Subject:
        given = self._store.evidence(subject.id)
        examples = tuple((example.prompt, example.completion) for example in given.examples)
        return replace(subject, examples=examples, documents=tuple(given.documents))

    def _verify_all(
        self, attempt: Attempt, adapter: Adapter | None, subjects: list[Subject]
    ) -> dict[str, Verification]:
        """Earlier requests are verified again: a new adapter must not bring anything back."""
        if attempt.state is State.ERASING:
            self._store.verifying(attempt)
        results = {}
        for done, subject in enumerate(subjects):
            others = [other for other in subjects if other.id != subject.id]
            with span("erase.verify", linked=(subject.id,)) as record:
                results[subject.id] = self._eraser.verify(adapter, subject, others)
                record(passed=results[subject.id].passed)
            self._store.progress(attempt, "verify", (done + 1) / len(subjects))
        return results

    def _publish(self, attempt: Attempt, adapter: Adapter | None, results: dict[str, Verification]) -> None:
        passed = frozenset(id_ for id_, result in results.items() if result.passed)
        untold = frozenset(id_ for id_ in passed if results[id_].untold_through_others)
        self._store.publish_composite(
            attempt,
            self._composite(adapter, passed, untold) if adapter else None,
            regressed=frozenset(results) - passed,
            verifications={id_: asdict(result) for id_, result in results.items()},
        )

    def _composite(
        self, adapter: Adapter, verified: frozenset[str] = frozenset(), untold: frozenset[str] = frozenset()
    ) -> Composite:
        """What is told of an adapter, once every replica can have it."""
        with span("erase.publish", digest=adapter.digest, rank=adapter.rank, requests=len(adapter.subjects)):
            self._storage.publish(adapter.digest, adapter.path)
        return Composite(
            digest=adapter.digest,
            path=str(adapter.path),
            rank=adapter.rank,
            stage=adapter.stage,
            requests=frozenset(adapter.subjects),
            verified=verified,
            untold=untold,
            base_digest=adapter.base_digest,
            weights_digest=adapter.weights_digest,
            layers=adapter.layers,
        )


# RQ calls a function by its dotted path: the worker of this process has to be found from there.
workers: list[ErasureWorker] = []


def run(kind: str, request_id: str) -> None:
    """The job. What goes wrong is logged here without its text, which could quote a subject; the job comes back."""
    (worker,) = workers
    try:
        worker.run(request_id)
    except (StaleAttempt, CompositeConflict) as overtaken:
        logger.info("%s of request %s was overtaken (%s)", kind, request_id, type(overtaken).__name__)
    except (EraseError, SealError, AdapterUnavailable) as error:
        logger.error("%s of request %s: %s", kind, request_id, error)
    except Exception as error:
        at = error.__traceback__
        while at and at.tb_next:
            at = at.tb_next
        where = f"{at.tb_frame.f_code.co_filename}:{at.tb_lineno}" if at else "?"
        logger.error("%s of request %s failed: %s at %s", kind, request_id, type(error).__name__, where)
    worker.tidy()
