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
    if previous.keys() <= {EVERYONE} and not any(targets[id_].audiences for id_ in changed):
        return {EVERYONE: names_tables(targets, previous.get(EVERYONE, ()), changed, removed)}
    groups: dict[frozenset[str], dict[str, Withheld]] = {EVERYONE: {}}
    for id_, target in targets.items():
        groups.setdefault(target.audiences, {})[id_] = target
    return {
        audiences: names_tables(
            group,
            before := previous.get(audiences, ()),
            changed & group.keys(),
            frozenset().union(*(table.members for table in before)) - group.keys(),
        )
        for audiences, group in groups.items()
    }
