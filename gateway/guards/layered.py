"""Snapshots of a large mapping that share most of it: a dictionary that never changes, and what differs from it."""

from collections.abc import Iterable, Iterator, KeysView, Mapping, Set
from typing import Generic, TypeVar

MOST_CHANGES = 1024  # kept apart; with more, a dictionary is made of all

Value = TypeVar("Value")


class Layered(Mapping[str, Value], Generic[Value]):
    """An immutable mapping; another one with changes costs what the changes do, not what there is."""

    __slots__ = ("_base", "_changed", "_removed", "_size")

    def __init__(self, base: Mapping[str, Value]) -> None:
        self._base = dict(base)
        self._changed: dict[str, Value] = {}
        self._removed: frozenset[str] = frozenset()  # keys of `_base`
        self._size = len(self._base)

    def with_changes(self, changed: Mapping[str, Value], removed: Iterable[str] = ()) -> "Layered[Value]":
        """The same with some keys fewer, and then some others or with other values; keys keep their order."""
        gone = {key for key in removed if key not in changed}
        result: Layered[Value] = Layered.__new__(Layered)
        result._base = self._base
        result._changed = {key: value for key, value in self._changed.items() if key not in gone}
        result._changed.update(changed)
        result._removed = self._removed.union(key for key in gone if key in self._base).difference(changed)
        result._size = len(self._base) - len(result._removed) + sum(key not in self._base for key in result._changed)
        return Layered(result) if len(result._changed) + len(result._removed) > MOST_CHANGES else result

    def __getitem__(self, key: str) -> Value:
        if key in self._changed:
            return self._changed[key]
        if key in self._removed:
            raise KeyError
        return self._base[key]

    def __contains__(self, key: object) -> bool:
        return key in self._changed or (key in self._base and key not in self._removed)

    def __iter__(self) -> Iterator[str]:
        yield from (key for key in self._base if key not in self._removed)
        yield from (key for key in self._changed if key not in self._base)

    def __len__(self) -> int:
        return self._size

    def keys(self) -> "LayeredKeys":
        """Quick to compare with those of a snapshot that shares the base."""
        return LayeredKeys(self)

    def beyond(self, other: "Layered[Value]") -> set[str]:
        """The keys that another one lacks."""
        if self._base is not other._base:
            return {key for key in self if key not in other}
        return {key for key in (*self._changed, *other._removed) if key in self and key not in other}


class LayeredKeys(KeysView[str]):
    """The keys of a layered mapping."""

    _mapping: "Layered[object]"

    def __sub__(self, other: Iterable[object]) -> set[str]:
        if isinstance(other, LayeredKeys):
            return self._mapping.beyond(other._mapping)
        others = other if isinstance(other, Set) else {*other}
        return {key for key in self if key not in others}
