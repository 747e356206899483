"""Vectors of words, so that what is said in other words can be compared: from a table, or any sentence encoder's.

A stretch of text is compared by the mean over its tokens. Every encoder therefore gives the sum of its token vectors
for each word, and a stretch's vector, up to its length, is the sum over its words: one reading serves all stretches.
"""

import random
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from gateway.guards.words import stem

AUTO, NONE = "auto", "none"
_SHIPPED = Path(__file__).parent / "english_words.safetensors"
_COMMON = 8_000  # words
_MOST_TOKENS = 512  # read at once by a transformer
_LEAST, _FULL = 1.25e-3, 1.25e-4  # chances that two words of the vocabulary are as like each other, by accident
_TABLE_SAMPLE, _MODEL_SAMPLE = 2_000, 300  # words
_BEGINS_WORD, _GOES_ON = "▁Ġ", "##"


class Likeness(NamedTuple):
    """Cosines as an encoder gives them: what is nearer than `least` says something, what reaches `full` says much."""

    least: float
    full: float


class Encoder(Protocol):
    """Reads the words of a text."""

    @property
    def likeness(self) -> Likeness: ...

    @property
    def dimensions(self) -> int: ...

    def read(self, words: Sequence[str]) -> NDArray[np.float32]:
        """The sum of the token vectors of each word, [words, dimensions]; zeros for a word it has no meaning of."""
        ...


class WordTable:
    """One vector for each word, whatever stands around it: what `gateway.guards.distil` has made of a model.

    The table that ships here is distilled from all-MiniLM-L6-v2 (Apache-2.0) and knows English words only.
    """

    def __init__(self, path: Path) -> None:
        stored = load_file(path)
        self._rows = {word: row for row, word in enumerate(stored["words"].tobytes().decode().split("\n"))}
        self._table: NDArray[np.int8] = stored["vectors"]
        self._scales = stored["scales"].astype(np.float32)
        some = _sample([*self._rows], _TABLE_SAMPLE)
        self.likeness = likeness_of(self.read(some))

    @property
    def dimensions(self) -> int:
        return int(self._table.shape[1])

    def read(self, words: Sequence[str]) -> NDArray[np.float32]:
        rows = np.array([self._rows.get(word.casefold(), -1) for word in words], dtype=np.int64)
        found: NDArray[np.float32] = self._table[rows] * self._scales[rows]
        found[rows < 0] = 0.0
        return found


class TransformerEncoder:
    """The token vectors of a sentence-transformers model with mean pooling, each in its context; read from `folder`.

    Raises OSError or ValueError where there is no such model. Nothing is downloaded.
    """

    def __init__(self, folder: Path) -> None:
        import torch
        from transformers import AutoModel, AutoTokenizer

        self._torch = torch
        self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self._model = AutoModel.from_pretrained(folder, local_files_only=True, dtype=torch.float32).eval()
        self.dimensions = int(self._model.config.hidden_size)
        some = _sample(whole_words(self._tokenizer.get_vocab()), _MODEL_SAMPLE)
        self.likeness = likeness_of(np.concatenate([self.read([word]) for word in some]))

    def read(self, words: Sequence[str]) -> NDArray[np.float32]:
        summed = np.zeros((len(words), self.dimensions), dtype=np.float32)
        if not words:
            return summed
        tokens = self._tokenizer(
            [word.encode("utf-8", "replace").decode() for word in words],
            is_split_into_words=True,
            truncation=True,
            max_length=_MOST_TOKENS,
            return_tensors="pt",
        )
        with self._torch.inference_mode():
            vectors = self._model(**tokens).last_hidden_state[0].numpy()
        unknown = self._tokenizer.unk_token_id
        for at, word in enumerate(tokens.word_ids(0)):
            if word is not None and int(tokens["input_ids"][0, at]) != unknown:
                summed[word] += vectors[at]
        return summed


def likeness_of(vectors: NDArray[np.float32]) -> Likeness:
    """What is near for an encoder, by how near words are that have nothing to do with each other, [words, dimensions].

    Encoders differ: a cosine of .7 is a synonym to one and nothing to another.
    """
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    known = vectors[norms[:, 0] > 0] / norms[norms[:, 0] > 0]
    cosines = (known @ known.T)[np.triu_indices(len(known), 1)]
    least, full = np.quantile(cosines, [1 - _LEAST, 1 - _FULL])
    return Likeness(float(least), float(full))


def whole_words(vocabulary: Mapping[str, int]) -> list[str]:
    """The tokens that are a word of their own, folded, most frequent ones first."""
    marked = any(token[:1] in _BEGINS_WORD for token in vocabulary if token)
    found: dict[str, None] = {}
    for token in sorted(vocabulary, key=vocabulary.__getitem__):
        if token.startswith(_GOES_ON) or (marked and token[:1] not in _BEGINS_WORD):
            continue
        word = token.lstrip(_BEGINS_WORD).casefold()
        if word.isalpha() and len(word) > 1:
            found[word] = None
    return [*found]


@cache
def common_english() -> frozenset[str]:
    """Stems of the commonest English words, after the table that ships, which has them in that order."""
    words = load_file(_SHIPPED)["words"].tobytes().decode().split("\n")
    return frozenset(map(stem, words[:_COMMON]))


def _sample(words: list[str], count: int) -> list[str]:
    return random.Random(0).sample(words, min(count, len(words)))


def load_encoder(wanted: str) -> Encoder | None:
    """The encoder that a setting names: `none`, `auto` (the table that ships), a table's file or a model's folder.

    Raises OSError or ValueError where there is no such model or table.
    """
    if wanted == NONE:
        return None
    path = _SHIPPED if wanted == AUTO else Path(wanted)
    return TransformerEncoder(path) if path.is_dir() else WordTable(path)
