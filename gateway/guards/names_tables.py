"""All names of all targets as a few tables of phrases: an old large one, and small ones that new names go into.

Every answer is checked against all of them. A table is compiled as a whole, in the engine's process too, so one more
name should not mean compiling a hundred thousand.
"""

import hashlib
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from typing import Protocol

SMALL_TARGETS = 128  # so many are compiled anew at each addition
SMALL_SHARE = 16  # the large one is compiled anew when this part of it has been added
NAMES = "names"  # what ids of such tables begin with
CROWDED, MOST_TABLES = 3, 6  # more tables than that are worth merging, are merged at once


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
    left = (table if table.members.isdisjoint(stale) else _table(targets, table.members - stale) for table in previous)
    tables = [table for table in left if table.members]
    if changed:
        small = tables.pop().members if tables and len(tables[-1].members) + len(changed) <= SMALL_TARGETS else ()
        tables.append(_table(targets, changed.union(small)))
    if len(tables) > MOST_TABLES:
        return merged(targets, tuple(tables))
    return tuple(tables) or (_table(targets, ()),)


def merged(targets: Mapping[str, Named], tables: tuple[NamesTable, ...]) -> tuple[NamesTable, ...]:
    """The same names in one table, or in two where the first is far larger than the others together."""
    large, *small = tables
    recent = frozenset[str]().union(*(table.members for table in small))
    if len(recent) >= max(SMALL_TARGETS, len(large.members) // SMALL_SHARE):
        return (_table(targets, large.members | recent),)
    return (large, *([_table(targets, recent)] if recent else ()))


def table_id(kind: str, *content: str) -> str:
    """An id that tells nothing of the content, and is another for any other."""
    digest = hashlib.sha256("\0".join(content).encode("utf-8", "surrogatepass")).hexdigest()
    return f"{kind}:{digest[:24]}"


def _table(targets: Mapping[str, Named], members: Iterable[str]) -> NamesTable:
    chosen = frozenset(members)
    names = tuple(sorted({name for id_ in chosen for name in targets[id_].names}))
    return NamesTable(table_id(NAMES, *names), names, chosen)
