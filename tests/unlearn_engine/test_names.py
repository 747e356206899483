"""Never-seen names keep the shape of the name they stand for, and nothing else of it."""

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unlearn_engine.data.names import unseen_name

LATIN = st.text(alphabet="abcdefghijklmnopqrstuvwxyz", min_size=2, max_size=9).map(str.capitalize)


@given(first=LATIN, last=LATIN, seed=st.integers(0, 1000))
def test_keeps_the_first_word_and_replaces_the_last(first: str, last: str, seed: int) -> None:
    kept, replaced = unseen_name(random.Random(seed), f"{first} {last}").split(" ")
    assert kept == first
    assert replaced.casefold() != last.casefold()
    assert replaced[0].isupper()
    assert abs(len(replaced) - len(last)) <= 4


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("Jean-Luc O'Neil", r"Jean-[A-Z][a-z]+ [A-Z][a-z]*'[A-Z][a-z]+"),
        ("Zuzu", r"[A-Z][a-z]+"),
        ("MADO KREL", r"MADO [A-Z]+"),
        ("张伟丽", r"张[\u4e00-\u9fff]{2}"),
        ("Иван Петров", r"Иван [А-Я][а-я]+"),
        ("Νίκος Παππάς", r"Νίκος [Α-Ω][α-ω]+"),
    ],
)
def test_keeps_script_case_and_separators(name: str, shape: str) -> None:
    made = {unseen_name(random.Random(seed), name) for seed in range(20)}
    assert name not in made
    assert len(made) > 5
    assert all(re.fullmatch(shape, twin) for twin in made), made


def test_the_same_generator_gives_the_same_names() -> None:
    assert unseen_name(random.Random(4)) == unseen_name(random.Random(4))
    assert unseen_name(random.Random(4)) != unseen_name(random.Random(5))
