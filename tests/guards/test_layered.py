"""A layered mapping behaves like a dictionary that is copied at every change."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.guards import layered
from gateway.guards.layered import Layered

KEYS = st.sampled_from("abcdefgh")
CHANGES = st.lists(st.tuples(st.dictionaries(KEYS, st.integers(0, 3)), st.sets(KEYS)), max_size=12)


@given(st.dictionaries(KEYS, st.integers(0, 3)), CHANGES, st.integers(0, 6))
def test_it_is_a_dictionary_with_every_change_made(base: dict[str, int], changes: list, most: int) -> None:
    before, layered.MOST_CHANGES = layered.MOST_CHANGES, most
    try:
        mapping, plain = Layered(base), dict(base)
        snapshots = [(mapping, plain)]
        for changed, removed in changes:
            mapping = mapping.with_changes(changed, removed)
            plain = {key: value for key, value in plain.items() if key not in removed or key in changed} | changed
            snapshots.append((mapping, plain))
    finally:
        layered.MOST_CHANGES = before
    for mapping, plain in snapshots:
        assert dict(mapping) == plain
        assert len(mapping) == len(plain)
        assert {key for key in "abcdefgh" if key in mapping} == plain.keys()
        assert mapping.get("z") is None
        for other, also_plain in snapshots:
            assert mapping.keys() - other.keys() == plain.keys() - also_plain.keys()
        assert mapping.keys() - {"a"} == plain.keys() - {"a"}
        assert {"a", "z"} - mapping.keys() == {"a", "z"} - plain.keys()


def test_changes_do_not_copy_what_they_leave() -> None:
    mapping = Layered({str(number): number for number in range(5000)})
    more = mapping.with_changes({"new": 1}, ["17"])
    assert more._base is mapping._base
    assert more.keys() - mapping.keys() == {"new"}
    assert mapping.keys() - more.keys() == {"17"}
