"""An answer told to an audit chunk by chunk."""

from gateway.guards.audit import Audit


def told(audit: Audit, chunks: list[str]) -> tuple[str, bool]:
    """What the audit gives out, and whether it ended the answer."""
    text = ""
    for number, chunk in enumerate(chunks):
        released = audit.feed(chunk, number == len(chunks) - 1)
        text += released.text
        if released.blocked:
            return text, True
    return text, False
