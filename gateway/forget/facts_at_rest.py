"""How what the worker learns lies in Redis: readable, or only as keyed hashes of what may not be said."""

import base64
import hashlib
import json
import os
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from sys import intern
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.forget.errors import FactsKeyMissing
from gateway.guards.hashed import HashedPhrases, hashed, loaded
from gateway.guards.told import told_phrases

KEY_BYTES = 32
_NONCE_BYTES = 12


@dataclass(frozen=True)
class Learned:
    """What is known about a subject, from the client or the worker. One of `phrases` and `hashes` holds the facts."""

    phrases: tuple[str, ...] = field(default=(), repr=False)
    attributes: tuple[str, ...] = field(default=(), repr=False)  # what each phrase is a value of; empty where unknown
    aliases: tuple[str, ...] = field(default=(), repr=False)
    hashes: HashedPhrases | None = field(default=None, repr=False)

    def with_more(self, other: "Learned") -> "Learned":
        """Both together; hashed ones are of the same request."""
        return Learned(
            (*self.phrases, *other.phrases),
            (*("" for _ in self.phrases), *other.attributes) if other.attributes else (),
            (*self.aliases, *other.aliases),
            _united(self.hashes, other.hashes),
        )


def _united(one: HashedPhrases | None, other: HashedPhrases | None) -> HashedPhrases | None:
    if one is None or other is None:
        return one or other
    digests = dict(one.digests)
    for length, found in other.digests.items():
        digests[length] = digests.get(length, frozenset()) | found
    openings = dict(one.openings)
    for opening, longest in other.openings.items():
        openings[opening] = max(longest, openings.get(opening, 0))
    return HashedPhrases(one.key, one.salt, digests, openings)


@dataclass(frozen=True)
class FactsAtRest:
    """Writes and reads findings. `key` is needed for hashed ones; `hash_new` says how new ones are written.

    Aliases are names: prompts are searched for them with slips and all, so they are encrypted (AES-GCM), not hashed.
    """

    key: bytes | None = field(default=None, repr=False)
    hash_new: bool = False

    def dumps(
        self, phrases: Sequence[str], aliases: Sequence[str], context: str, attributes: Sequence[str] = ()
    ) -> str:
        """The text to store for the request `context`; `attributes` says what each phrase is a value of."""
        if not self.hash_new:
            found = {"phrases": list(phrases), "attributes": list(attributes), "aliases": list(aliases)}
            return json.dumps(found, ensure_ascii=False)
        nonce, key = secrets.token_bytes(_NONCE_BYTES), self._key()
        names = AESGCM(_derived(key)).encrypt(nonce, json.dumps(list(aliases)).encode(), context.encode())
        hashes = hashed(told_phrases(phrases, aliases), key, context)
        return json.dumps({"hashes": hashes.dumped(), "names": base64.b64encode(nonce + names).decode()})

    def loads(self, text: str, context: str) -> Learned:
        """What `dumps` wrote.

        Raises:
            FactsKeyMissing: it is hashed and there is no key here.
            cryptography.exceptions.InvalidTag: it was written with another key, or for another request.
        """
        found: dict[str, Any] = json.loads(text)
        if "hashes" not in found:
            phrases, attributes = (_shared(found.get(part, ())) for part in ("phrases", "attributes"))
            return Learned(phrases, attributes, tuple(found.get("aliases", ())))
        key, sealed = self._key(), base64.b64decode(found["names"])
        names = AESGCM(_derived(key)).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], context.encode())
        return Learned(aliases=tuple(json.loads(names)), hashes=loaded(found["hashes"], key))

    def _key(self) -> bytes:
        if self.key is None:
            raise FactsKeyMissing("facts are stored as hashes: this process needs the key (facts_key_file)")
        return self.key


def _shared(texts: Sequence[str]) -> tuple[str, ...]:
    """The same strings for equal texts: many people have a city, a trade, an animal in common."""
    return tuple(map(intern, texts))


def facts_at_rest(file: Path, *, hash_new: bool) -> FactsAtRest:
    """With the key in a file, which is made if new facts are to be hashed and there is none.

    Raises:
        FactsKeyMissing: the file holds something else than a key.
    """
    return FactsAtRest(key_in(file) if hash_new else read_key(file), hash_new)


def read_key(file: Path) -> bytes | None:
    """The key in a file, None where there is none. Raises FactsKeyMissing where it holds something else."""
    if not file.exists():
        return None
    if len(key := file.read_bytes()) != KEY_BYTES:
        raise FactsKeyMissing(f"{file} is no key: it must hold {KEY_BYTES} bytes")
    return key


def key_in(file: Path) -> bytes:
    """The key in a file, which is made where there is none; whoever comes first makes it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    made = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    made.touch(0o600)
    try:
        with made.open("wb") as opened:
            opened.write(secrets.token_bytes(KEY_BYTES))
            opened.flush()
            os.fsync(opened.fileno())
        with suppress(FileExistsError):
            os.link(made, file)  # whole or not at all, and never over another's
    finally:
        made.unlink()
    key = read_key(file)
    assert key is not None  # noqa: S101 it was linked or there before
    return key


def _derived(key: bytes) -> bytes:
    """Another key for names than for hashes."""
    return hashlib.blake2b(key=key, person=b"names", digest_size=KEY_BYTES).digest()
