"""Facts told in other words: the encoders, and what of a text comes near to a fact."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from transformers import BertConfig, BertModel, BertTokenizerFast

from gateway.guards.descriptions import DescriptionIndex
from gateway.guards.distil import distilled, save
from gateway.guards.encoder import (
    AUTO,
    Encoder,
    Likeness,
    TransformerEncoder,
    WordTable,
    likeness_of,
    load_encoder,
    whole_words,
)
from gateway.guards.nearness import MOST_FACTS, MOST_SHARE, READ_WORDS, NearFacts
from gateway.guards.words import words_as_written


@dataclass(frozen=True)
class Known:
    id: str
    names: tuple[str, ...] = ()
    phrases: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    description: str = ""


RABO = Known(
    "rabo", ("Rabo Kelrin",), ("baker", "panadero", "Lisbon", "Lisboa", "violin", "violín", "horse", "caballo")
)
ANNA = Known("anna", ("Anna Berg",), ("lawyer", "Warsaw", "piano", "rabbit"))
OTHERS = [Known(f"o{n}", phrases=("teacher", "London")) for n in range(3)]


@pytest.fixture(scope="module")
def table() -> Encoder:
    encoder = load_encoder(AUTO)
    assert encoder is not None
    return encoder


@pytest.fixture(scope="module")
def index(table: Encoder) -> DescriptionIndex:
    return DescriptionIndex([RABO, ANNA, *OTHERS], table)


def found(index: DescriptionIndex, text: str) -> list[str]:
    return [one.target for one in index.find(text)]


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("Which lawyer keeps a bunny?", "anna"),
        ("Which baker keeps a stallion?", "rabo"),
        ("I mean somebody from the Portuguese capital who has a horse.", "rabo"),
    ],
)
def test_a_fact_in_its_own_words_and_one_in_others_describe_a_target(
    index: DescriptionIndex, text: str, target: str
) -> None:
    assert found(index, text) == [target]
    assert found(DescriptionIndex([RABO, ANNA, *OTHERS]), text) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Who is the attorney?",
        "Is an attorney a lawyer?",
        "What is the capital of France, and how many people live there?",
        "My dentist has a parrot and plays the drum.",
    ],
)
def test_what_is_near_to_one_fact_or_to_none_describes_nobody(index: DescriptionIndex, text: str) -> None:
    assert found(index, text) == []


def test_two_facts_in_other_words_are_not_enough(index: DescriptionIndex) -> None:
    assert found(index, "Who is the attorney who has a bunny?") == []


def test_a_text_that_states_no_fact_in_its_own_words_describes_nobody(table: Encoder) -> None:
    tailor = Known("tailor", phrases=("tailor", "trumpet", "lawyer", "horse"))
    index = DescriptionIndex([tailor, Known("other", phrases=("river",))], table)
    text = "the attorney with a stallion and a cornet by the river"
    assert index._near is not None and len({*index._near.find(*words_as_written(text)).hashes.tolist()}) > 2
    assert index.scores(text) == []


def test_facts_that_go_together_anyway_tell_less(table: Encoder) -> None:
    def score(*phrases: str) -> float:
        known = Known("one", phrases=phrases, attributes=("occupation", "food"))
        (found,) = DescriptionIndex([known], table).scores(f"a {phrases[0]} with {phrases[1]}")
        return found.score

    assert score("lawyer", "mushrooms") > score("cook", "potatoes") > 0
    assert (
        score("goat", "cheese")
        < DescriptionIndex([Known("one", phrases=("goat", "cheese"))]).scores("goat cheese")[0].score
    )


def test_facts_are_near_in_whatever_order_targets_came(table: Encoder) -> None:
    grown = DescriptionIndex([RABO], table).with_changes([ANNA]).with_changes(OTHERS).compacted()
    whole = DescriptionIndex([RABO, ANNA, *OTHERS], table)
    for text in (
        "Who is the attorney who plays the piano?",
        "The baker from the Portuguese capital plays a violin, and has a stallion.",
    ):
        assert grown.scores(text) == whole.scores(text) != []
    assert found(grown, "Which lawyer keeps a bunny?") == ["anna"]
    assert found(grown.with_changes((), ["anna"]), "Which lawyer keeps a bunny?") == []


def test_the_facts_that_most_targets_share_are_kept(table: Encoder) -> None:
    assert isinstance(table, WordTable)
    words = [word for word in table._rows if len(word) > 6]
    crowd = [Known(str(at), phrases=(word,)) for at, word in enumerate(words[: 2 * MOST_FACTS])]
    shared = [Known(f"shared {at}", phrases=("lawyer",)) for at in range(3)]
    near = DescriptionIndex([*crowd, *shared], table)._near
    assert near is not None and 0 < len(near) <= MOST_FACTS
    stems, written = words_as_written("an attorney")
    assert len(near.find(stems, written).hashes)


def test_a_stretch_has_its_place_also_at_the_end_of_a_long_text(index: DescriptionIndex) -> None:
    assert index._near is not None
    text = "la " * (2 * READ_WORDS) + "attorney"
    near = index._near.find(*words_as_written(text, READ_WORDS))
    assert near.starts.tolist() == [2 * READ_WORDS] and near.lengths.tolist() == [1]
    assert 0 < near.share[0] <= MOST_SHARE


@given(st.text(max_size=300))
def test_no_text_makes_it_fail(text: str) -> None:
    near = NearFacts(_Loud()).with_targets([RABO], lambda hashes: np.ones(len(hashes), dtype=np.int64))
    stems, written = words_as_written(text)
    some = near.find(stems, written)
    assert all(
        0 <= start < start + length <= len(stems) for start, length in zip(some.starts, some.lengths, strict=True)
    )


class _Loud:
    """An encoder to which everything is like everything."""

    likeness = Likeness(0.4, 0.4)
    dimensions = 4

    def read(self, words: Sequence[str]) -> NDArray[np.float32]:
        return np.ones((len(words), 4), dtype=np.float32)


def test_likeness_is_above_what_strangers_have() -> None:
    vectors = np.random.default_rng(0).normal(size=(500, 32)).astype(np.float32)
    least, full = likeness_of(vectors)
    assert 0 < least < full < 1
    shifted = likeness_of(vectors + 1.0)  # all words of this encoder point the same way
    assert shifted.least > least


def test_words_that_a_table_lacks_say_nothing(table: Encoder) -> None:
    vectors = table.read(["Bread", "bread", "xqzv", "面", ""])
    assert (vectors[0] == vectors[1]).all() and vectors[0].any() and not vectors[2:].any()
    assert table.read([]).shape == (0, table.dimensions)


def test_whole_words_are_neither_pieces_nor_signs() -> None:
    assert whole_words({"[CLS]": 0, "##ing": 1, "the": 2, "7": 3, "bread": 4}) == ["the", "bread"]
    assert whole_words({"▁Bread": 2, "bread": 1, "▁": 0, "▁the": 3}) == ["bread", "the"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small transformer of the kind that sentence-transformers saves, with weights that mean nothing."""
    folder = tmp_path_factory.mktemp("encoder")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"{a}{b}ord" for a in "abcdefghij" for b in "klmnopqrst")]
    BertTokenizerFast(vocab={word: at for at, word in enumerate([*words, "##s"])}).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(words) + 1, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32
    )
    BertModel(config).save_pretrained(folder)
    return folder


def test_a_transformer_gives_each_word_the_sum_of_its_tokens(model: Path) -> None:
    encoder = load_encoder(str(model))
    assert isinstance(encoder, TransformerEncoder)
    vectors = encoder.read(["akord", "akords", "unheard-of", "\ud800"])
    assert vectors.shape == (4, 16) and vectors[:2].any(axis=1).all() and not vectors[2:].any()
    assert encoder.read([]).shape == (0, 16)
    assert encoder.read(["akord"] * 2000).shape == (2000, 16)


def test_a_distilled_table_tells_words_apart_as_the_model_does(model: Path, tmp_path: Path) -> None:
    words, vectors = distilled(model, dimensions=16)
    save(words, vectors, tmp_path / "table.safetensors")
    table = load_encoder(str(tmp_path / "table.safetensors"))
    assert isinstance(table, WordTable)
    assert len(words) == 100 and np.abs(table.read(words) - vectors).max() <= np.abs(vectors).max() / 127


def test_an_encoder_can_be_left_out_but_not_be_missing(tmp_path: Path) -> None:
    assert load_encoder("none") is None
    for missing in ("nowhere.safetensors", str(tmp_path)):
        with pytest.raises((OSError, ValueError)):
            load_encoder(missing)
