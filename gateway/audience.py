"""Who asks: the audiences of the API key of the current request, and from whom a subject is withheld."""

from contextvars import ContextVar
from typing import Annotated

from pydantic import StringConstraints

Audience = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]

audiences: ContextVar[frozenset[str]] = ContextVar("audiences", default=frozenset())


def withheld(subject: frozenset[str], caller: frozenset[str]) -> bool:
    """Whether a subject withheld from some audiences (none given: from everyone) is withheld from this caller.

    A caller without an audience is unknown, so everything is withheld; one in several audiences gets what all may get.
    """
    return not subject or not caller or not subject.isdisjoint(caller)
