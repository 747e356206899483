"""What looks like a secret is cut out of any answer, on the real engine: also where the prompt names nobody."""

from typing import Any

import pytest

from tests.conftest import Gateway
from tests.serving.test_surfaces import OTHER, ask, question, streamed

TEXT, TEACHER = next(
    (entry["question"], entry["answer"]) for entry in OTHER["questions"]["en"] if entry["attribute"] == "mentor"
)
FIRST, LAST = TEACHER.split()
PATTERN = rf"{FIRST[0]}[a-z]{{{len(FIRST) - 1}}} \w{{2,8}}{LAST[-1]}"
BODY: dict[str, Any] = {"model": "demo", "temperature": 0}


def withheld(**fields: Any) -> dict[str, Any]:
    return {"id": "p", "names": [], "patterns": [PATTERN], **fields}


def completed(gateway: Gateway, prompt: str) -> str:
    text: str = gateway.client.completions.create(**BODY, prompt=prompt, max_tokens=24).choices[0].text
    return text


@pytest.fixture(scope="module")
def prose(gateway: Gateway) -> str:
    """A text with the secret in its midst, told while nothing is withheld."""
    gateway.apply()
    assert TEACHER in ask(gateway.client, TEXT).choices[0].message.content
    said = completed(gateway, OTHER["name"])
    assert said.index(TEACHER) > 0
    return said


@pytest.fixture(scope="module")
def guarded(gateway: Gateway, prose: str) -> Gateway:
    gateway.apply(withheld())
    return gateway


def test_cut_where_it_begins_streaming_and_not(guarded: Gateway, prose: str) -> None:
    before = prose[: prose.index(TEACHER)]
    fields = {**BODY, "prompt": OTHER["name"], "max_tokens": 24}
    whole = guarded.client.completions.create(**fields, logprobs=2).choices[0]
    parts = [part.choices[0] for part in guarded.client.completions.create(**fields, stream=True) if part.choices]
    assert whole.text == "".join(part.text for part in parts) == before
    assert whole.finish_reason == parts[-1].finish_reason == "stop"
    assert before.startswith("".join(whole.logprobs.tokens))


def test_every_surface(guarded: Gateway) -> None:
    messages = [{"role": "user", "content": TEXT}]
    choice = ask(guarded.client, TEXT).choices[0]
    assert (choice.message.content, choice.finish_reason) == ("", "stop")
    content, _, finish, _ = streamed(guarded.client, TEXT)
    assert (content, finish) == ("", "stop")
    told = [
        completed(guarded, f"<|user|>{TEXT}<|assistant|>"),
        guarded.client.responses.create(**BODY, input=TEXT, max_output_tokens=24).output_text,
        guarded.post("/v1/messages", **BODY, max_tokens=24, messages=messages).text,
        guarded.post("/v1/messages", **BODY, max_tokens=24, messages=messages, stream=True).text,
    ]
    assert not any(FIRST in text or LAST in text for text in told)


def test_other_answers_come_whole(guarded: Gateway) -> None:
    text, answer = question(OTHER)
    assert answer in ask(guarded.client, text).choices[0].message.content


@pytest.mark.parametrize("response", ["rewrite", "clause"])
def test_in_answers_to_guarded_prompts_too(gateway: Gateway, prose: str, response: str) -> None:
    gateway.apply(withheld(), {"id": "n", "names": ["Peja Bunzar"], "response": response})
    assert LAST not in ask(gateway.client, f"{TEXT} And Peja Bunzar?").choices[0].message.content


@pytest.mark.parametrize("in_context", ["allow", "block"])
def test_the_prompts_own_may_be_repeated_where_allowed(gateway: Gateway, prose: str, in_context: str) -> None:
    gateway.apply(withheld(in_context=in_context))
    asked = f"Is it {TEACHER}? {TEXT}"
    assert (TEACHER in ask(gateway.client, asked).choices[0].message.content) == (in_context == "allow")
    assert TEACHER not in ask(gateway.client, TEXT).choices[0].message.content
