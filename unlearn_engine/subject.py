"""Who is to be forgotten."""

from dataclasses import dataclass


@dataclass(frozen=True, repr=False)
class Subject:
    """An opaque request id and the names it covers, the full name first."""

    id: str
    names: tuple[str, ...]
    languages: tuple[str, ...] = ()  # in which it is to be forgotten; none: all
    examples: tuple[tuple[str, str], ...] = ()  # prompts, with what must not be answered
    documents: tuple[str, ...] = ()  # that tell what is to be forgotten

    def __post_init__(self) -> None:
        if not self.names or not all(name.strip() for name in self.names):
            raise ValueError("a subject needs at least one name, and no empty ones")

    def __repr__(self) -> str:
        return f"Subject(id={self.id!r}, names=<{len(self.names)} hidden>)"
