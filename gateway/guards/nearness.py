"""Known facts that a text states in other words, by the vectors of an encoder.

Many targets share one fact, so there are far fewer facts than targets have together, and one product with all of them
is cheaper than a graph of neighbours. A stretch of a few words is as near to a fact as its vector; it is the product of
words that is computed, and stretches add it up (the interaction is late: ColBERT, arXiv 2004.12832; the mean over a
stretch instead of a maximum for each word, because one word's meaning is often said by several together).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gateway.guards.encoder import Encoder
from gateway.guards.fact_table import keys_of
from gateway.guards.facts import Describable, Stems, all_words, bits_of
from gateway.guards.letters import Hashes, Numbers
from gateway.guards.normalise import BARRIER
from gateway.guards.words import RARE_BITS, surprisal, words_as_written

MOST_FACTS = 1024  # those that most targets share: what one alone of many has is a name or a number for the most part
LONGEST_STRETCH = 4  # words
MOST_SHARE = 0.68  # of a fact's weight: two in other words are not enough; with more, honest texts describe people too
TELLING_BITS = 9.5  # what is more ordinary says nothing by its vector
_KIN, _SAME = 0.1, 0.5  # cosines: facts that go together more than by chance, and such as say the same
READ_WORDS = 256  # the end of a text, where its question is
_AT_ONCE = 1024  # texts


class Near(NamedTuple):
    """Where a text comes near to facts: first words, numbers of words, hashes of the facts; [found] each."""

    starts: Numbers
    lengths: Numbers
    hashes: Hashes
    share: NDArray[np.float64]  # of the facts' weights


_NONE = Near(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.uint64), np.zeros(0))


class NearFacts:
    """The facts that an encoder can compare with a text. Immutable: `with_targets` makes another one."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._keys: Hashes = np.zeros(0, dtype=np.uint64)
        self._vectors = np.zeros((encoder.dimensions, 0), dtype=np.float32)

    def __len__(self) -> int:
        return len(self._keys)

    def with_targets(self, targets: Iterable[Describable], sharing: Callable[[Hashes], Numbers]) -> "NearFacts":
        """The same with what is known of targets more.

        `sharing` tells how many targets have each fact: what nobody has any more goes, and the most shared ones stay if
        there are too many.
        """
        told = _told([*targets])
        known = {*self._keys.tolist()}
        keys = np.array([*self._keys.tolist(), *(key for key in told if key not in known)], dtype=np.uint64)
        shared = sharing(keys)
        order = np.argsort(-shared, kind="stable")
        best = order[shared[order] > 0][:MOST_FACTS]
        old, new = best[best < len(self)], best[best >= len(self)]
        if len(old) == len(self) and not len(new):
            return self
        made = np.zeros((len(new), self._encoder.dimensions), dtype=np.float32)
        for row, at in enumerate(new.tolist()):
            made[row] = self._vector(*told[int(keys[at])])
        meant = made.any(axis=1)
        result = NearFacts(self._encoder)
        result._keys = np.append(keys[old], keys[new[meant]])
        result._vectors = np.append(self._vectors[:, old], made[meant].T, axis=1)
        return result

    def redundant(self, facts: Sequence[tuple[Sequence[str], float]]) -> float:
        """Bits of some facts that the facts before let expect, as soup a cook; each by what says it, and its weight."""
        meant = [(self._meaning(phrases), weight) for phrases, weight in facts]
        meant = [(vector, weight) for vector, weight in meant if vector.any()]
        bits = 0.0
        for at, (vector, weight) in enumerate(meant[1:], 1):
            likeness = max(float(vector @ other) for other, _ in meant[:at])
            bits += weight * min(1.0, max(0.0, (likeness - _KIN) / (_SAME - _KIN)))
        return bits

    def _meaning(self, phrases: Sequence[str]) -> NDArray[np.float32]:
        """The mean direction of what says one fact, in any language; zeros where the encoder has none of it."""
        keys = np.array(keys_of(all_words(phrases)), dtype=np.uint64)
        known = np.isin(self._keys, keys)
        summed: NDArray[np.float32] = self._vectors[:, known].sum(axis=1)
        return summed / max(float(np.linalg.norm(summed)), 1e-6)

    def _share(self, likeness: NDArray[np.float64]) -> NDArray[np.float64]:
        """What part of a fact's weight it tells that a text comes so near to it."""
        least, full = self._encoder.likeness
        return np.clip((likeness - least) / max(full - least, 1e-3), 0.0, MOST_SHARE)

    def find(self, stems: Sequence[str], written: Sequence[str]) -> Near:
        """Stretches of the last words, as `written`, that come near to a fact; they begin and end with one that tells.

        `stems` are those of the whole text.
        """
        before = len(stems) - len(written)
        vectors = self._read(stems[before:], written)
        tells = np.flatnonzero(vectors.any(axis=1))
        if not len(tells):
            return _NONE
        products = np.zeros((len(vectors), len(self)), dtype=np.float32)
        products[tells] = vectors[tells] @ self._vectors
        found = [_NONE]
        summed, likeness = vectors, products
        for length in range(1, min(LONGEST_STRETCH, len(vectors)) + 1):
            if length > 1:
                summed = summed[:-1] + vectors[length - 1 :]
                likeness = likeness[:-1] + products[length - 1 :]
            starts = np.intersect1d(tells, tells - (length - 1), assume_unique=True)
            norms = np.linalg.norm(summed[starts], axis=1, keepdims=True)
            cosines: NDArray[np.float32] = likeness[starts] / np.maximum(norms, 1e-6)
            at, fact = np.nonzero(cosines >= self._encoder.likeness.least)
            told = self._share(cosines[at, fact].astype(np.float64))
            found.append(Near(starts[at] + before, np.full(len(at), length), self._keys[fact], told))
        return Near(*(np.concatenate(column) for column in zip(*found, strict=True)))

    def _read(self, stems: Sequence[str], written: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of words; zeros for what everybody says."""
        vectors = self._encoder.read(written)
        vectors[[surprisal(stem) < TELLING_BITS for stem in stems]] = 0.0
        return vectors

    def _vector(self, stems: Sequence[str], written: Sequence[str]) -> NDArray[np.float32]:
        """Of length one; zeros where the encoder has no meaning of all that tells in it, or it is long."""
        nothing = np.zeros(self._encoder.dimensions, dtype=np.float32)
        telling = [surprisal(stem) >= TELLING_BITS for stem in stems]
        if not 0 < sum(telling) <= LONGEST_STRETCH:
            return nothing
        vectors = self._read(stems, written)
        if not vectors[telling].any(axis=1).all():
            return nothing
        summed: NDArray[np.float32] = vectors.sum(axis=0)
        return summed / np.linalg.norm(summed)


def _told(targets: Sequence[Describable]) -> dict[int, tuple[Stems, Stems]]:
    """What is known of some targets: a fact's hash -> its stems, and its words as written.

    Not names, titles and long numbers: of these there are no other words. Not the words of texts either: to most of
    them something in any text about the same matter comes near.
    """
    told: dict[Stems, Stems] = {}
    phrases = dict.fromkeys(phrase for target in targets for phrase in target.phrases)
    for phrase, (stems, written) in zip(phrases, _all_as_written(phrases), strict=True):
        if len(stems) == 1 and bits_of(phrase, stems) <= RARE_BITS:
            told[stems] = written
    return dict(zip(keys_of([*told]), told.items(), strict=True))


def _all_as_written(texts: Iterable[str]) -> Iterator[tuple[Stems, Stems]]:
    """`words_as_written` of many short texts, most of them read at once."""
    left = iter(texts)
    while some := [*islice(left, _AT_ONCE)]:
        stems, written = words_as_written("".join(text.replace(BARRIER, "") + BARRIER for text in some))
        start = 0
        for _ in some:
            end = stems.index(BARRIER, start)
            yield tuple(stems[start:end]), tuple(written[start:end])
            start = end + 1
