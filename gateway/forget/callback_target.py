"""Where a callback may go: hosts that the operator named, at public addresses, checked before any connection."""

import asyncio
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

import httpx

_NAT64 = IPv6Network("64:ff9b::/96")


class TargetRefused(Exception):
    """A callback may not go there; `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True)
class CallbackRules:
    """Which hosts are allowed: by name, or all under one (`*.example.org`). `loopback` also allows this very machine
    without TLS, for tests and the demo."""

    hosts: Sequence[str] = ()
    loopback: bool = False

    def refusal(self, address: str) -> str | None:
        """Why callbacks may not go to a URL, in words for whoever asked for it; None: they may."""
        try:
            url = httpx.URL(address)
        except (httpx.InvalidURL, ValueError):
            return "is no URL"
        if not url.host or url.userinfo or url.fragment:
            return "must have a host, and no credentials or fragment"
        if url.scheme != "https" and not (self.loopback and _is_loopback(url.host)):
            return "must be https"
        if not self._allows(host_of(url)):
            return "its host is not among those that the operator allows (UNLEARN_CALLBACK_HOSTS)"
        return None

    def _allows(self, host: str) -> bool:
        return any(
            host.endswith(allowed[1:]) if allowed.startswith("*.") else host == allowed
            for allowed in (given.lower() for given in self.hosts)
        )


async def pinned(rules: CallbackRules, url: httpx.URL) -> str:
    """An address of the URL's host to connect to.

    Every address that the name has must be a public one: a name that also points inside is not trusted at all. The
    caller connects to the address returned, so that no second look-up can lead elsewhere.

    Raises:
        TargetRefused: the host is not allowed (any more), unknown, or not public.
    """
    if rules.refusal(str(url)) is not None:
        raise TargetRefused("host_not_allowed")
    try:
        port = url.port or (443 if url.scheme == "https" else 80)
        found = await asyncio.get_running_loop().getaddrinfo(host_of(url), port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise TargetRefused("unknown_host") from None
    addresses = [str(sockaddr[0]).partition("%")[0] for *_, sockaddr in found]
    if not addresses or not all(
        is_public(address) or (rules.loopback and _is_loopback(address)) for address in addresses
    ):
        raise TargetRefused("private_address")
    return addresses[0]


def host_of(url: httpx.URL) -> str:
    """The host as it is looked up: lower case, other scripts as IDNA has them."""
    return url.raw_host.decode("ascii").lower()


def is_public(address: str) -> bool:
    """Whether an address is one of the Internet, also where it carries an IPv4 address inside."""
    ip = ip_address(address)
    inner: list[IPv4Address | IPv6Address] = [ip]
    if isinstance(ip, IPv6Address):
        inner += [found for found in (ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ())) if found is not None]
        if ip in _NAT64:
            inner.append(IPv4Address(int(ip) & 0xFFFFFFFF))
        if ip.ipv4_mapped:
            inner.remove(ip)
    return all(one.is_global and not one.is_multicast for one in inner)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
