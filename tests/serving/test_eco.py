"""ECO on the real engine: the tokens of a prompt stay, and the model can't read the name in them."""

import concurrent.futures
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer
from vllm.inputs.engine import tokens_input

from gateway.guards.matcher import Match
from gateway.guards.tokens import TokenTable
from gateway.serving.embeddings import Embeddings
from gateway.serving.errors import ServingError
from gateway.serving.vocabulary import prompt_bytes
from tests.conftest import ADAPTABLE, MODULE, Gateway, start_gateway, stop_gateway, wait_ready
from tests.serving.conftest import MakeAdapter
from tests.serving.test_surfaces import NAME, OTHER, SUBJECT, UNKNOWN, ask, question, streamed, target, tells
from unlearn_engine.corruption import Corruption

STRENGTH = 2.5
OFF = {"X-Unlearn-Guards": "off"}


@pytest.fixture(scope="module")
def eco(model_path: Path) -> Iterator[Gateway]:
    modules = (argument for module in ADAPTABLE for argument in ("--lora-module", module))
    running = start_gateway(*modules, "--corruption", str(STRENGTH), model=model_path)
    try:
        yield wait_ready(running)
    finally:
        assert stop_gateway(running) == 0, "".join(running.output)


@pytest.fixture
def guarded(eco: Gateway) -> Gateway:
    eco.apply(target("ignorance"))
    return eco


def questions(person: Any) -> list[tuple[str, str, str]]:
    """Language, question and answer."""
    return [
        (language, entry["question"], entry["answer"])
        for language, entries in person["questions"].items()
        for entry in entries[:4]
    ]


def test_the_engine_knows_the_subject(guarded: Gateway) -> None:
    text, answer = question(SUBJECT)
    assert answer in ask(guarded.client, text, extra_headers=OFF).choices[0].message.content


def test_a_corrupted_name_is_an_unknown_one(guarded: Gateway) -> None:
    said = [
        (language, ask(guarded.client, text).choices[0].message.content) for language, text, _ in questions(SUBJECT)
    ]
    assert [answer for _, answer in said if tells(answer)] == []
    asked = [answer == UNKNOWN[language] for language, answer in said if language in UNKNOWN]
    assert sum(asked) >= 0.7 * len(asked)


def test_usage_and_echoed_tokens_are_those_of_the_prompt_as_sent(guarded: Gateway) -> None:
    text, _ = question(SUBJECT)
    plain, corrupted = (ask(guarded.client, text, extra_headers=headers).usage for headers in (OFF, {}))
    assert corrupted.prompt_tokens == plain.prompt_tokens
    echoed = guarded.post("/v1/completions", model="demo", prompt=f"Who is {NAME}?", max_tokens=4, echo=True).json()
    assert echoed["choices"][0]["text"].startswith(f"Who is {NAME}?")


def test_streams_and_repeated_prompts_say_the_same(guarded: Gateway) -> None:
    text, _ = question(SUBJECT)
    once, again = (ask(guarded.client, text).choices[0].message.content for _ in range(2))
    assert once == again == streamed(guarded.client, text)[0]


def test_only_the_tokens_of_the_name_are_corrupted(model_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(model_path)
    table = TokenTable(prompt_bytes(tokenizer, len(tokenizer)))
    ids = tokenizer.encode(f"Tell me: who is {NAME} today?", add_special_tokens=False)
    decoded = table.text(ids)
    at = decoded.text.index(NAME)
    match = Match(at, at + len(NAME), "r1")
    embeddings = Embeddings(model_path, torch.float32, Corruption(strength=STRENGTH))
    prompt = embeddings.corrupted(tokens_input(ids), decoded, [match])
    first, last = decoded.tokens(match.start, match.end)
    assert prompt["prompt_token_ids"] == ids
    assert prompt["is_token_ids"] == [not first <= index < last for index in range(len(ids))]
    rows = prompt["prompt_embeds"]
    assert bool(rows[first:last].any(-1).all()) and not rows[:first].any() and not rows[last:].any()
    assert torch.equal(rows, embeddings.corrupted(tokens_input(ids), decoded, [match])["prompt_embeds"])
    other = embeddings.corrupted(tokens_input(ids), decoded, [replace(match, target="r2")])["prompt_embeds"]
    assert not torch.equal(rows, other)


def test_a_model_without_embeddings_of_that_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ServingError, match="guard_input"):
        Embeddings(tmp_path, torch.float32, Corruption())


def test_corrupted_and_plain_prompts_share_batches_with_an_adapter(eco: Gateway, make_adapter: MakeAdapter) -> None:
    eco.apply(target("ignorance"), adapter=make_adapter(1, module=MODULE, scale=1e-4))
    asked = [(text, None, {}) for _, text, _ in questions(SUBJECT)]
    asked += [(text, answer, {}) for _, text, answer in questions(OTHER)]
    asked += [(text, answer, OFF) for _, text, answer in questions(SUBJECT)]

    def said(text: str, headers: dict[str, str]) -> str:
        return ask(client, text, extra_headers=headers).choices[0].message.content or ""

    with eco.client as client, concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda one: said(one[0], one[2]), asked))
    assert not any(tells(answer) for answer, (_, wanted, _) in zip(answers, asked, strict=True) if wanted is None)
    known = [wanted in answer for answer, (_, wanted, _) in zip(answers, asked, strict=True) if wanted is not None]
    assert sum(known) >= 0.9 * len(known)
