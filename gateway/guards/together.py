"""Several texts read as one, which takes little longer than reading one of them.

What a reader finds in a text it finds in all of them together, too, perhaps with more: none looks past a barrier on a
line of its own, and where a text stands matters only to the reader of cases, which looks at it in blocks.
"""

from collections.abc import Iterator, Sequence

from gateway.guards.inflected import BLOCK
from gateway.guards.normalise import BARRIER

MOST_CHARACTERS = 2_000  # longer texts are read in another way, with the same result


def together(texts: Sequence[str]) -> tuple[str, list[int]]:
    """The texts one behind the other, each at the beginning of a block, and where each begins and the last ends."""
    bounds = [0]
    for text in texts:
        bounds.append(bounds[-1] + -(-(len(text) + 3) // BLOCK) * BLOCK)
    whole = "".join(
        f"{text}\n{BARRIER}\n".ljust(end - start, "\n")
        for text, start, end in zip(texts, bounds, bounds[1:], strict=False)
    )
    return whole, bounds


def grouped(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """The texts in order, as many together as are read at once."""
    group: list[str] = []
    length = 0
    for text in texts:
        more = len(text) + BLOCK
        if group and length + more > MOST_CHARACTERS:
            yield group
            group, length = [], 0
        group.append(text)
        length += more
    if group:
        yield group
