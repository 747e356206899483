"""Never-seen names that stand in for those of targets, and what is written back into an answer about them."""

import hashlib
import random
import re
from collections.abc import Callable, Sequence

from gateway.guards.matcher import Match
from gateway.guards.normalise import fold
from gateway.guards.slips import is_first_name
from unlearn_engine.data.names import unseen_name

_ATTEMPTS = 32
_UNSAFE_IN_JSON = re.compile(r'["\\\x00-\x1f]')


def twin_for(target_id: str, name: str | None, is_known: Callable[[str], bool]) -> str:
    """A name for a target that is the same on every replica and, if one is found, nobody's who `is_known`."""
    rng = random.Random(hashlib.sha256(target_id.encode()).digest())
    for _ in range(_ATTEMPTS):
        twin = unseen_name(rng, name, whole=name is not None and _first_name_tells(name))
        if not is_known(twin):
            return twin
    return twin


def rewrites(
    text: str,
    named: Sequence[Match],
    implied: Sequence[Match],
    name: Callable[[str], str],
    twin: Callable[[str], str],
) -> dict[str, str]:
    """What an audit writes back into an answer about twins: each twin as the prompt first wrote that name.

    The twin's first or last word alone becomes that of the name. Of those who are `implied` by a phrase, the phrase is
    written back: the prompt does not give their names. `name` and `twin` are asked by target id.
    """
    written: dict[str, str] = {}
    for match in named:
        plain = text[match.start : match.end] if not match.decoded else name(match.target)
        written.setdefault(match.target, _one_line(plain))
    phrases: dict[str, str] = {}
    for match in implied:
        if match.target not in written and match.end > match.start:
            phrases.setdefault(match.target, _one_line(text[match.start : match.end]))
    back: dict[str, str] = {}
    for target_id, put in (written | phrases).items():
        twin_words = twin(target_id).split()
        own_words = [put] * 2 if target_id in phrases else _one_line(name(target_id)).split()
        if len(twin_words) > 1 and len(own_words) > 1:
            back |= {twin_words[at]: own_words[at] for at in (0, -1) if twin_words[at] != own_words[at]}
        back[twin(target_id)] = put
    return back


def _first_name_tells(name: str) -> bool:
    """Whether the first of several words is nobody's common first name: a model may know who that is by it alone."""
    first, *others = name.split() or [""]
    return bool(others) and not is_first_name(fold(first).text)


def _one_line(written: str) -> str:
    """A name without what would break the JSON of a tool call."""
    return " ".join(_UNSAFE_IN_JSON.sub(" ", written).split())
