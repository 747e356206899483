"""The words of long texts against those of short ones, which are read in another way."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gateway.guards.words import Wording, hashes_of, words

MANY = 200
endings = st.sampled_from(["", "s", "ss", "es", "as", "ies", "os", "us", "aas", "ooo", "in", "erin", "erinnen", "2"])
written = st.one_of(
    st.builds(str.__add__, st.text("aenrstzßéя王3㎡", max_size=5), endings),
    st.sampled_from(["ABCerinnen", "0170-123 45", "cm²", "café", "Bäckerinnen", "ﬁnesses", "12㏺", "\u0301", "\udcff"]),
)


@given(st.lists(written, max_size=30))
def test_a_word_has_the_same_stem_among_few_and_among_many(some: list[str]) -> None:
    alone = [stem for word in some for stem in words(f"x {word} x")[1:-1]]
    together = words(" x ".join(["x"] * MANY + some + ["x"]))
    assert [stem for stem in together if stem != "x"] == [stem for stem in alone if stem != "x"]


@given(st.lists(written, max_size=30), st.sampled_from([0, MANY]))
def test_a_stem_has_the_hash_that_it_has_in_a_text(some: list[str], padding: int) -> None:
    wording = Wording(" ".join(["x"] * padding + some))
    assert np.array_equal(wording.hashes, hashes_of(wording[:]))
    assert [wording[at] for at in range(len(wording))] == wording[:]
