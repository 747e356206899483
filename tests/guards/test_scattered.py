"""Names in pieces, against a search that tries all places."""

from itertools import product

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gateway.guards.fact_table import sequences
from gateway.guards.scattered import NEAR_WORDS, NameWords, scattered

NAMES = {"two": ["Rabo Kelrin"], "three": ["Drovi Anselk Kelrin"], "one": ["Wappo"], "common": ["John Green"]}
STEMS = {"two": ("rab", "kelrin"), "three": ("drov", "anselk", "kelrin")}

pieces = st.sampled_from(["rab", "kelrin", "drov", "anselk", "wapp", "john", "green", "x"])
texts = st.lists(st.one_of(pieces, st.just("gap")), max_size=24)


def everywhere(stems: list[str], name: tuple[str, ...]) -> bool:
    whole = {
        at + offset
        for at in range(len(stems) - len(name) + 1)
        if tuple(stems[at : at + len(name)]) == name
        for offset in range(len(name))
    }
    places = [[at for at, stem in enumerate(stems) if stem == word and at not in whole] for word in name]
    return any(all(abs(at - chosen[0]) <= NEAR_WORDS for at in chosen) for chosen in product(*places))


@given(texts)
def test_it_finds_what_trying_all_places_finds(written: list[str]) -> None:
    stems = [word for piece in written for word in (["x"] * (NEAR_WORDS // 2) if piece == "gap" else [piece])]
    expected = {target for target, name in STEMS.items() if everywhere(stems, name)}
    assert scattered(NAMES, stems) == expected
    said = np.unique(sequences(stems).hashes[: len(stems)])
    assert {[*NAMES][slot] for slot in NameWords.compiled([*NAMES.values()]).possible(said)} >= expected
