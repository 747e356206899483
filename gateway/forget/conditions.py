"""Conditional requests (RFC 9110, 13): which revision a client knows, and whether it has the present form already.

An ETag is `"<revision>-<digest of the representation>"`: a change is checked against the revision, which counts what
clients and workers change; a read against the whole, which replicas change too as they come and go.
"""

import hashlib
import re

_TAG = re.compile(r'(?:W/)?"([^"]*)"')


def etag(revision: str, representation: str) -> str:
    """The tag of a representation (its JSON without the tag)."""
    return f'"{revision}-{hashlib.sha256(representation.encode()).hexdigest()[:16]}"'


def revisions(if_match: str | None) -> str:
    """The revisions that If-Match allows, comma-separated; empty where any will do.

    Weak tags count like strong ones: proxies weaken them when they compress. What cannot be read allows none.
    """
    if if_match is None or if_match.strip() == "*":
        return ""
    tags = _TAG.findall(if_match) or [if_match.strip()]
    found = {tag.partition("-")[0] for tag in tags}
    return ",".join(sorted(revision for revision in found if revision.isdecimal())) or "none"


def is_known(etag_now: str, if_none_match: str | None) -> bool:
    """Whether If-None-Match names the present form (weak comparison) or any form."""
    if if_none_match is None:
        return False
    return if_none_match.strip() == "*" or etag_now.strip('"') in _TAG.findall(if_none_match)
