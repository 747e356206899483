"""Phrases of which only keyed hashes are kept, found again in a text: for facts that may not be stored themselves.

A phrase is the folded letters between two word borders. Who holds the store alone learns how many phrases there are
and how long they are; who holds the key as well can try guesses.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from gateway.guards.normalise import BARRIER, fold, respellings
from gateway.guards.phrase_set import FREE_LETTERS, GAP, with_gaps

MOST_LETTERS = 64  # of a longer phrase so many whole words at its beginning count
OPENING_LETTERS = 3
_DIGEST_BYTES, _OPENING_BYTES = 16, 2


@dataclass(frozen=True, slots=True)
class HashedPhrases:
    """Digests by number of letters, and short ones of openings, so that a text need not be held back everywhere.

    `key` stays outside of the store; `salt` differs between requests, so that equal facts have other digests.
    """

    key: bytes = field(repr=False)
    salt: bytes
    digests: Mapping[int, frozenset[bytes]] = field(repr=False)
    openings: Mapping[bytes, int] = field(
        repr=False
    )  # digest of the first letters -> letters of the longest phrase that begins so

    def __bool__(self) -> bool:
        return bool(self.digests)

    def longest(self, letters: str) -> int:
        """How long a phrase may get that begins with these letters (three or more), the s of a plural included."""
        return self.openings.get(_opening(self.key, self.salt, letters), OPENING_LETTERS - 1) + 1

    def complete(self, letters: str, edges: tuple[int, ...] = ()) -> bool:
        """Whether these letters between two word borders are a phrase, with words beginning at `edges`."""
        spelt = [letters, letters[:-1]] if letters.endswith("s") else [letters]
        return any(
            _digest(self.key, self.salt, one) in self.digests[len(plain)]
            for plain in spelt
            if len(plain) in self.digests
            for one in {plain, _gapped(plain, edges)}
        )

    def without_stated(self, text: str) -> "HashedPhrases":
        """Those that a text does not state itself."""
        stated = {
            _digest(self.key, self.salt, spelt)
            for letters, edges in _spans(text, max(self.digests, default=0))
            for spelt in (letters, _gapped(letters, edges))
        }
        kept = {length: digests - stated for length, digests in self.digests.items()}
        return HashedPhrases(self.key, self.salt, {n: found for n, found in kept.items() if found}, self.openings)

    def dumped(self) -> str:
        """Everything but the key, as JSON."""
        digests = {str(length): sorted(map(bytes.hex, found)) for length, found in sorted(self.digests.items())}
        openings = {opening.hex(): longest for opening, longest in sorted(self.openings.items())}
        return json.dumps({"salt": self.salt.hex(), "digests": digests, "openings": openings})


def hashed(phrases: Iterable[str], key: bytes, context: str) -> HashedPhrases:
    """Hash phrases for the request `context`."""
    salt = hashlib.blake2b(context.encode(), digest_size=16).digest()
    digests: dict[int, set[bytes]] = {}
    openings: dict[bytes, int] = {}
    for phrase in phrases:
        for spelt in respellings(phrase.replace(BARRIER, "")):
            letters = _beginning(spelt)
            if not letters:
                continue
            gapped = with_gaps(spelt) if len(letters) < FREE_LETTERS else letters
            digests.setdefault(len(letters), set()).add(_digest(key, salt, gapped))
            if len(letters) >= OPENING_LETTERS:
                opening = _opening(key, salt, letters)
                openings[opening] = max(len(letters), openings.get(opening, 0))
    return HashedPhrases(key, salt, {length: frozenset(found) for length, found in digests.items()}, openings)


def loaded(dumped: str, key: bytes) -> HashedPhrases:
    """What `HashedPhrases.dumped` wrote. Raises ValueError or KeyError for anything else."""
    parts = json.loads(dumped)
    return HashedPhrases(
        key,
        bytes.fromhex(parts["salt"]),
        {int(length): frozenset(map(bytes.fromhex, found)) for length, found in parts["digests"].items()},
        {bytes.fromhex(opening): longest for opening, longest in parts["openings"].items()},
    )


def _digest(key: bytes, salt: bytes, letters: str) -> bytes:
    written = letters.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(written, digest_size=_DIGEST_BYTES, key=key, salt=salt, person=b"phrase").digest()


def _opening(key: bytes, salt: bytes, letters: str) -> bytes:
    written = letters[:OPENING_LETTERS].encode("utf-8", "surrogatepass")
    return hashlib.blake2b(written, digest_size=_OPENING_BYTES, key=key, salt=salt, person=b"opening").digest()


def _beginning(phrase: str) -> str:
    """The folded letters; of a long phrase those of its first words, as many as fit."""
    folded = fold(phrase)
    if len(folded.text) <= MOST_LETTERS:
        return folded.text
    return folded.text[: max((at for at in range(MOST_LETTERS + 1) if folded.edges[at]), default=0)]


def _gapped(letters: str, edges: tuple[int, ...]) -> str:
    if len(letters) >= FREE_LETTERS:
        return letters
    return "".join(GAP * (at > 0 and at in edges) + letter for at, letter in enumerate(letters))


def _spans(text: str, longest: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """All stretches between two word borders."""
    folded = fold(text)
    borders = [at for at, edge in enumerate(folded.edges) if edge]
    for first, start in enumerate(borders):
        for end in borders[first + 1 :]:
            if end - start > longest:
                break
            yield folded.text[start:end], tuple(at - start for at in borders[first:] if at < end)
