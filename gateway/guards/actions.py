"""What a guarded prompt gets: the actions of a forget request, and which of several wins.

Under all but `refuse` the engine is asked about a never-seen twin, and tables and audit are on, so none tells more than
`ignorance`; they differ in what is said instead.
"""

from collections.abc import Iterable
from typing import Literal, get_args

# Strictest first. `rewrite` leaves no trace of the subject; `ignorance` does not show that the subject is on the list,
# which the others may.
Response = Literal["refuse", "rewrite", "ignorance", "clause", "instruct"]
STRICTEST_FIRST: tuple[Response, ...] = get_args(Response)


def strictest(wanted: Iterable[Response]) -> Response | None:
    """The action for a prompt with several targets; None for none."""
    return min(wanted, key=STRICTEST_FIRST.index, default=None)
