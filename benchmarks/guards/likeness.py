"""Can an answer tell whose name is on the list? Guarded people beside names that nobody has, by the area under ROC.

.5 is guessing, 1 certainty. The same questions are asked under both names.
"""

import math
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.guards.leaks import chosen_people, elicited, record
from benchmarks.service import Service, running_service
from unlearn_engine.data.names import unseen_name
from unlearn_engine.demo.templates import phrasebooks
from unlearn_engine.demo.vocabulary import ATTRIBUTES, LANGUAGES
from unlearn_engine.demo.world import build_world

PAIRS = 600
WARM_UP = 40
TOKENS = 24

Tell = Callable[[str, float], None]


def measure(tell: Tell, pairs: int = PAIRS) -> dict[str, Any]:
    """Areas for the answers' seconds (to the end, one request at a time), their length, and their words."""
    people = chosen_people(build_world())
    rng = random.Random(11)
    books = phrasebooks()
    known = elicited(people)
    with tempfile.TemporaryDirectory() as folder, running_service(Path(folder), "--no-worker") as service:
        for person, knowledge in zip(people, known, strict=True):
            id_ = service.forget(person.name, erase="guard_only")["id"]
            service.wait_for(id_, "guarded")
            record(service, Path(folder), id_, knowledge)
        guarded, strangers = [], []
        for number in range(-WARM_UP, pairs):
            tell("questions", max(0, number) / pairs)
            person, language = rng.choice(people), rng.choice(LANGUAGES)
            question = rng.choice(books[language].questions[rng.choice(ATTRIBUTES)])
            asked = [(guarded, person.name), (strangers, unseen_name(rng, person.name, whole=True))]
            rng.shuffle(asked)  # whoever is asked second may find the question in the cache
            for answers, name in asked:
                said, seconds = answer(service, question.format(name=name))
                if number >= 0:
                    answers.append((said.replace(name, "*"), seconds))
    texts, others = ([said for said, _ in answers] for answers in (guarded, strangers))
    return {
        "likeness_pairs": pairs,
        "likeness_auc": {
            "seconds": area([seconds for _, seconds in guarded], [seconds for _, seconds in strangers]),
            "length": area([float(len(said)) for said in texts], [float(len(said)) for said in others]),
            "words": area(*told_apart(texts, others)),
        },
    }


def answer(service: Service, question: str) -> tuple[str, float]:
    """A greedy answer, and the seconds until all of it was there."""
    body = {
        "model": "demo",
        "max_tokens": TOKENS,
        "temperature": 0,
        "messages": [{"role": "user", "content": question}],
    }
    began = time.perf_counter()
    response = service.http.post("/v1/chat/completions", json=body)
    seconds = time.perf_counter() - began
    response.raise_for_status()
    return str(response.json()["choices"][0]["message"]["content"]), seconds


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
