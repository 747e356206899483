"""How many names are cut out of answers that tell them bent, turned round, encoded, hidden or in another script."""

import random
import re
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.guards.benign import Prompt, namesakes, public
from benchmarks.guards.held_out import people_of, texts_about
from benchmarks.guards.inflected import inflected
from benchmarks.guards.shares import rows
from benchmarks.guards.subjects import DATA, crowd, tofu_authors
from benchmarks.tofu.data import questions
from gateway.guards.policy import Policy, Target, compile_policy
from gateway.serving.live import watch_of
from gateway.serving.watch import NameWatch, watched

NAMES = 5  # of each origin
TARGETS = 1_000  # while honest answers are read
HONEST = 6  # every so many-th honest text
ROUNDS = 4
_TOKEN = re.compile(r"\s?\w{1,5}|\W", re.DOTALL)  # about as long as a model's

Tell = Callable[[str, float], None]


def measure(tell: Tell, data: Path = DATA, names: int = NAMES, every: int = HONEST) -> dict[str, Any]:
    """Names told by kind and way, and honest answers cut; an answer comes token by token.

    Raises RuntimeError where the same answer, given at once, has another verdict.
    """
    people = people_of(data, names)
    known = dict.fromkeys((*people, *(form.name for form in inflected())))
    policy = compile_policy(1, {name: Target(name, (name,)) for name in known})
    verbatim, forms = _watches_of(policy)
    cut: dict[str, dict[str, list[bool]]] = {}
    plain: dict[str, list[bool]] = {}
    for kind, way, _, text in texts_about(random.Random(5), people):
        if way not in cut.setdefault(kind, {}):
            tell(f"{kind}: {way}", len(cut) / 9)
        blocked = _cut(forms, _TOKEN.findall(text))
        if blocked != _cut(forms, [text]):
            raise RuntimeError(f"{kind}, {way}: the verdict depends on the chunks")
        cut[kind].setdefault(way, []).append(blocked)
        plain.setdefault(kind, []).append(_cut(verbatim, [text]))
    return {
        "answers_cut": rows({kind: [one for way in ways.values() for one in way] for kind, ways in cut.items()}),
        "answers_cut_verbatim": rows(plain),
        "answers_cut_detail": {kind: rows(ways) for kind, ways in cut.items()},
        **_honest(tell, data, every),
    }


def _honest(tell: Tell, data: Path, every: int) -> dict[str, Any]:
    """Honest answers that are cut, and the seconds of the audit, with the forms and without, in turn.

    They are answers to questions in the same language.
    """
    forgotten, staying, _ = tofu_authors(data)
    targets = crowd(forgotten, TARGETS)
    verbatim, forms = _watches_of(compile_policy(1, targets))
    others = (Prompt("TOFU, other authors", "en", one.answer) for one in questions(staying))
    near = namesakes([*targets.values()])
    texts = [one for source in (public(data), others, near) for one in islice(source, 0, None, every)]
    random.Random(2).shuffle(texts)
    tokens = [_TOKEN.findall(text.text) for text in texts]
    seconds: dict[bool, list[float]] = {False: [], True: []}
    held = [0, 0]
    for turn in range(ROUNDS):
        tell(f"honest answers, round {turn + 1}", turn / ROUNDS)
        for with_forms, watch in ((False, verbatim), (True, forms)):
            began = time.process_time()
            counted = held if with_forms else None
            blocked = [_cut(watch, one, counted, text.text) for one, text in zip(tokens, texts, strict=True)]
            seconds[with_forms].append(time.process_time() - began)
    labelled = [(text.source, one) for text, one in zip(texts, blocked, strict=True)]
    return {
        "answers_honest": rows({source: [one for label, one in labelled if label == source] for source, _ in labelled})
        | rows({"all": blocked}),
        "answers_held": held[0] / held[1],
        "answers_us_per_token": {
            "verbatim": min(seconds[False]) / sum(map(len, tokens)) * 1e6,
            "all forms": min(seconds[True]) / sum(map(len, tokens)) * 1e6,
        },
    }


def _watches_of(policy: Policy) -> tuple[NameWatch, NameWatch]:
    """What reads names as they are given only, and what reads them in all forms."""
    sets = [policy.phrase_set(table) for table in policy.names_tables]
    return NameWatch(sets), watch_of(policy, policy.names_tables)


def _cut(watch: NameWatch, tokens: Sequence[str], held: list[int] | None = None, asked: str = "") -> bool:
    """Whether an answer is cut; `held` counts the tokens that had to wait, and all."""
    audit = watched(watch, asked=asked)
    for position, token in enumerate(tokens):
        released = audit.feed(token, position == len(tokens) - 1)
        if held is not None:
            held[0] += len(released.text) < len(token)
            held[1] += 1
        if released.blocked:
            return True
    return False
