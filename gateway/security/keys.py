"""API keys: how they look, what is kept of them, and the ring of keys by which a replica recognises them.

A key is `ug_<id>_<secret>`. The id may be read by anyone; of the secret, 256 random bits, only the SHA-256 is kept:
nobody can try out so many, so a slow password hash would only slow down honest requests.
"""

import hashlib
import hmac
import json
import re
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self

from gateway.security.rates import Rate

_TOKEN = re.compile(r"ug_([0-9a-f]{12})_([0-9a-f]{64})")


class Scope(StrEnum):
    """What a key may do; none implies another."""

    CHAT = "chat"
    SUBMIT = "forget:submit"
    READ = "forget:read"
    REVIEW = "forget:review"
    REVEAL = "forget:reveal"
    ADMIN = "forget:admin"
    AUDIT = "audit:read"
    METRICS = "metrics"


@dataclass(frozen=True)
class ApiKey:
    """A key as it is stored. Times are in milliseconds since 1970."""

    id: str
    name: str
    digest: str = field(repr=False)
    scopes: frozenset[Scope]
    audiences: tuple[str, ...] = ()
    rate: Rate | None = None
    concurrency: int | None = None
    trusted: bool = False  # its forget requests need no review
    created: int = 0
    expires: int | None = None
    revoked: int | None = None

    @classmethod
    def parse(cls, id_: str, flat: Iterable[str]) -> Self:
        """A key from the fields of its Redis hash, given flat."""
        given = list(flat)
        fields = dict(zip(given[::2], given[1::2], strict=True))
        return cls(
            id=id_,
            name=fields["name"],
            digest=fields["digest"],
            scopes=frozenset(Scope(scope) for scope in fields["scopes"].split(",")),
            audiences=tuple(json.loads(fields["audiences"])),
            rate=Rate.parse(fields["rate"]) if fields["rate"] else None,
            concurrency=int(fields["concurrency"]) if fields["concurrency"] else None,
            trusted=bool(fields.get("trusted")),
            created=int(fields["created"]),
            expires=int(fields["expires"]) if fields["expires"] else None,
            revoked=int(fields["revoked"]) if "revoked" in fields else None,
        )

    def fields(self) -> dict[str, str]:
        """What the Redis hash holds, but for the times that the server sets."""
        return {
            "name": self.name,
            "digest": self.digest,
            "scopes": ",".join(sorted(self.scopes)),
            "audiences": json.dumps(self.audiences),
            "rate": str(self.rate or ""),
            "concurrency": str(self.concurrency or ""),
            "trusted": "1" if self.trusted else "",
            "expires": str(self.expires or ""),
        }


def new_token() -> str:
    """A key nobody has yet."""
    return f"ug_{secrets.token_hex(6)}_{secrets.token_hex(32)}"


def split_token(token: str) -> tuple[str, str] | None:
    """The id of a key and the digest of its secret; none from what is no key."""
    parts = _TOKEN.fullmatch(token)
    return (parts[1], hashlib.sha256(parts[2].encode()).hexdigest()) if parts else None


class KeyRing:
    """The keys that this replica knows. It asks nobody: the store's change log brings the keys here."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._keys: Mapping[str, ApiKey] = {}
        self._revoked: set[str] = set()
        self.loaded = False

    def replace(self, keys: Iterable[ApiKey]) -> None:
        """From now on these are the keys. A revocation once heard of holds, even if the store has lost it."""
        self._keys = {key.id: key for key in keys}
        self._revoked |= {key.id for key in self._keys.values() if key.revoked is not None}
        self.loaded = True

    def recognise(self, token: str) -> ApiKey | None:
        """The key that `token` is, unless it is unknown, revoked or expired; a wrong secret takes the same time."""
        parts = split_token(token)
        if parts is None:
            return None
        id_, digest = parts
        key = self._keys.get(id_)
        same = hmac.compare_digest(digest, key.digest if key else "0" * 64)
        if key is None or not same or id_ in self._revoked:
            return None
        return key if key.expires is None or self._clock() * 1000 < key.expires else None
