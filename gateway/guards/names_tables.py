"""All names of all targets as a few tables of phrases: an old large one, and a small one that new names go into.

Every answer is checked against all of them. A table is compiled as a whole, in the engine's process too, so one more
name should not mean compiling a hundred thousand.
"""

import hashlib
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from typing import Protocol

SMALL_TARGETS = 512  # so many are compiled anew at each addition
SMALL_SHARE = 16  # or this part of all


class Named(Protocol):
    """What has names."""

    @property
    def names(self) -> tuple[str, ...]: ...


@dataclass(frozen=True)
class NamesTable:
    """The names of some targets, sorted, under a digest of them."""

    id: str
    names: tuple[str, ...] = field(repr=False)
    members: frozenset[str]  # ids of the targets


def names_tables(
    targets: Mapping[str, Named],
    previous: tuple[NamesTable, ...] = (),
    changed: frozenset[str] = frozenset(),
    removed: Set[str] = frozenset(),
) -> tuple[NamesTable, ...]:
    """At least one table; those before are kept where none of their targets is among the changed or removed.

    `changed` are targets that are new or have other names now.
    """
    stale = changed | removed
    large, *small = previous or (_table(targets, ()),)
    if not large.members.isdisjoint(stale):
        large = _table(targets, large.members - stale)
    recent = changed.union(*(table.members for table in small)) - removed
    if len(recent) >= max(SMALL_TARGETS, len(large.members) // SMALL_SHARE) or len(targets) <= SMALL_TARGETS:
        large, recent = _table(targets, targets.keys()), frozenset()
    if not recent:
        return (large,)
    if small and small[0].members == recent and not changed:
        return (large, small[0])
    return (large, _table(targets, recent))


def table_id(kind: str, *content: str) -> str:
    """An id that tells nothing of the content, and is another for any other."""
    digest = hashlib.sha256("\0".join(content).encode("utf-8", "surrogatepass")).hexdigest()
    return f"{kind}:{digest[:24]}"


def _table(targets: Mapping[str, Named], members: Iterable[str]) -> NamesTable:
    chosen = frozenset(members)
    names = tuple(sorted({name for id_ in chosen for name in targets[id_].names}))
    return NamesTable(table_id("names", *names), names, chosen)
