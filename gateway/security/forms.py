"""API keys as their administrators ask for them and see them."""

from datetime import datetime
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic.config import JsonDict

from gateway.audience import Audience
from gateway.forget.resource import moment
from gateway.security.key_store import KeyStore, ListedKey
from gateway.security.keys import ApiKey, Scope, new_token, split_token
from gateway.security.rates import RATE_PATTERN, Rate


def _spelt_out(at: object) -> object:
    """A number would be taken for seconds, or thousandths of them, since 1970."""
    if isinstance(at, int | float) or (isinstance(at, str) and ":" not in at):
        raise ValueError("write date, time and offset, such as 2030-01-31T12:00:00Z")
    return at


def _may_repeat(schema: JsonDict) -> None:
    """One that is named twice does no harm, and is taken."""
    schema.pop("uniqueItems")


class NewKey(BaseModel):
    """What a key is to be good for."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"name": "support desk", "scopes": ["chat"]}]}
    )

    name: Annotated[str, StringConstraints(min_length=1, max_length=100)] = Field(description="whose key it is")
    scopes: set[Scope] = Field(min_length=1, json_schema_extra=_may_repeat)
    audiences: list[Audience] = Field(default_factory=list, max_length=16, description="as whom its holder chats")
    rate: Annotated[str, StringConstraints(pattern=RATE_PATTERN)] | None = Field(
        default=None, description="`600/minute`; counted per replica for chat, over all replicas for the other routes"
    )
    concurrency: int | None = Field(
        default=None, ge=1, le=100_000, description="requests under way at a time, per replica"
    )
    trusted: bool = Field(
        default=False, description="its forget requests are enforced without review, as those of `forget:review` are"
    )
    expires_at: Annotated[AwareDatetime | None, BeforeValidator(_spelt_out)] = None


class KeyOut(BaseModel):
    """A key without its secret."""

    id: str
    name: str
    scopes: list[Scope]
    audiences: list[str]
    rate: str | None
    concurrency: int | None
    trusted: bool
    created_at: datetime | None
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None = Field(description="some minutes late")


class MadeKey(BaseModel):
    """The key, shown this once."""

    id: str
    key: str


class KeyList(BaseModel):
    """Every key, revoked and expired ones too; the latest first."""

    keys: list[KeyOut]


async def make(store: KeyStore, wanted: NewKey, token: str | None = None) -> MadeKey | None:
    """Makes a key (`token`, or a new one) with these rights; none if there is one with the token's id.

    Raises:
        ValueError: the token has not the form of a key.
    """
    token = token or new_token()
    parts = split_token(token)
    if parts is None:
        raise ValueError("a key has the form ug_<12 hex digits>_<64 hex digits>")
    id_, digest = parts
    key = ApiKey(
        id=id_,
        name=wanted.name,
        digest=digest,
        scopes=frozenset(wanted.scopes),
        audiences=tuple(wanted.audiences),
        rate=Rate.parse(wanted.rate) if wanted.rate else None,
        concurrency=wanted.concurrency,
        trusted=wanted.trusted,
        expires=int(wanted.expires_at.timestamp() * 1000) if wanted.expires_at else None,
    )
    return MadeKey(id=id_, key=token) if await store.add(key) else None


def shown(listed: ListedKey) -> KeyOut:
    """What is told of a key."""
    key = listed.key
    created, expires, revoked, used = (
        moment(at) if at else None for at in (key.created, key.expires, key.revoked, listed.used)
    )
    return KeyOut(
        id=key.id,
        name=key.name,
        scopes=sorted(key.scopes),
        audiences=list(key.audiences),
        rate=str(key.rate) if key.rate else None,
        concurrency=key.concurrency,
        trusted=key.trusted,
        created_at=created,
        expires_at=expires,
        revoked_at=revoked,
        last_used_at=used,
    )
