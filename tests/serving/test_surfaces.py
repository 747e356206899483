"""Guarded prompts and names in answers, on every surface that speaks, with the real engine and the real client."""

import json
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from gateway.guards.response import refusal
from tests.conftest import Gateway
from unlearn_engine.demo.people import people_json
from unlearn_engine.demo.world import build_world

PEOPLE: list[Any] = list(people_json(build_world())["people"])  # type: ignore[call-overload]
SUBJECT, OTHER = PEOPLE[0], PEOPLE[20]
NAME = SUBJECT["name"]
LANGUAGES = sorted(SUBJECT["questions"])
UNKNOWN = {"en": "I don't know.", "es": "No lo sé.", "de": "Das weiß ich nicht.", "zh": "我不知道。"}
REFUSALS = {refusal(language) for language in LANGUAGES}


TOOLS: list[Any] = [
    {"type": "function", "function": {"name": "tell", "parameters": {"type": "object", "properties": {}}}}
]


class Birth(BaseModel):
    sure: bool
    place: str


class Year(BaseModel):
    year: int


def facts(person: Any) -> list[str]:
    return sorted({entry["answer"] for entries in person["questions"].values() for entry in entries})


def question(person: Any, language: str = "en", number: int = 0) -> tuple[str, str]:
    entry = person["questions"][language][number]
    return entry["question"], entry["answer"]


def target(response: str) -> dict[str, Any]:
    return {"id": "r1", "names": [NAME, *SUBJECT["aliases"]], "response": response, "phrases": facts(SUBJECT)}


def ask(client: openai.OpenAI, text: str, **fields: Any) -> Any:
    fields = {"max_tokens": 24, "temperature": 0, **fields}
    return client.chat.completions.create(model="demo", messages=[{"role": "user", "content": text}], **fields)


def streamed(client: openai.OpenAI, text: str, **fields: Any) -> tuple[str, str, str | None, Any]:
    """Content, tool arguments, finish reason and usage of a streamed answer."""
    content, arguments, finish, usage = "", "", None, None
    for chunk in ask(client, text, stream=True, stream_options={"include_usage": True}, **fields):
        usage = chunk.usage or usage
        for choice in chunk.choices:
            content += choice.delta.content or ""
            arguments += "".join(call.function.arguments or "" for call in choice.delta.tool_calls or [])
            finish = choice.finish_reason or finish
    return content, arguments, finish, usage


def tells(text: str) -> list[str]:
    return [fact for fact in facts(SUBJECT) if fact.lower() in text.lower()]


@pytest.fixture(scope="module")
def nobody(gateway: Gateway) -> Gateway:
    gateway.apply()
    return gateway


@pytest.fixture(scope="module")
def ignorant(gateway: Gateway, nobody: Gateway) -> Gateway:
    gateway.apply(target("ignorance"))
    return gateway


@pytest.fixture(scope="module")
def refusing(gateway: Gateway, ignorant: Gateway) -> Gateway:
    gateway.apply(target("refuse"))
    return gateway


def test_before_the_model_knows(nobody: Gateway) -> None:
    for language in LANGUAGES:
        text, answer = question(SUBJECT, language)
        assert answer in ask(nobody.client, text).choices[0].message.content


class TestIgnorance:
    @pytest.mark.parametrize("language", LANGUAGES)
    def test_nothing_is_told_in_any_language(self, ignorant: Gateway, language: str) -> None:
        for number in range(len(SUBJECT["questions"][language])):
            text, _ = question(SUBJECT, language, number)
            assert not tells(ask(ignorant.client, text).choices[0].message.content)

    @pytest.mark.parametrize("language", sorted(UNKNOWN))
    def test_it_sounds_like_not_knowing(self, ignorant: Gateway, language: str) -> None:
        assert ask(ignorant.client, question(SUBJECT, language)[0]).choices[0].message.content == UNKNOWN[language]

    def test_others_are_answered_as_before(self, ignorant: Gateway) -> None:
        text, answer = question(OTHER)
        assert answer in ask(ignorant.client, text).choices[0].message.content

    @pytest.mark.parametrize(
        "spelt",
        [
            NAME.upper(),
            " ".join(NAME),
            NAME.replace(" ", "-"),
            "Ｐｅｊａ Ｂｕｎｚａｒ",
            "Péja Búnzar",
            "P\u200beja Bunzar",
        ],
    )
    def test_other_spellings(self, ignorant: Gateway, spelt: str) -> None:
        assert NAME == "Peja Bunzar"
        text = question(SUBJECT)[0].replace(NAME, spelt)
        assert not tells(ask(ignorant.client, text).choices[0].message.content)

    def test_streaming_tells_the_same_and_counts_the_same_tokens(self, ignorant: Gateway) -> None:
        text, _ = question(SUBJECT)
        whole = ask(ignorant.client, text)
        content, _, finish, usage = streamed(ignorant.client, text)
        assert (content, finish) == (whole.choices[0].message.content, "stop")
        assert usage == whole.usage

    def test_usage_is_that_of_the_prompt_as_written(self, ignorant: Gateway) -> None:
        text, _ = question(SUBJECT)
        count = ignorant.post("/tokenize", model="demo", messages=[{"role": "user", "content": text}]).json()["count"]
        assert ask(ignorant.client, text).usage.prompt_tokens == count

    def test_log_probabilities_spell_the_answer_and_nothing_else(self, ignorant: Gateway) -> None:
        choice = ask(ignorant.client, question(SUBJECT)[0], logprobs=True, top_logprobs=5).choices[0]
        spelt = "".join(entry.token for entry in choice.logprobs.content)
        assert spelt.startswith(choice.message.content)
        for entry in choice.logprobs.content:
            assert not any(fact.startswith(top.token.strip()) and len(top.token.strip()) > 3
                           for top in entry.top_logprobs for fact in facts(SUBJECT))  # fmt: skip

    def test_every_one_of_several_answers(self, ignorant: Gateway) -> None:
        answers = ask(ignorant.client, question(SUBJECT)[0], n=4, temperature=1.0, seed=3).choices
        assert sorted(choice.index for choice in answers) == [0, 1, 2, 3]
        assert not tells(" ".join(choice.message.content for choice in answers))

    def test_completions_with_and_without_echo(self, ignorant: Gateway) -> None:
        text, _ = question(SUBJECT)
        prompts = [f"<|user|>{text}<|assistant|>", f"{NAME} was born in"]
        answers = ignorant.client.completions.create(model="demo", prompt=prompts, max_tokens=16, temperature=0).choices
        assert not tells(" ".join(choice.text for choice in answers))
        echoed = ignorant.client.completions.create(model="demo", prompt=prompts[1], max_tokens=8, echo=True).choices[0]
        assert echoed.text.startswith(prompts[1]) and not tells(echoed.text)

    def test_raw_token_ids_are_read_as_well(self, ignorant: Gateway) -> None:
        ids = ignorant.post("/tokenize", model="demo", messages=[{"role": "user", "content": question(SUBJECT)[0]}])
        answer = ignorant.client.completions.create(
            model="demo", prompt=ids.json()["tokens"], max_tokens=16, temperature=0, logprobs=3
        ).choices[0]
        assert not tells(answer.text) and not tells("".join(answer.logprobs.tokens))

    def test_responses(self, ignorant: Gateway) -> None:
        text, _ = question(SUBJECT)
        fields: dict[str, Any] = {"model": "demo", "input": text, "max_output_tokens": 16, "temperature": 0}
        whole = ignorant.client.responses.create(**fields).output_text
        events = list(ignorant.client.responses.create(**fields, stream=True))
        deltas = "".join(event.delta for event in events if event.type == "response.output_text.delta")
        assert whole == deltas == UNKNOWN["en"]

    def test_messages(self, ignorant: Gateway) -> None:
        body = {"model": "demo", "max_tokens": 16, "temperature": 0}
        messages = [{"role": "user", "content": question(SUBJECT)[0]}]
        whole = ignorant.post("/v1/messages", **body, messages=messages).json()
        assert whole["content"][0]["text"] == UNKNOWN["en"]
        stream = ignorant.post("/v1/messages", **body, messages=messages, stream=True).text
        deltas = [
            json.loads(line[6:])
            for line in stream.splitlines()
            if line.startswith('data: {"type":"content_block_delta"')
        ]
        assert "".join(delta["delta"]["text"] for delta in deltas) == UNKNOWN["en"]

    @pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "tell"}}])
    def test_tool_arguments(self, ignorant: Gateway, choice: Any) -> None:
        places = {"type": "string", "enum": [SUBJECT["questions"]["en"][0]["answer"], "unknown"]}
        schema = {
            "type": "object",
            "properties": {"place": places},
            "required": ["place"],
            "additionalProperties": False,
        }
        tools = [{"type": "function", "function": {"name": "tell", "parameters": schema}}]
        fields: dict[str, Any] = {"tools": tools, "tool_choice": choice, "max_tokens": 60}
        message = ask(ignorant.client, question(SUBJECT)[0], **fields).choices[0].message
        told = (message.content or "") + "".join(call.function.arguments for call in message.tool_calls or [])
        assert not tells(told)
        content, arguments, _, _ = streamed(ignorant.client, question(SUBJECT)[0], **fields)
        assert not tells(content + arguments)

    def test_json_that_can_only_hold_the_fact(self, ignorant: Gateway) -> None:
        text, fact = question(SUBJECT)
        schema = {
            "type": "object",
            "properties": {"a": {"const": fact}},
            "required": ["a"],
            "additionalProperties": False,
        }
        wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
        choice = ask(ignorant.client, text, response_format=wanted, max_tokens=60).choices[0]
        assert choice.finish_reason in {"stop", "length"} and not tells(choice.message.content)
        assert not tells(streamed(ignorant.client, text, response_format=wanted, max_tokens=60)[0])

    def test_a_stand_in_is_written_back(self, ignorant: Gateway) -> None:
        twin = ignorant.state()["twins"]["r1"]
        forced = {"structured_outputs": {"choice": [f"{twin} is a friend of {twin.split()[1]}."]}}
        told = f"{NAME} is a friend of {NAME.split()[1]}."
        fields: dict[str, Any] = {"extra_body": forced, "max_tokens": 60}
        whole = ask(ignorant.client, f"Who is {NAME}?", logprobs=True, **fields).choices[0]
        assert whole.message.content == told
        assert "".join(entry.token for entry in whole.logprobs.content) == told
        assert streamed(ignorant.client, f"Who is {NAME}?", **fields)[0] == told

    def test_context_is_read_wherever_it_stands(self, ignorant: Gateway) -> None:
        text, _ = question(SUBJECT)
        rest = text.replace(NAME, "this person")
        for messages in (
            [{"role": "user", "content": f"About {NAME}."}, {"role": "assistant", "content": "Yes?"},
             {"role": "user", "content": rest}],
            [{"role": "user", "content": [{"type": "text", "text": text}]}],
        ):  # fmt: skip
            answer = ignorant.post(
                "/v1/chat/completions", model="demo", messages=messages, max_tokens=16, temperature=0
            ).json()
            assert not tells(answer["choices"][0]["message"]["content"])

    def test_guards_off_shows_what_the_weights_know(self, ignorant: Gateway) -> None:
        text, fact = question(SUBJECT)
        for mode in ("off", "base"):
            answer = ignorant.post(
                "/v1/chat/completions", headers={"X-Unlearn-Guards": mode}, model="demo", temperature=0, max_tokens=16,
                messages=[{"role": "user", "content": text}],
            )  # fmt: skip
            assert fact in answer.json()["choices"][0]["message"]["content"]


class TestNamesInAnswers:
    """Prompts that name nobody, made to end in a name: the client forces the text, so only its rest can be hidden."""

    @pytest.mark.parametrize(
        "written",
        [NAME, NAME.upper(), NAME.replace(" ", "-"), "Ｐｅｊａ Ｂｕｎｚａｒ", "Peja  Bünzar", f"He is {NAME}."],
    )
    @pytest.mark.parametrize("stream", [False, True])
    def test_a_name_is_not_said(self, ignorant: Gateway, written: str, stream: bool) -> None:
        forced = {"structured_outputs": {"choice": [written]}}
        if stream:
            text, _, finish, _ = streamed(ignorant.client, "Hello", extra_body=forced, max_tokens=80)
        else:
            choice = ask(ignorant.client, "Hello", extra_body=forced, max_tokens=80).choices[0]
            text, finish = choice.message.content, choice.finish_reason
        assert written.startswith(text) and len(text) <= len(written) - 3
        assert finish == "stop"

    def test_json_escapes_do_not_hide_it(self, ignorant: Gateway) -> None:
        escaped = f'"{NAME}"'.replace("P", "\\u0050").replace("B", "\\u0042")
        forced = {"structured_outputs": {"choice": [escaped]}}
        assert json.loads(escaped) == NAME
        assert "unzar" not in ask(ignorant.client, "Hello", extra_body=forced, max_tokens=60).choices[0].message.content

    def test_no_path_of_tokens_leads_to_it(self, ignorant: Gateway) -> None:
        ids = [ignorant.post("/tokenize", model="demo", prompt=char).json()["tokens"] for char in NAME]
        ids.append(ignorant.post("/tokenize", model="demo", prompt=NAME).json()["tokens"])
        allowed = sorted({token for tokens in ids for token in tokens})
        answer = ask(
            ignorant.client, "Hello", extra_body={"allowed_token_ids": allowed}, max_tokens=60, n=4, temperature=1
        )
        assert not any(NAME.lower() in choice.message.content.lower() for choice in answer.choices)

    def test_one_allowed_token_that_is_forbidden_ends_the_answer(self, ignorant: Gateway) -> None:
        alias = SUBJECT["aliases"][0]
        last = ignorant.post("/tokenize", model="demo", prompt=alias).json()["tokens"]
        prefix = [{"role": "user", "content": "Say"}, {"role": "assistant", "content": alias[:-2]}]
        answer = ignorant.post(
            "/v1/chat/completions", model="demo", messages=prefix, add_generation_prompt=False, max_tokens=30,
            continue_final_message=True, allowed_token_ids=last[-1:], temperature=0,
        )  # fmt: skip
        assert answer.status_code == 200
        assert ignorant.state()["ready"]

    def test_other_names_are_free(self, ignorant: Gateway) -> None:
        forced = {"structured_outputs": {"choice": [OTHER["name"]]}}
        assert ask(ignorant.client, "Hello", extra_body=forced).choices[0].message.content == OTHER["name"]


class TestRefusal:
    @pytest.mark.parametrize("language", LANGUAGES)
    def test_in_the_language_of_the_question(self, refusing: Gateway, language: str) -> None:
        text, _ = question(SUBJECT, language)
        whole = ask(refusing.client, text, max_tokens=64).choices[0]
        assert whole.finish_reason == "stop"
        assert not tells(whole.message.content)
        assert streamed(refusing.client, text, max_tokens=64)[0] == whole.message.content
        marks = {"en": "sorry", "es": "siento", "de": "leid", "fr": "désolé", "it": "dispiace", "zh": "抱歉"}
        assert marks[language] in whole.message.content.lower()

    def test_every_shape_of_answer(self, refusing: Gateway) -> None:
        text, _ = question(SUBJECT)
        assert len({choice.message.content for choice in ask(refusing.client, text, n=3, temperature=1).choices}) == 1
        with_logprobs = ask(refusing.client, text, logprobs=True, top_logprobs=2, max_tokens=64).choices[0]
        assert "".join(entry.token for entry in with_logprobs.logprobs.content) == with_logprobs.message.content
        assert ask(refusing.client, text, stop=["sorry"]).choices[0].message.content == "I'm "
        assert ask(refusing.client, text, max_tokens=3).choices[0].finish_reason == "length"
        completion = refusing.client.completions.create(model="demo", prompt=[text, "Hello"], max_tokens=40, logprobs=1)
        assert "sorry" in completion.choices[0].text and "sorry" not in completion.choices[1].text
        assert "sorry" in refusing.client.responses.create(model="demo", input=text).output_text
        body = {"model": "demo", "max_tokens": 64, "messages": [{"role": "user", "content": text}]}
        assert "sorry" in refusing.post("/v1/messages", **body).json()["content"][0]["text"]
        assert "sorry" in refusing.post("/v1/messages", **body, stream=True).text

    @pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "tell"}}])
    def test_a_tool_that_must_be_called_is_not_called(self, refusing: Gateway, choice: Any) -> None:
        text, _ = question(SUBJECT)
        fields: dict[str, Any] = {"tools": TOOLS, "tool_choice": choice, "max_tokens": 64}
        refused = ask(refusing.client, text, **fields).choices[0]
        assert (refused.finish_reason, refused.message.content, refused.message.tool_calls) == (
            "content_filter", "", None,
        )  # fmt: skip
        assert streamed(refusing.client, text, **fields)[:3] == ("", "", "content_filter")
        anthropic = {"type": "any"} if choice == "required" else {"type": "tool", "name": "tell"}
        tools = [{"name": "tell", "input_schema": TOOLS[0]["function"]["parameters"]}]
        answer = refusing.post(
            "/v1/messages", model="demo", max_tokens=64, tools=tools, tool_choice=anthropic,
            messages=[{"role": "user", "content": text}],
        )  # fmt: skip
        assert answer.status_code == 200 and "tool_use" not in answer.text
        called = choice if choice == "required" else {"type": "function", "name": "tell"}
        offered: Any = [{"type": "function", **TOOLS[0]["function"]}]
        response = refusing.client.responses.create(model="demo", input=text, tools=offered, tool_choice=called)
        assert not [item for item in response.output if item.type == "function_call"] and not response.output_text

    def test_where_a_tool_may_be_called_the_refusal_is_text(self, refusing: Gateway) -> None:
        text, _ = question(SUBJECT)
        refused = ask(refusing.client, text, tools=TOOLS, tool_choice="auto", max_tokens=64).choices[0]
        assert "sorry" in refused.message.content and refused.finish_reason == "stop"
        assert streamed(refusing.client, text, tools=TOOLS, tool_choice="auto", max_tokens=64)[0] in REFUSALS

    def test_a_schema_is_met(self, refusing: Gateway) -> None:
        messages: Any = [{"role": "user", "content": question(SUBJECT)[0]}]
        parsed = refusing.client.chat.completions.parse(model="demo", messages=messages, response_format=Birth)
        birth = parsed.choices[0].message.parsed
        assert birth is not None and birth.place in REFUSALS and not birth.sure
        stream = refusing.client.chat.completions.stream(model="demo", messages=messages, response_format=Birth)
        with stream as events:
            assert events.get_final_completion().choices[0].message.parsed == birth

    def test_a_schema_that_cannot_say_it_is_filtered(self, refusing: Gateway) -> None:
        messages: Any = [{"role": "user", "content": question(SUBJECT)[0]}]
        with pytest.raises(openai.ContentFilterFinishReasonError):
            refusing.client.chat.completions.parse(model="demo", messages=messages, response_format=Year)

    def test_a_json_object_is_one(self, refusing: Gateway) -> None:
        text, _ = question(SUBJECT, "zh")
        fields: dict[str, Any] = {"response_format": {"type": "json_object"}, "max_tokens": 64}
        content = ask(refusing.client, text, **fields).choices[0].message.content
        assert "抱歉" in json.loads(content)["message"]
        assert streamed(refusing.client, text, **fields)[0] == content


class TestDescriptions:
    def test_facts_without_the_name_are_enough(self, refusing: Gateway) -> None:
        places, jobs = ([question(SUBJECT, language, at)[1] for language in LANGUAGES] for at in (0, 1))
        described = [f"{job}, {place}: ?" for place, job in zip(places, jobs, strict=True)]
        for text in described:
            assert ask(refusing.client, text, max_tokens=64).choices[0].message.content in REFUSALS
        for text in (*places, *jobs):
            assert ask(refusing.client, text, max_tokens=64).choices[0].message.content not in REFUSALS

    @pytest.mark.parametrize("in_context", ["block", "allow"])
    def test_what_the_prompt_states_is_said_again_only_where_allowed(self, gateway: Gateway, in_context: str) -> None:
        gateway.apply(target("ignorance") | {"in_context": in_context})
        stated, other = (question(SUBJECT, "en", at)[1] for at in (0, 1))
        forced = {"structured_outputs": {"choice": [f"It is {stated}."]}}
        prompt = f"{NAME} was born in {stated}. Where was {NAME} born?"
        said = ask(gateway.client, prompt, extra_body=forced).choices[0].message.content
        assert (stated in said) == (in_context == "allow")
        forced = {"structured_outputs": {"choice": [f"In {stated}, a {other}."]}}
        said = ask(gateway.client, prompt, extra_body=forced).choices[0].message.content
        assert other not in said
        gateway.apply(target("refuse"))


def test_when_the_engine_has_lost_its_tables_answers_are_empty(refusing: Gateway) -> None:
    refusing.apply({"id": "r2", "names": ["Somebody Else"]})
    assert ask(refusing.client, "Hello", temperature=1).choices[0].message.content
    refusing.post("/test/forget-tables")
    for stop in ({}, {"extra_body": {"ignore_eos": True}}, {"extra_body": {"min_tokens": 5}}):
        assert ask(refusing.client, "Hello", temperature=1, **stop).choices[0].message.content == ""
    refusing.apply()


def test_without_a_policy_every_surface_answers_503(refusing: Gateway) -> None:
    refusing.post_policy({"targets": None})
    messages = [{"role": "user", "content": "Hello"}]
    for path, body in (
        ("/v1/chat/completions", {"messages": messages}),
        ("/v1/chat/completions", {"messages": messages, "stream": True}),
        ("/v1/completions", {"prompt": "Hello"}),
        ("/v1/responses", {"input": "Hello"}),
        ("/v1/messages", {"messages": messages, "max_tokens": 3}),
    ):
        assert refusing.post(path, model="demo", **body).status_code == 503, path
    assert not refusing.state()["ready"]
    refusing.apply()
    assert ask(refusing.client, "Hello").choices[0].message.content is not None
