"""Checks an exported audit log offline: that no entry was changed, left out, moved or put in between."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.verify_certificate import canonical, strict

NOTHING_BEFORE = "0" * 64


@dataclass
class AuditFinding:
    """What an audit log shows. Whole logs have no problem; `digests` are those of its entries, by sequence number."""

    problem: str | None = None
    first: int = 0
    last: int = 0
    digests: dict[int, str] = field(default_factory=dict, repr=False)

    def lacks(self, head: Mapping[str, Any]) -> str | None:
        """What is wrong if this `head` (`sequence`, `digest`), signed elsewhere, was once the log's last entry."""
        sequence = head.get("sequence")
        if not isinstance(sequence, int):
            return "what was signed names no entry"
        if sequence == 0 or self.digests.get(sequence) == head.get("digest"):
            return None
        if sequence < self.first:
            return f"entry {sequence} was signed, but this file begins with entry {self.first}"
        if sequence > self.last:
            return f"entry {sequence} was signed, but this file ends with entry {self.last}: the rest is missing"
        return f"entry {sequence} is not the one that was signed: the log was written anew"


def check(lines: Iterable[str]) -> AuditFinding:
    """Follows the chain from the first line to the last, and every request from state to state."""
    found = AuditFinding()
    states: dict[str, str] = {}
    previous: str | None = None
    for number, line in enumerate(lines, start=1):
        line = line.rstrip("\n")
        if (problem := _problem(line, found, previous, states)) is not None:
            found.problem = f"line {number}: {problem}"
            return found
        previous = hashlib.sha256(line.encode()).hexdigest()
        found.digests[found.last] = previous
    return found


def _problem(line: str, found: AuditFinding, previous: str | None, states: dict[str, str]) -> str | None:
    try:
        entry = strict(line)
        if not isinstance(entry, dict) or canonical(entry).decode() != line:
            return "not in the form in which it was written"
        sequence, request = int(entry["sequence"]), str(entry["request"])
        before, after, link, act = (entry[name] for name in ("from", "to", "previous", "act"))
    except (ValueError, KeyError, TypeError, RecursionError):
        return "no entry of an audit log"
    if previous is None:
        found.first = sequence
        if sequence == 1 and link != NOTHING_BEFORE:
            return "the first entry follows another one"
    elif sequence != found.last + 1:
        return f"entry {sequence} follows entry {found.last}"
    elif link != previous:
        return f"entry {sequence} does not follow this entry {found.last}: one of them was changed"
    found.last = sequence
    if act == "transition":
        if states.get(request, before) != before or (found.first == 1 and request not in states and before):
            return f"entry {sequence} leaves a state in which the request was not"
        states[request] = after
    return None
