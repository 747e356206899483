"""How many names are recognised that are hidden, bent or written in ways that the guard was not made from."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.guards.disguises import WAYS
from benchmarks.guards.further_scripts import SCRIPTS, in_script
from benchmarks.guards.inflected import SUFFIXING, inflected, suffixed
from benchmarks.guards.shares import Share, rows
from benchmarks.guards.subjects import DATA, rendered, tofu_authors
from gateway.guards.policy import Target, compile_policy
from unlearn_engine.data.names import unseen_name
from unlearn_engine.demo.world import build_world

NAMES = 60  # of each origin: the demonstration, TOFU's authors, invented
_QUESTION = "Where was {} born?"

Tell = Callable[[str, float], None]


def measure(tell: Tell, data: Path = DATA, names: int = NAMES) -> dict[str, Any]:
    """Recall by kind and way, of names alone; a hit names the right person."""
    people = people_of(data, names)
    everybody = dict.fromkeys((*people, *(form.name for form in inflected())))
    policy = compile_policy(1, {name: Target(name, (name,)) for name in everybody})
    outcomes: dict[str, dict[str, list[bool]]] = {}
    for kind, way, name, text in texts_about(random.Random(5), people):
        if way not in outcomes.setdefault(kind, {}):
            tell(f"{kind}: {way}", len(outcomes) / 8)
        found = {match.target for match in policy.examine(rendered(text))}
        outcomes[kind].setdefault(way, []).append(name in found)
    return {
        "disguises": {
            kind: Share.of(hit for way in ways.values() for hit in way).row() for kind, ways in outcomes.items()
        },
        "disguises_detail": {kind: rows(ways) for kind, ways in outcomes.items()},
        "disguises_names": len(people),
    }


def people_of(data: Path, count: int) -> list[str]:
    """So many names each of the demonstration, of TOFU's authors and of nobody."""
    rng = random.Random(3)
    names = [person.name for person in build_world().people][:count]
    names += [author.name for author in tofu_authors(data)[0]][:count]
    names += [unseen_name(rng) for _ in range(count)]
    return [*dict.fromkeys(names)]


def texts_about(rng: random.Random, people: list[str]) -> Iterator[tuple[str, str, str, str]]:
    """Kind, way, whose name, text."""
    for kind, ways in WAYS.items():
        for way, write in ways.items():
            written = ((name, write(rng, name)) for name in people)
            yield from ((kind, way, name, _QUESTION.format(text)) for name, text in written if text != name)
    yield from (("cases", form.language, form.name, form.written) for form in inflected())
    for language in SUFFIXING:
        yield from (("endings", language, name, suffixed(rng, language, name)) for name in people)
    for script in SCRIPTS:
        yield from (
            ("scripts", script, name, _QUESTION.format(in_script(script, name))) for name in people if name.isascii()
        )
