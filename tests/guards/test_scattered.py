"""Names in pieces, against a search that tries all places."""

from itertools import product
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.guards.scattered import NEAR_WORDS, NameWords, scattered
from gateway.guards.words import hashes_of

NAMES = {"two": ["Rabo Kelrin"], "three": ["Drovi Anselk Kelrin"], "one": ["Wappo"], "common": ["John Green"]}
STEMS = {"two": ("rabo", "kelrin"), "three": ("drov", "anselk", "kelrin")}

pieces = st.sampled_from(["rabo", "kelrin", "drov", "anselk", "wapp", "john", "green", "x"])
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


@pytest.mark.parametrize("few", [0, 8])
@given(written=texts)
def test_it_finds_what_trying_all_places_finds(few: int, written: list[str]) -> None:
    stems = [word for piece in written for word in (["x"] * (NEAR_WORDS // 2) if piece == "gap" else [piece])]
    expected = {target for target, name in STEMS.items() if everywhere(stems, name)}
    said = hashes_of(stems)
    with patch("gateway.guards.scattered._FEW_PLACES", few):
        assert scattered(NAMES, said) == expected
    assert {[*NAMES][slot] for slot in NameWords.compiled([*NAMES.values()]).possible(np.unique(said))} >= expected
