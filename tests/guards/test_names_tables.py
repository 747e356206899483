"""Tables of all names: complete whatever comes and goes, and a new name never means compiling the old ones."""

from dataclasses import dataclass
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from gateway.guards import names_tables as module
from gateway.guards.names_tables import names_tables
from gateway.guards.withholding import EVERYONE, names_by_audience

Steps = list[tuple[dict[str, tuple[str, ...]], set[str]]]


@dataclass(frozen=True)
class Person:
    names: tuple[str, ...]


@dataclass(frozen=True)
class Withheld(Person):
    audiences: frozenset[str]


ids = st.sampled_from([f"r{number}" for number in range(40)])
names = st.lists(st.sampled_from(["Ada", "Bo", "Cy", "Di", "Ed"]), min_size=1, max_size=3).map(tuple)
steps = st.lists(st.tuples(st.dictionaries(ids, names, max_size=6), st.sets(ids, max_size=3)), max_size=12)


@given(steps)
def test_the_tables_hold_all_names_and_no_others(changes: Steps) -> None:
    targets: dict[str, Person] = {}
    tables = names_tables(targets)
    for added, removed in changes:
        gone = (removed & targets.keys()) - added.keys()
        targets = {id_: known for id_, known in targets.items() if id_ not in gone}
        targets |= {id_: Person(given) for id_, given in added.items()}
        with patch.object(module, "SMALL_TARGETS", 4):
            tables = names_tables(targets, tables, frozenset(added), gone)
        assert {name for table in tables for name in table.names} == {
            name for person in targets.values() for name in person.names
        }
        assert sorted(id_ for table in tables for id_ in table.members) == sorted(targets)
        assert len(tables) <= module.MOST_TABLES


def test_a_new_name_leaves_the_large_table_as_it_is() -> None:
    targets = {f"r{number}": Person((f"name {number}",)) for number in range(2000)}
    (large,) = names_tables(targets, changed=frozenset(targets))
    targets["new"] = Person(("somebody",))
    tables = names_tables(targets, (large,), frozenset({"new"}))
    assert tables[0] is large and tables[1].names == ("somebody",)
    assert names_tables(targets, tables) == tables
    del targets["r5"]
    without = names_tables(targets, tables, removed={"r5"})
    assert "name 5" not in without[0].names and without[1] is tables[1]


def test_what_has_come_together_is_merged_once_it_is_much() -> None:
    targets = {f"r{number}": Person((f"name {number}",)) for number in range(2000)}
    tables = names_tables(targets, changed=frozenset(targets))
    compiled = 0
    for number in range(2000, 4000):
        targets[f"r{number}"] = Person((f"name {number}",))
        before = {table.id for table in tables}
        tables = names_tables(targets, tables, frozenset({f"r{number}"}))
        compiled += sum(len(table.names) for table in tables if table.id not in before)
    assert compiled < 2000 * module.SMALL_TARGETS


audiences = st.sampled_from([frozenset[str](), frozenset({"press"}), frozenset({"press", "staff"})])
withheld = st.builds(Withheld, names, audiences)
withheld_steps = st.lists(st.tuples(st.dictionaries(ids, withheld, max_size=6), st.sets(ids, max_size=3)), max_size=12)


@given(withheld_steps)
def test_each_set_of_audiences_has_the_names_withheld_from_it(
    changes: list[tuple[dict[str, Withheld], set[str]]],
) -> None:
    targets: dict[str, Withheld] = {}
    tables = names_by_audience(targets, {}, frozenset(), set())
    for added, removed in changes:
        gone = (removed & targets.keys()) - added.keys()
        targets = {id_: one for id_, one in (targets | added).items() if id_ not in gone}
        tables = names_by_audience(targets, tables, frozenset(added), gone)
        assert tables.keys() == {EVERYONE, *(one.audiences for one in targets.values())}
        for own, some in tables.items():
            members = [id_ for table in some for id_ in table.members]
            assert sorted(members) == sorted(id_ for id_, one in targets.items() if one.audiences == own)
            assert {name for table in some for name in table.names} == {
                name for id_ in members for name in targets[id_].names
            }
