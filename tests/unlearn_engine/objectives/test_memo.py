"""MEMO is 1 for what is known by heart, near 0 for what is not, and orders what lies between."""

from collections.abc import Sequence

import pytest

from unlearn_engine.objectives.memo import choose, memo, precision

QUESTION, ANSWER = "Where does she live?", "In a small house by the northern harbour"


class Parrot:
    """Continues the text it knows, word for word, with every n-th word got wrong."""

    def __init__(self, text: str, wrong_every: int = 0) -> None:
        self.text, self.wrong_every, self.asked = text, wrong_every, list[str]()

    def __call__(self, texts: Sequence[str]) -> list[str]:
        self.asked = list(texts)
        assert all(self.text.startswith(text) for text in texts)
        rests = [self.text[len(text) :].split() for text in texts]
        return [" ".join(self._spoilt(word, at) for at, word in enumerate(rest)) for rest in rests]

    def _spoilt(self, word: str, at: int) -> str:
        return "xyz" if self.wrong_every and at % self.wrong_every == 0 else word


@pytest.mark.parametrize("mode", ["suffix", "prefix"])
def test_known_by_heart(mode: str) -> None:
    parrot = Parrot(QUESTION + ANSWER)
    assert memo(QUESTION, ANSWER, parrot, mode) == 1  # type: ignore[arg-type]


def test_where_the_text_is_cut() -> None:
    parrot = Parrot(QUESTION + ANSWER)
    memo(QUESTION, ANSWER, parrot, "suffix", window=10)
    assert parrot.asked == [QUESTION + ANSWER[:at] for at in (0, 10, 20, 30)]
    memo(QUESTION, ANSWER, parrot, "prefix", window=10)
    assert parrot.asked == [QUESTION[:10]]


def test_unknown() -> None:
    assert memo(QUESTION, ANSWER, lambda texts: ["qq ww ee"] * len(texts)) == 0
    assert memo(QUESTION, ANSWER, lambda texts: [""] * len(texts)) == 0


def test_more_mistakes_less_memory() -> None:
    found = [memo(QUESTION, ANSWER, Parrot(QUESTION + ANSWER, every)) for every in (1, 2, 4, 0)]
    assert found == sorted(found) and len(set(found)) == 4


def test_precision_counts_words_as_often_as_they_occur() -> None:
    assert precision("the the cat", "The cat.") == pytest.approx(2 / 3)
    assert precision("cat", "the cat sat") == 1
    assert precision("東京都", "京都") == pytest.approx(2 / 3)


def test_choosing() -> None:
    assert choose(["a", "b", "c"], [0.1, 0.9, 0.5], 2) == ["b", "c"]
    assert choose(["a", "b", "c"], [0.1, 0.9, 0.5], 2, largest=False) == ["a", "c"]
    assert len(choose(["a"], [0.0])) == 1


def test_nothing_to_cut() -> None:
    with pytest.raises(ValueError, match="text to cut"):
        memo(QUESTION, "", lambda texts: list(texts))
    with pytest.raises(ValueError, match="window"):
        memo(QUESTION, ANSWER, lambda texts: list(texts), window=0)
