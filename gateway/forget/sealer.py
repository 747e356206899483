"""The seam where encryption at rest goes: all plaintext of a subject enters and leaves the store here."""

import hashlib
from typing import Protocol


class Sealer(Protocol):
    """Seals what the store keeps of a subject. `context` (the request's id) binds a sealed text to its place."""

    def seal(self, plaintext: str, context: str) -> str:
        """The form in which `plaintext` lies in Redis."""

    def unseal(self, sealed: str, context: str) -> str:
        """The plaintext again."""

    def fingerprint(self, text: str) -> str:
        """A digest to compare by, hex."""


class OpenSealer:
    """Keeps the values readable and hashes without a key: Redis itself must be protected."""

    def seal(self, plaintext: str, context: str) -> str:
        """As it is."""
        return plaintext

    def unseal(self, sealed: str, context: str) -> str:
        """As it is."""
        return sealed

    def fingerprint(self, text: str) -> str:
        """SHA-256."""
        return hashlib.sha256(text.encode()).hexdigest()
