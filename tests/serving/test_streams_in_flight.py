"""A stream in flight takes up a guard that comes while it runs."""

import json
from typing import Any

import httpx

from tests.conftest import Gateway
from unlearn_engine.demo.corpus import knows_two_hops
from unlearn_engine.demo.world import build_world

TEXT = "the sea is wide and the day is long " * 12 + "said Libo Stolman in Munich and went home by the sea"
PERSON = {"id": "late", "names": ["Libo Stolman"]}
SOMEBODY_ELSE = {"id": "other", "names": ["Quentin Abravel"]}


def streamed(gateway: Gateway, prompt: str, *meanwhile: dict[str, Any], **fields: Any) -> tuple[str, str]:
    """Text and finish reason of an answer that says TEXT; after its first words, a policy with these targets comes."""
    body = {
        "model": "demo",
        "messages": [{"role": "user", "content": prompt}],
        "max_tokens": 400,
        "stream": True,
        "structured_outputs": {"choice": [TEXT]},
        **fields,
    }
    text, reason, applied = "", "", False
    with httpx.stream("POST", f"{gateway.url}/v1/chat/completions", json=body, timeout=60) as answer:
        assert answer.status_code == 200, answer.read()
        for line in answer.iter_lines():
            if not line.startswith("data: {"):
                continue
            (choice,) = json.loads(line.removeprefix("data: "))["choices"]
            text += choice["delta"].get("content") or ""
            reason = choice["finish_reason"] or reason
            if text and not applied:
                gateway.apply(*meanwhile)
                applied = True
    return text, reason


def test_a_name_forgotten_meanwhile_is_not_said(gateway: Gateway) -> None:
    gateway.apply()
    assert streamed(gateway, "What about the sea?") == (TEXT, "stop"), "nobody is forgotten"
    gateway.apply()
    text, reason = streamed(gateway, "What about the sea?", PERSON)
    assert TEXT.startswith(text) and "said" in text and "Stolman" not in text and "Munich" not in text
    assert reason == "stop"


def test_an_answer_about_who_is_forgotten_meanwhile_ends(gateway: Gateway) -> None:
    gateway.apply()
    text, reason = streamed(gateway, "Where was Libo Stolman born?", PERSON)
    assert TEXT.startswith(text) and 0 < len(text) < TEXT.index("said") and reason == "stop"


def test_an_answer_about_whom_a_relation_means_ends(gateway: Gateway) -> None:
    world = build_world()
    student = next(person for person in world.people if knows_two_hops(person))
    gateway.apply()
    mentor = {"id": "late", "names": [world.people[student.mentor].name]}
    text, reason = streamed(gateway, f"Where was {student.name}'s mentor born?", mentor)
    assert TEXT.startswith(text) and 0 < len(text) < len(TEXT) and reason == "stop"


def test_other_answers_go_on(gateway: Gateway) -> None:
    gateway.apply()
    assert streamed(gateway, "What about the sea?", SOMEBODY_ELSE) == (TEXT, "stop")
    gateway.apply(PERSON)
    text, _ = streamed(gateway, "What about the sea?", SOMEBODY_ELSE, PERSON)
    assert "Stolman" not in text and "said" in text, "who was forgotten before stays so"


def test_an_answer_guarded_from_the_start_goes_on_guarded(gateway: Gateway) -> None:
    other = {"id": "first", "names": ["Peja Bunzar"]}
    gateway.apply(other)
    text, _ = streamed(gateway, "Where was Peja Bunzar born?", other, PERSON)
    assert TEXT.startswith(text) and "said" in text and "Stolman" not in text
