"""The tables of all names, one set of tables for each set of audiences from which targets are withheld.

A request carries the tables of what is withheld from its caller, so nothing is compiled for a caller; there are as many
sets of tables as there are different `audiences` in the list.
"""

from collections.abc import Mapping, Set
from typing import Protocol

from gateway.guards.names_tables import NamesTable, names_tables

EVERYONE: frozenset[str] = frozenset()
NamesByAudience = Mapping[frozenset[str], tuple[NamesTable, ...]]


class Withheld(Protocol):
    """What has names, and audiences from which it is withheld (none: everyone)."""

    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def audiences(self) -> frozenset[str]: ...


def names_by_audience(
    targets: Mapping[str, Withheld],
    previous: NamesByAudience,
    changed: frozenset[str],
    removed: Set[str],
) -> NamesByAudience:
    """`names_tables` of each set of audiences; everyone's are always there.

    `changed` are targets that are new or have other names or audiences now.
    """
    belonging: dict[frozenset[str], set[str]] = {EVERYONE: set(), **{audiences: set() for audiences in previous}}
    for id_ in changed:
        belonging.setdefault(targets[id_].audiences, set()).add(id_)
    found = {}
    for audiences, own in belonging.items():
        before = previous.get(audiences, ())
        gone = {id_ for id_ in changed.union(removed) - own if any(id_ in table.members for table in before)}
        tables = names_tables(targets, before, frozenset(own), gone)
        if audiences == EVERYONE or any(table.members for table in tables):
            found[audiences] = tables
    return found
