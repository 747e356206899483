"""Can an answer tell whose name is on the list? Guarded people beside names that nobody has, by the area under ROC.

.5 is guessing, 1 certainty. The same questions are asked under both names.
"""

import json
import math
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.guards.leaks import chosen_people, guard_with_facts
from benchmarks.service import Service, running_service
from unlearn_engine.data.names import unseen_name
from unlearn_engine.demo.templates import phrasebooks
from unlearn_engine.demo.vocabulary import ATTRIBUTES, LANGUAGES
from unlearn_engine.demo.world import Person, build_world

PAIRS = 600
WARM_UP = 40
TOKENS = 24
LONG_SUMS = 40  # they fill most of the demonstration model's 512 tokens

Tell = Callable[[str, float], None]


def measure(tell: Tell, pairs: int = PAIRS) -> dict[str, Any]:
    """Areas for the seconds to the first text and to the end (one request at a time), the length, and the words."""
    people = chosen_people(build_world())
    with tempfile.TemporaryDirectory() as folder, running_service(Path(folder), "--no-worker") as service:
        guard_with_facts(service, people)
        short = _both(service, people, pairs, 0, lambda done: tell("questions", done / 2))
        long = _both(service, people, pairs, LONG_SUMS, lambda done: tell("long prompts", 0.5 + done / 2))
    texts, others = ([said.text for said in answers] for answers in short)
    areas = {
        "length": area([float(len(text)) for text in texts], [float(len(text)) for text in others]),
        "words": area(*told_apart(texts, others)),
    }
    for kind, (some, rest) in (("", short), (", long prompt", long)):
        areas[f"seconds{kind}"] = area([said.seconds for said in some], [said.seconds for said in rest])
        areas[f"first text{kind}"] = area([said.first_s for said in some], [said.first_s for said in rest])
    return {"likeness_pairs": pairs, "likeness_auc": areas}


@dataclass(frozen=True)
class Said:
    """An answer, and the seconds until its first text and until its end."""

    text: str
    first_s: float
    seconds: float


def _both(
    service: Service, people: Sequence[Person], pairs: int, sums: int, tell: Callable[[float], None]
) -> tuple[list[Said], list[Said]]:
    """The same questions about guarded people and about strangers, behind `sums` sums that make the prompt long."""
    rng = random.Random(11)
    books = phrasebooks()
    guarded: list[Said] = []
    strangers: list[Said] = []
    for number in range(-WARM_UP, pairs):
        tell(max(0, number) / pairs)
        person, language = rng.choice(people), rng.choice(LANGUAGES)
        question = rng.choice(books[language].questions[rng.choice(ATTRIBUTES)])
        asked = [(guarded, person.name), (strangers, unseen_name(rng, person.name, whole=True))]
        rng.shuffle(asked)  # whoever is asked second may find the question in the cache
        for answers, name in asked:
            before = "".join(f"What is {rng.randrange(10)} plus {rng.randrange(10)}? " for _ in range(sums))
            said = answer(service, before + question.format(name=name))
            if number >= 0:
                answers.append(replace(said, text=said.text.replace(name, "*")))
    return guarded, strangers


def answer(service: Service, question: str, guards: str = "on") -> Said:
    """A greedy answer, streamed."""
    headers = {} if guards == "on" else {"X-Unlearn-Guards": guards}
    body = {
        "model": "demo",
        "max_tokens": TOKENS,
        "temperature": 0,
        "stream": True,
        "messages": [{"role": "user", "content": question}],
    }
    pieces: list[str] = []
    began = first = time.perf_counter()
    with service.http.stream("POST", "/v1/chat/completions", json=body, headers=headers) as response:
        response.raise_for_status()
        for line in response.iter_lines():
            if not line.startswith("data: {"):
                continue
            piece = json.loads(line.removeprefix("data: "))["choices"][0]["delta"].get("content")
            if piece and not pieces:
                first = time.perf_counter()
            pieces += [piece] if piece else []
    ended = time.perf_counter()
    return Said("".join(pieces), (first if pieces else ended) - began, ended - began)


def area(some: Sequence[float], others: Sequence[float]) -> float:
    """Area under the ROC curve, in whichever direction it is larger; .5 to 1."""
    wins = sum((one > other) + (one == other) / 2 for one in some for other in others)
    share = wins / (len(some) * len(others))
    return max(share, 1 - share)


def told_apart(some: Sequence[str], others: Sequence[str]) -> tuple[list[float], list[float]]:
    """Scores of the second half of each by a naive Bayes classifier that has learnt the words of the first half."""
    counts = [Counter(word for text in texts[: len(texts) // 2] for word in features(text)) for texts in (some, others)]
    totals = [sum(count.values()) for count in counts]
    known = len(counts[0] | counts[1])

    def score(text: str) -> float:
        return sum(
            math.log((counts[0][word] + 1) / (totals[0] + known))
            - math.log((counts[1][word] + 1) / (totals[1] + known))
            for word in features(text)
        )

    first, second = ([score(text) for text in texts[len(texts) // 2 :]] for texts in (some, others))
    return first, second


def features(text: str) -> list[str]:
    """The words of an answer, and all of it."""
    return [*text.lower().split(), f"= {text}"]
