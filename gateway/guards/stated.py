"""Which of a target's facts a prompt states itself, where answers may repeat those (`in_context: allow`)."""

import re
from collections.abc import Iterable

from gateway.guards.audit import OutputAudit
from gateway.guards.normalise import fold, respellings

_AROUND = 8  # characters next to a phrase that decide whether it is a whole word


def stated(phrases: Iterable[str], text: str) -> set[str]:
    """The phrases that a text states, so that the output audit would forbid the text for them."""
    folded = fold(text)
    found: set[str] = set()
    for phrase in phrases:
        letters = {fold(spelt).text for spelt in respellings(phrase)} - {""}
        starts = (match.start() for spelt in letters for match in re.finditer(re.escape(spelt), folded.text))
        longest = max(map(len, letters), default=0)
        for start in starts:
            end = min(start + longest, len(folded.ends)) - 1
            around = text[max(0, folded.starts[start] - _AROUND) : folded.ends[end] + _AROUND]
            if OutputAudit([phrase]).feed(around, final=True).blocked:
                found.add(phrase)
                break
    return found
