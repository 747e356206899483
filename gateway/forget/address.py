"""Where Redis is: one server, whatever Sentinels call the primary, or the node of a Cluster that has our slot."""

import re
from dataclasses import dataclass, field
from typing import Any, Literal

from redis import connection as library

DEFAULT_PORTS = {"sentinel": 26379, "cluster": 6379}

_SEVERAL = re.compile(r"(rediss?)\+(sentinel|cluster)://(?:([^@/]*)@)?([^@/?]+)(?:/([^?]*))?(?:\?(.*))?")


@dataclass(frozen=True)
class Address:
    """Several nodes to ask for the primary; how to speak to it, and to those who are asked."""

    kind: Literal["sentinel", "cluster"]
    nodes: tuple[tuple[str, int], ...]
    service: str  # what Sentinels call it; empty for a Cluster
    tls: bool
    copies: int  # so many replicas have what is acknowledged
    options: dict[str, Any] = field(repr=False)  # of the client library, for the primary
    asking: dict[str, Any] = field(repr=False)  # the same for the nodes that are asked


def parse_address(url: str) -> Address | None:
    """The address behind `url`; None for a single server, whose URL the client library reads itself.

    `redis+sentinel://[user:password@]host[:port],host[:port]/service[/database]` and
    `redis+cluster://[user:password@]host[:port],host[:port]`, each with `rediss+` for TLS; what follows a `?` is the
    client library's (`ssl_ca_certs=...`), but for `copies`, and `sentinel_username` and `sentinel_password`.

    Raises:
        ValueError: it is no such URL. The message does not quote it, since it may hold a password.
    """
    if "+" not in url.partition("://")[0]:
        _parse(url)
        return None
    found = _SEVERAL.fullmatch(url)
    if not found:
        raise ValueError("write redis+sentinel://host:port,host:port/service or redis+cluster://host:port,host:port")
    scheme, kind, login, hosts, path, query = found.groups(default="")
    service, _, database = path.partition("/")
    if (kind == "sentinel") != bool(service) or (kind == "cluster" and database):
        raise ValueError("a Sentinel URL ends with /service, a Cluster URL has no path")
    options: dict[str, Any] = _parse(f"{scheme}://{login}{'@' if login else ''}host/{database}?{query}")
    options.pop("connection_class", None)
    options.pop("host")
    copies = options.pop("copies", "0")
    if not copies.isdecimal():
        raise ValueError("copies is how many replicas have to have what is acknowledged")
    asking = dict(options)
    for name in ("username", "password"):
        given = options.pop(f"sentinel_{name}", None)
        if kind == "sentinel":
            asking[name] = given
    for name in ("db", "sentinel_username", "sentinel_password"):
        asking.pop(name, None)
    nodes = tuple(_node(host, DEFAULT_PORTS[kind]) for host in hosts.split(","))
    return Address(
        "sentinel" if kind == "sentinel" else "cluster",
        nodes,
        service,
        scheme == "rediss",
        int(copies),
        options,
        asking,
    )


def _parse(url: str) -> dict[str, Any]:
    parse_url: Any = library.parse_url
    try:
        return dict(parse_url(url))
    except ValueError as error:  # what its cause quotes is part of the URL
        raise ValueError(str(error) if "schemes" in str(error) else "a part of it has no valid value") from None


def _node(text: str, default_port: int) -> tuple[str, int]:
    found = re.fullmatch(r"(?:\[([\da-fA-F:.]+)\]|([^\[\]:]+))(?::(\d{1,5}))?", text)
    if not found:
        raise ValueError("each node is host or host:port")
    return found[1] or found[2], int(found[3] or default_port)
