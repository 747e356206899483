"""A forgotten name that the model is about to say, asked for in other words: the real engine and the real client."""

from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.conftest import Gateway
from unlearn_engine.demo.people import people_json
from unlearn_engine.demo.world import build_world

PEOPLE: list[Any] = list(people_json(build_world())["people"])  # type: ignore[call-overload]
NAMES = {person["name"] for person in PEOPLE}


def mentor(person: Any) -> tuple[str, str]:
    """The question for a person's mentor, and who it is."""
    return next((one["question"], one["answer"]) for one in person["questions"]["en"] if one["answer"] in NAMES)


def ask(client: openai.OpenAI, text: str, **fields: Any) -> Any:
    fields = {"max_tokens": 24, "temperature": 0, **fields}
    return client.chat.completions.create(model="demo", messages=[{"role": "user", "content": text}], **fields)


@pytest.fixture(scope="module")
def client(gateway: Gateway) -> Iterator[openai.OpenAI]:
    with gateway.client as client:
        yield client


@pytest.fixture(scope="module")
def asked(gateway: Gateway, client: openai.OpenAI) -> tuple[str, str]:
    """A question that the model answers with a name, which is to be forgotten."""
    gateway.apply()
    question, name = next(
        (question, name)
        for question, name in map(mentor, PEOPLE)
        if name in str(ask(client, question).choices[0].message.content)
    )
    gateway.apply({"id": "one", "names": [name], "response": "ignorance", "phrases": []})
    return question, name


@pytest.mark.parametrize(
    "fields", [{}, {"max_tokens": 3}, {"logprobs": True, "top_logprobs": 3}, {"n": 2, "temperature": 0.1}]
)
def test_no_more_than_its_first_word_is_told(
    client: openai.OpenAI, asked: tuple[str, str], fields: dict[str, Any]
) -> None:
    question, name = asked
    first, second = name.split()
    for choice in ask(client, question, **fields).choices:
        assert first.startswith(str(choice.message.content).strip())
        assert choice.finish_reason in ("stop", "length")
        assert second[:2] not in "".join(one.token for one in (choice.logprobs.content if choice.logprobs else ()))
    with ask(client, question, stream=True, **fields) as stream:
        told = [choice for chunk in stream for choice in chunk.choices if choice.index == 0]
    assert first.startswith("".join(choice.delta.content or "" for choice in told).strip())


def test_other_names_are_told(client: openai.OpenAI, asked: tuple[str, str]) -> None:
    others = [(question, name) for question, name in map(mentor, PEOPLE[:20]) if name != asked[1]]
    told = [name in str(ask(client, question).choices[0].message.content) for question, name in others]
    assert sum(told) >= 0.9 * len(others)
