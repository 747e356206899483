"""What a replica has heard of the store so far: the list of enforced requests, followed change by change."""

import logging
from collections.abc import Iterable, Mapping

from gateway.forget.snapshot import NOWHERE, Changes, Composite, Continuity, EnforcedRequest, Mark
from gateway.guards.policy import Target

logger = logging.getLogger(__name__)


class Followed:
    """Requests and composite adapter as of `mark`; `stale` are those that came, changed or went since it was emptied.

    If the store comes back with an older state, what it has lost stays, as `orphaned`, until it says something of it.
    """

    def __init__(self) -> None:
        self.mark: Mark = NOWHERE
        self.requests: dict[str, EnforcedRequest] = {}
        self.composite: Composite | None = None
        self.stale: set[str] = set()
        self.orphaned: set[str] = set()

    def hear(self, changes: Changes) -> None:
        """Takes up what the store says has changed since `mark`."""
        listed = {request.id: request for request in changes.enforced}
        match changes.continuity:
            case Continuity.SAME:
                return
            case Continuity.DELTA:
                self._take(listed, changes.dropped)
            case Continuity.FULL:
                lost = self.requests.keys() - listed.keys() - self.orphaned
                self._take(listed, changes.dropped | lost)
            case Continuity.DIVERGED:
                self.orphaned = self.requests.keys() - listed.keys()
                self._take(listed, changes.dropped)
                logger.critical(
                    "ALARM: the store is back with an older state (version %d, enforced was %d): "
                    "%d requests that it does not know stay guarded here",
                    changes.mark.version,
                    self.mark.version,
                    len(self.orphaned),
                )
        self.orphaned -= listed.keys() | changes.dropped
        self.composite = changes.composite
        self.mark = changes.mark

    def _take(self, listed: Mapping[str, EnforcedRequest], dropped: Iterable[str]) -> None:
        for id_, request in listed.items():
            if self.requests.get(id_) != request:
                self.stale.add(id_)
            self.requests[id_] = request
        for id_ in dropped:
            if self.requests.pop(id_, None) is not None:
                self.stale.add(id_)


def target(request: EnforcedRequest) -> Target:
    """What the guards are to look for."""
    return Target(
        request.id,
        request.names,
        request.exclusions,
        request.response,
        request.phrases,
        request.attributes,
        description=request.description,
        in_context=request.in_context,
        audiences=request.audiences,
        hashes=request.hashes,
        patterns=request.patterns,
    )
