"""The Lua scripts: every change of a request is one of them, atomic in Redis."""

import hashlib
from functools import cache
from importlib.resources import files

from gateway.forget.model import TRANSITIONS

ROOT = "{unlearn}"  # one hash slot for all keys


@cache
def script(name: str) -> str:
    """The source of a script, with what all scripts share in front."""
    legal = ",".join(
        f"{state}={{{','.join(f'{target}=true' for target in sorted(targets))}}}"
        for state, targets in TRANSITIONS.items()
    )
    folder = files(__name__)
    return "\n".join(
        (
            f"local LEGAL = {{{legal}}}",
            *(folder.joinpath(f"{part}.lua").read_text(encoding="utf-8") for part in ("sha256", "journal", name)),
        )
    )


@cache
def digest(name: str) -> str:
    """What Redis calls a script that it knows."""
    return hashlib.sha1(script(name).encode(), usedforsecurity=False).hexdigest()
