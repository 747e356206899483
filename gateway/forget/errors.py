"""What can go wrong with a forget request.

ForgetError
├── StoreUnavailable        Redis is away, full or cannot promise durability; nothing is lost by trying again
│   ├── Unanswered          it did not answer, or not in time
│   └── StoreRefused        it is there and will not do: wrong password or database, too old; waiting does not help
├── RequestNotFound
├── KeyNotFound             no API key has this id
├── IllegalTransition       the request is in a state that does not allow it
├── RevisionMismatch        If-Match names another revision
├── IdempotencyConflict     the key was used with another body
├── InvalidCursor
├── StaleAttempt            the worker's attempt was overtaken (withdrawn, taken over): stop, publish nothing
├── NothingToDo             the job has no work left, or somebody else is at it
├── FactsKeyMissing         facts are stored as hashes and the key to them is not here
├── SealError               no sealing keys, or a sealed record cannot be opened with them
├── CompositeConflict       the set of active requests changed under the worker: start over from the new composite
├── AdapterUnavailable      the files of an adapter are not to be had here, or are not those that were published
├── SigningKeyError         the key for certificates cannot be read
└── EmbeddedRedisError      no server binary, or it does not start
"""


class ForgetError(Exception):
    """Base of this room's errors. Messages never hold anything of a subject."""


class StoreUnavailable(ForgetError):
    """The store cannot be reached or cannot promise durability."""


class Unanswered(StoreUnavailable):
    """The store was asked and did not answer: whether it did what it was asked is not known."""


class StoreRefused(StoreUnavailable):
    """The store does not let us in, or is too old: somebody has to change its address, its rights or its version."""


class RequestNotFound(ForgetError):
    """No request has this id."""


class KeyNotFound(ForgetError):
    """No API key has this id."""


class IllegalTransition(ForgetError):
    """The state machine has no such step from the request's state."""

    def __init__(self, state: str) -> None:
        super().__init__(f"the request is {state}")
        self.state = state


class FactsKeyMissing(ForgetError):
    """Facts are stored as hashes; this process has no key to them."""


class RevisionMismatch(ForgetError):
    """The request changed since the client read it."""


class IdempotencyConflict(ForgetError):
    """The same idempotency key came with another body."""


class InvalidCursor(ForgetError):
    """The cursor was not handed out by this list."""


class StaleAttempt(ForgetError):
    """Another attempt, or a withdrawal, overtook this one."""


class NothingToDo(ForgetError):
    """The job has nothing left to do, or another worker holds it."""


class CompositeConflict(ForgetError):
    """The composite would bring back a withdrawn request or lose an active one."""


class SealError(ForgetError):
    """A sealed record cannot be opened, or there are no keys to seal with: nothing may be guarded by halves."""


class AdapterUnavailable(ForgetError):
    """An adapter's files cannot be fetched or stored, or their digest is not its own."""


class SigningKeyError(ForgetError):
    """The key for certificates is not there, or of another kind."""


class EmbeddedRedisError(ForgetError):
    """The embedded Redis server cannot be found or started."""
