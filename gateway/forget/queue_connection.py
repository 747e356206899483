"""Connections for RQ, whose keys have no hash tag: on a Cluster they get ours, and jobs lie beside requests."""

from typing import Any

import redis
from redis.connection import PythonRespSerializer

from gateway.forget.address import parse_address
from gateway.forget.connection import TIMEOUT_S, connect_blocking
from gateway.forget.scripts import ROOT

_BUFFER_BYTES = 6000  # the library's default


class _InOurSlot(PythonRespSerializer):
    """Writes commands; RQ's keys, and references to them, with the tag in front."""

    def pack(self, *command: Any) -> Any:
        return super().pack(command[0], *map(_tagged, command[1:]))  # type: ignore[no-untyped-call]


def _encoded(argument: Any) -> bytes:
    match argument:
        case bytes():
            return argument
        case str():  # enumerations among them, whose `str` is not what they are
            return argument.encode()
    return repr(argument).encode()


def _tagged(argument: Any) -> Any:
    match argument:
        case str() if argument.startswith("rq:"):
            return f"{ROOT}:{argument}"
        case bytes() if argument.startswith(b"rq:"):
            return ROOT.encode() + b":" + argument
    return argument


def connect_queue(url: str, *, timeout_s: float | None = TIMEOUT_S) -> redis.Redis:
    """A client for RQ. Its worker waits for jobs: it takes no time-out and sets its own.

    Raises:
        ValueError: `url` is none.
    """
    address = parse_address(url)
    in_a_cluster = address is not None and address.kind == "cluster"
    options = {"command_packer": _InOurSlot(_BUFFER_BYTES, _encoded)} if in_a_cluster else {}
    return connect_blocking(url, decode_responses=False, timeout_s=timeout_s, **options)
