"""`unlearn-gateway keys`: makes, lists and revokes API keys in the store itself, whether a gateway runs or not."""

import contextlib
import json
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from gateway.command_settings import read_settings
from gateway.security.keys import Scope

if TYPE_CHECKING:
    from gateway.security.key_store import KeyStore
    from gateway.settings import Settings

app = typer.Typer(help="API keys: who may chat, ask to forget, read, review, administer.", no_args_is_help=True)
out = Console()
err = Console(stderr=True)

Config = Annotated[Path | None, typer.Option(help="TOML file with any setting of the gateway")]
DataDir = Annotated[Path | None, typer.Option(help="of the gateway whose keys these are [data]")]
RedisUrl = Annotated[str | None, typer.Option(help="Redis of that gateway; default: the embedded one")]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON, for scripts")]
Result = TypeVar("Result")


def _on_redis(
    work: Callable[["Settings", str], Coroutine[Any, Any, Result]],
    config: Path | None,
    data_dir: Path | None,
    url: str | None,
    *,
    new: bool = False,
) -> Result:
    """`work` with the store of a gateway, which is there already unless it may be `new`."""
    import asyncio

    from gateway.actor import acting
    from gateway.forget.embedded import EmbeddedRedis
    from gateway.forget.errors import EmbeddedRedisError

    settings = read_settings(config, data_dir=data_dir, redis_url=url)
    if not (new or settings.redis_url or (settings.data_dir / "redis").exists()):
        raise EmbeddedRedisError(
            f"there is no store in {settings.data_dir}: give the gateway's --data-dir, or --redis-url"
        )
    with contextlib.ExitStack() as stack:
        # A second server on the folder of a running gateway waits; the store is the first one's.
        url = settings.redis_url or stack.enter_context(EmbeddedRedis(settings.data_dir)).url
        with acting("command_line"):
            return asyncio.run(work(settings, url))


def _with_store(
    work: Callable[["KeyStore"], Awaitable[Result]],
    config: Path | None,
    data_dir: Path | None,
    redis_url: str | None,
    *,
    new: bool = False,
) -> Result:
    from gateway.security.key_store import KeyStore

    async def run(settings: "Settings", url: str) -> Result:
        store = KeyStore.from_url(url)
        try:
            return await work(store)
        finally:
            await store.aclose()

    return _on_redis(run, config, data_dir, redis_url, new=new)


def rotate_key(data_dir: DataDir = None, redis_url: RedisUrl = None, config: Config = None) -> None:
    """Encrypt the forget list under a new key: every record is sealed again, while the gateway runs.

    Keys in a file: a new one is put beside the old ones. Keys from the environment or a command: add the new one there
    first, restart with it, then run this.
    """
    from gateway.forget.reseal import Resealing
    from gateway.forget.sealer import AesGcmSealer
    from gateway.security.sealing_keys import KeyFile, key_source

    async def run(settings: "Settings", url: str) -> int:
        source = key_source(settings)
        if isinstance(source, KeyFile):
            source.rotate()
        resealing = Resealing.from_url(url, AesGcmSealer(source))
        try:
            return await resealing.run()
        finally:
            await resealing.aclose()

    resealed = _on_redis(run, config, data_dir, redis_url)
    err.print(f"sealed again: {resealed} texts; records no longer need the keys before", highlight=False)


@app.command()
def create(
    name: Annotated[str, typer.Option(help="whose key it is")],
    scope: Annotated[list[Scope], typer.Option(help="what it may do; may be repeated")],
    audience: Annotated[list[str] | None, typer.Option(help="as whom its holder chats; may be repeated")] = None,
    rate: Annotated[str | None, typer.Option(help="like 600/minute")] = None,
    concurrency: Annotated[int | None, typer.Option(help="requests under way at a time")] = None,
    trusted: Annotated[bool, typer.Option("--trusted", help="its forget requests need no review")] = False,
    days: Annotated[int | None, typer.Option(min=1, help="until it expires")] = None,
    data_dir: DataDir = None,
    redis_url: RedisUrl = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and print it, this once: only its hash is kept."""
    from gateway.security.forms import NewKey, make

    try:
        wanted = NewKey(
            name=name,
            scopes=set(scope),
            audiences=audience or [],
            rate=rate,
            concurrency=concurrency,
            trusted=trusted,
            expires_at=datetime.now(UTC) + timedelta(days=days) if days else None,
        )
    except ValidationError as error:
        problem = error.errors()[0]
        raise typer.BadParameter(f"{problem['loc'][0]}: {problem['msg']}") from None
    made = _with_store(lambda store: make(store, wanted), config, data_dir, redis_url, new=True)
    assert made is not None  # noqa: S101 nobody else has a new id
    print(made.model_dump_json() if as_json else made.key)


@app.command("list")
def list_keys(
    data_dir: DataDir = None, redis_url: RedisUrl = None, config: Config = None, as_json: AsJson = False
) -> None:
    """List the keys, without their secrets."""
    from gateway.security.forms import shown

    found = [shown(listed) for listed in _with_store(lambda store: store.keys(), config, data_dir, redis_url)]
    if as_json:
        print(json.dumps({"keys": [key.model_dump(mode="json") for key in found]}, indent=2))
        return
    table = Table("id", "name", "scopes", "audiences", "limits", "last used", "state")
    for key in found:
        limits: list[Any] = [key.rate, key.concurrency and f"{key.concurrency} at a time"]
        expired = key.expires_at is not None and key.expires_at < datetime.now(UTC)
        state = "revoked" if key.revoked_at else "expired" if expired else "good"
        used = key.last_used_at.strftime("%Y-%m-%d %H:%M") if key.last_used_at else ""
        table.add_row(
            *(key.id, key.name, " ".join(key.scopes), " ".join(key.audiences)),
            *(", ".join(filter(None, limits)), used, state),
        )
    out.print(table)


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(help="the part of the key between the underscores")],
    data_dir: DataDir = None,
    redis_url: RedisUrl = None,
    config: Config = None,
) -> None:
    """Revoke a key: every replica refuses it as soon as it hears of it."""
    _with_store(lambda store: store.revoke(key_id), config, data_dir, redis_url)
    err.print(f"revoked {key_id}", highlight=False)
