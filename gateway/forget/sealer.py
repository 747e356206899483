"""Encryption at rest: all plaintext of a subject enters and leaves the store here."""

import base64
import hashlib
import hmac
import secrets
import threading
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.forget.errors import SealError
from gateway.security.sealing_keys import KeySource, SealingKeys

PREFIX = "sealed1"
PROOF = "of the sealing keys"  # what the first process of a store seals there, for all later ones to open
NONCE_BYTES = 12  # random: safe for 2^32 records under one key (NIST SP 800-38D, 8.3)


class Sealer(Protocol):
    """Seals what the store keeps of a subject. `context` (the request's id) binds a sealed text to its place."""

    def seal(self, plaintext: str, context: str) -> str:
        """The form in which `plaintext` lies in Redis."""

    def unseal(self, sealed: str, context: str) -> str:
        """The plaintext again. Raises SealError."""

    def fingerprint(self, text: str) -> str:
        """A digest to compare by, hex."""


class AesGcmSealer:
    """AES-256-GCM: `sealed1:<key id>:<nonce and ciphertext in base64>`, key id and context authenticated with it.

    Keys are read again when the source says that they changed, and when a record names one that is not known: so a
    rotation reaches processes that run.

    Raises:
        SealError: the source has no keys.
    """

    def __init__(self, source: KeySource) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._read()

    def seal(self, plaintext: str, context: str) -> str:
        """Under the current key."""
        if self._source.stamp() != self._stamp:
            self._read()
        id_, nonce = self._keys.current, secrets.token_bytes(NONCE_BYTES)
        sealed = AESGCM(self._keys.keys[id_]).encrypt(nonce, plaintext.encode(), _associated(id_, context))
        return f"{PREFIX}:{id_}:{base64.b64encode(nonce + sealed).decode()}"

    def unseal(self, sealed: str, context: str) -> str:
        """Under whichever key sealed it.

        Raises:
            SealError: no such key, or it was sealed for another place, or it was changed.
        """
        prefix, _, rest = sealed.partition(":")
        id_, _, encoded = rest.partition(":")
        if prefix != PREFIX or not id_.isalnum():
            raise SealError(f"record {context} is not sealed: somebody else wrote it")
        if id_ not in self._keys.keys:
            self._read()
        if id_ not in self._keys.keys:
            raise SealError(
                f"record {context} was sealed with key {id_}, which this process does not have: all replicas and "
                "workers on one Redis need the same sealing keys, old ones included"
            )
        try:
            data = base64.b64decode(encoded, validate=True)
            key = AESGCM(self._keys.keys[id_])
            return key.decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], _associated(id_, context)).decode()
        except (InvalidTag, ValueError):
            raise SealError(f"record {context} does not open with key {id_}: it was changed or misplaced") from None

    def fingerprint(self, text: str) -> str:
        """HMAC-SHA-256 under the index key: without the key nobody can try out names."""
        return hmac.new(self._keys.index, text.encode(), hashlib.sha256).hexdigest()

    def is_current(self, sealed: str) -> bool:
        """Whether it is sealed under the current key."""
        return sealed.startswith(f"{PREFIX}:{self._keys.current}:")

    def _read(self) -> None:
        with self._lock:
            self._stamp = self._source.stamp()
            self._keys: SealingKeys = self._source.read()


def _associated(key_id: str, context: str) -> bytes:
    return f"{PREFIX}:{key_id}:{context}".encode()
