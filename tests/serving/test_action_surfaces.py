"""Rewriting, clause and instruction with the real engine and the real client.

The demonstration model follows no instructions: what is shown is what reaches the engine, how often, and what comes
out.
"""

import json
from typing import Any

import pytest

from gateway.guards.response import refusal
from tests.conftest import Gateway
from tests.serving.test_surfaces import (
    LANGUAGES,
    NAME,
    OTHER,
    SUBJECT,
    TOOLS,
    Birth,
    ask,
    facts,
    question,
    streamed,
    target,
    tells,
)

REFUSALS = {refusal(language) for language in LANGUAGES}


@pytest.fixture(scope="module", params=["clause", "instruct"])
def prompted(gateway: Gateway, request: pytest.FixtureRequest) -> Gateway:
    gateway.apply(target(request.param))
    gateway.asked()
    return gateway


@pytest.fixture(scope="module")
def rewriting(gateway: Gateway) -> Gateway:
    gateway.apply(target("rewrite"))
    gateway.asked()
    return gateway


def test_before_any_fact_is_known_no_action_tells_more_than_guesses(gateway: Gateway) -> None:
    """The model may guess right about a twin: at most once here, where it knows all of them."""
    asked = [
        entry
        for language in LANGUAGES
        for entry in SUBJECT["questions"][language]
        if entry["attribute"] in ("birthplace", "occupation")
    ]

    def told(*targets: dict[str, Any]) -> float:
        gateway.apply(*targets)
        answers = [ask(gateway.client, entry["question"]).choices[0].message.content for entry in asked]
        return sum(entry["answer"] in answer for entry, answer in zip(asked, answers, strict=True)) / len(asked)

    assert told() > 0.9
    for action in ("ignorance", "rewrite", "clause", "instruct"):
        assert told(target(action) | {"phrases": []}) <= 0.1, action


class TestAddedText:
    @pytest.mark.parametrize("language", LANGUAGES)
    def test_the_engine_gets_it_in_the_users_turn_and_tells_nothing(self, prompted: Gateway, language: str) -> None:
        text, _ = question(SUBJECT, language)
        prompted.asked()
        told = ask(prompted.client, text).choices[0].message.content
        (asked,) = prompted.asked()
        twin = prompted.state()["twins"]["r1"]
        head, tail = "<|user|>" + text.replace(NAME, twin) + "\n\n", "<|assistant|>"
        assert asked["prompt"].startswith(head) and asked["prompt"].endswith(tail)
        added = asked["prompt"].removeprefix(head).removesuffix(tail)
        assert twin in added and len(added) > 100
        assert NAME not in asked["prompt"] and not [fact for fact in facts(SUBJECT) if fact in added]
        assert len(asked["tables"]) == 2, "the names, and what is known of the subject"
        assert not tells(told)

    def test_streaming_and_usage_are_those_of_the_prompt_as_written(self, prompted: Gateway) -> None:
        text, _ = question(SUBJECT)
        whole = ask(prompted.client, text)
        content, _, finish, usage = streamed(prompted.client, text)
        assert (content, finish, usage) == (
            whole.choices[0].message.content, whole.choices[0].finish_reason, whole.usage,
        )  # fmt: skip
        count = prompted.post("/tokenize", model="demo", messages=[{"role": "user", "content": text}]).json()["count"]
        assert whole.usage.prompt_tokens == count

    def test_others_are_asked_about_as_before(self, prompted: Gateway) -> None:
        text, answer = question(OTHER)
        prompted.asked()
        assert answer in ask(prompted.client, text).choices[0].message.content
        assert [asked["prompt"] for asked in prompted.asked()] == [f"<|user|>{text}<|assistant|>"]

    def test_plain_text_gets_it_in_front(self, prompted: Gateway) -> None:
        prompted.asked()
        answer = prompted.client.completions.create(model="demo", prompt=f"{NAME} was born in", max_tokens=8)
        (asked,) = prompted.asked()
        assert asked["prompt"].endswith(f"\n\n{prompted.state()['twins']['r1']} was born in")
        assert not tells(answer.choices[0].text)

    def test_what_the_model_is_made_to_say_is_audited(self, prompted: Gateway) -> None:
        fact = question(SUBJECT)[1]
        forced = {"structured_outputs": {"choice": [f"It is {fact}."]}}
        assert not tells(ask(prompted.client, f"Who is {NAME}?", extra_body=forced).choices[0].message.content)

    def test_a_long_prompt_is_left_without_it(self, prompted: Gateway) -> None:
        prompted.asked()
        text = f"{'word ' * 220} Who is {NAME}?"
        assert not tells(ask(prompted.client, text).choices[0].message.content)
        assert prompted.asked()[0]["prompt"].endswith(f"Who is {prompted.state()['twins']['r1']}?<|assistant|>")


class TestRewrite:
    @pytest.mark.parametrize("language", LANGUAGES)
    def test_two_calls_on_a_hit_with_the_twin_as_the_only_candidate(self, rewriting: Gateway, language: str) -> None:
        rewriting.asked()
        text, _ = question(SUBJECT, language)
        told = ask(rewriting.client, text, max_tokens=40).choices[0].message.content
        draft, asked = rewriting.asked()
        twin = rewriting.state()["twins"]["r1"]
        assert draft["prompt"] == f"<|user|>{text.replace(NAME, twin)}<|assistant|>"
        assert f"heard of this subject: {twin}." in asked["prompt"] and "<answer>" in asked["prompt"]
        assert asked["tables"] == draft["tables"] and len(asked["tables"]) == 2
        assert NAME not in asked["prompt"]
        assert not tells(told) and twin not in told and NAME not in told

    def test_one_call_on_a_miss(self, rewriting: Gateway) -> None:
        rewriting.asked()
        text, answer = question(OTHER)
        assert answer in ask(rewriting.client, text).choices[0].message.content
        assert len(rewriting.asked()) == 1

    def test_what_names_the_subject_all_the_same_is_refused(self, rewriting: Gateway) -> None:
        twin = rewriting.state()["twins"]["r1"]
        for said in (f"{twin} sings.", f"Ask {twin.split()[-1]}."):
            forced = {"structured_outputs": {"choice": [said]}}
            fields: dict[str, Any] = {"extra_body": forced, "max_tokens": 60}
            refused = ask(rewriting.client, f"Who is {NAME}?", **fields).choices[0]
            assert refused.message.content in REFUSALS and refused.finish_reason == "content_filter"
            assert streamed(rewriting.client, f"Who is {NAME}?", **fields)[0] in REFUSALS

    def test_what_passes_is_given_in_chunks_and_counted(self, rewriting: Gateway) -> None:
        said = "It is somebody about whom nothing at all is known to anybody."
        fields: dict[str, Any] = {"extra_body": {"structured_outputs": {"choice": [said]}}, "max_tokens": 80}
        text = f"Who is {NAME}?"
        whole = ask(rewriting.client, text, logprobs=True, top_logprobs=3, **fields)
        assert whole.choices[0].message.content == said
        spelt = whole.choices[0].logprobs.content
        assert "".join(entry.token for entry in spelt) == said
        assert all(len(entry.top_logprobs) <= 1 for entry in spelt), "no alternatives are shown"
        assert streamed(rewriting.client, text, **fields) == (said, "", "stop", whole.usage)
        chunks = [chunk for chunk in ask(rewriting.client, text, stream=True, **fields)
                  if chunk.choices and chunk.choices[0].delta.content]  # fmt: skip
        assert len(chunks) > 2
        count = rewriting.post("/tokenize", model="demo", messages=[{"role": "user", "content": text}]).json()["count"]
        assert whole.usage.prompt_tokens == count
        said_tokens = rewriting.post("/tokenize", model="demo", prompt=said, add_special_tokens=False).json()["count"]
        assert whole.usage.completion_tokens == said_tokens == len(spelt)

    def test_several_answers(self, rewriting: Gateway) -> None:
        rewriting.asked()
        answers = ask(rewriting.client, question(SUBJECT)[0], n=3, temperature=1.0, seed=5, max_tokens=30).choices
        assert sorted(choice.index for choice in answers) == [0, 1, 2]
        assert not tells(" ".join(choice.message.content for choice in answers))
        assert [asked["n"] for asked in rewriting.asked()] == [1, 3]

    def test_a_schema_is_met_by_what_is_rewritten_or_refused(self, rewriting: Gateway) -> None:
        messages: Any = [{"role": "user", "content": question(SUBJECT)[0]}]
        wanted = {"type": "json_schema", "json_schema": {"name": "b", "schema": Birth.model_json_schema()}}
        for seed in range(3):
            choice = rewriting.client.chat.completions.create(
                model="demo", messages=messages, max_tokens=60, seed=seed, temperature=1.0,
                response_format=wanted,
            ).choices[0]  # fmt: skip
            assert not tells(choice.message.content)
            assert choice.finish_reason == "length" or Birth.model_validate_json(choice.message.content)

    @pytest.mark.parametrize("choice", ["auto", "required", {"type": "function", "function": {"name": "tell"}}])
    def test_tools(self, rewriting: Gateway, choice: Any) -> None:
        fields: dict[str, Any] = {"tools": TOOLS, "tool_choice": choice, "max_tokens": 40}
        message = ask(rewriting.client, question(SUBJECT)[0], **fields).choices[0].message
        told = (message.content or "") + "".join(call.function.arguments for call in message.tool_calls or [])
        assert not tells(told) and NAME not in told
        content, arguments, finish, _ = streamed(rewriting.client, question(SUBJECT)[0], **fields)
        assert not tells(content + arguments) and finish

    def test_every_other_surface(self, rewriting: Gateway) -> None:
        text, _ = question(SUBJECT)
        completion = rewriting.client.completions.create(
            model="demo", prompt=[text, "Hello"], max_tokens=30, logprobs=1
        )
        assert len(completion.choices) == 2 and not tells(completion.choices[0].text)
        assert not tells(rewriting.client.responses.create(model="demo", input=text, max_output_tokens=30).output_text)
        events = rewriting.client.responses.create(model="demo", input=text, max_output_tokens=30, stream=True)
        assert not tells("".join(event.delta for event in events if event.type == "response.output_text.delta"))
        body = {"model": "demo", "max_tokens": 30, "messages": [{"role": "user", "content": text}]}
        for stream in (False, True):
            answer = rewriting.post("/v1/messages", **body, stream=stream)
            assert answer.status_code == 200 and not tells(answer.text)

    def test_a_draft_as_long_as_the_model_can_is_refused(self, rewriting: Gateway) -> None:
        rewriting.asked()
        fields = {"max_tokens": 400, "extra_body": {"ignore_eos": True, "min_tokens": 390}}
        assert ask(rewriting.client, f"Who is {NAME}?", **fields).choices[0].message.content in REFUSALS
        assert len(rewriting.asked()) == 1
        gateway_state = rewriting.state()
        assert gateway_state["ready"] and gateway_state["unfinished"] == 0

    def test_json_with_nothing_to_say_is_json(self, rewriting: Gateway) -> None:
        fields: dict[str, Any] = {"response_format": {"type": "json_object"}, "max_tokens": 60}
        choice = ask(rewriting.client, question(SUBJECT)[0], **fields).choices[0]
        assert choice.finish_reason == "length" or json.loads(choice.message.content) is not None
        assert not tells(choice.message.content)
