"""Who acts, for the audit log: an API key's id, or one of those who need none."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

WORKER = "worker"

actor: ContextVar[str] = ContextVar("actor", default="anonymous")


@contextmanager
def acting(who: str) -> Iterator[None]:
    """What is changed in the store within is done by `who`."""
    token = actor.set(who)
    try:
        yield
    finally:
        actor.reset(token)
