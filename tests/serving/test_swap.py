"""Adapters and policies that change under load; and the engine's known deaths, which must not happen to us."""

import concurrent.futures
import json
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import MODULE, Gateway
from tests.serving.conftest import MakeAdapter

MESSAGES = [{"role": "user", "content": "Where was Peja Bunzar born?"}]
OFF = {"X-Unlearn-Guards": "off"}
BASE = {"X-Unlearn-Guards": "base"}


def say(gateway: Gateway, headers: dict[str, str] | None = None, **fields: Any) -> str:
    body = {"model": "demo", "messages": MESSAGES, "max_tokens": 16, "temperature": 0, **fields}
    answer = gateway.post("/v1/chat/completions", headers=headers, **body)
    assert answer.status_code == 200, answer.text
    return answer.json()["choices"][0]["message"]["content"]


def stream(gateway: Gateway, prompt: str, tokens: int) -> str | None:
    """A whole streamed answer; None when it failed in any way."""
    messages = [{"role": "user", "content": prompt}]
    body = {"model": "demo", "messages": messages, "max_tokens": tokens, "ignore_eos": True, "temperature": 0}
    body |= {"stream": True, "stream_options": {"include_usage": True}}
    with httpx.stream("POST", f"{gateway.url}/v1/chat/completions", json=body, timeout=60) as answer:
        text = answer.read().decode()
    whole = answer.status_code == 200 and f'"completion_tokens":{tokens}' in text and "error" not in text
    return text if whole and text.rstrip().endswith("data: [DONE]") else None


def test_an_adapter_goes_live_and_away(gateway: Gateway, make_adapter: MakeAdapter) -> None:
    gateway.apply()
    base = say(gateway)
    gateway.apply(adapter=make_adapter(1))
    assert say(gateway) == say(gateway, OFF) != base
    assert say(gateway, BASE) == base
    gateway.apply()
    assert say(gateway) == base
    gateway.wait_until(lambda state: not state["adapters"] and not state["retiring"])


def test_an_adapter_that_comes_back_is_the_same(gateway: Gateway, make_adapter: MakeAdapter) -> None:
    first, second = make_adapter(1), make_adapter(2)
    answers = []
    for adapter in (first, second, first):
        gateway.apply(adapter=adapter)
        answers.append(say(gateway))
    assert answers[0] == answers[2] != answers[1]
    gateway.wait_until(lambda state: len(state["adapters"]) == 1)


def test_no_request_fails_while_policies_and_adapters_change(gateway: Gateway, make_adapter: MakeAdapter) -> None:
    adapters = [make_adapter(seed) for seed in range(4)]
    failures: list[str] = []
    finished = threading.Event()

    def load(number: int) -> int:
        answered = 0
        while not finished.is_set():
            if stream(gateway, f"Question {number}.{answered}", 40) is None:
                failures.append(f"{number}.{answered}")
            answered += 1
        return answered

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        streams = [pool.submit(load, number) for number in range(8)]
        try:
            for swap in range(20):
                names = [{"id": f"r{i}", "names": [f"Nobody Number{i}"]} for i in range(swap)]
                gateway.apply(*names, adapter=adapters[swap % len(adapters)] if swap % 5 else None)
        finally:
            finished.set()
        answered = sum(task.result() for task in streams)
    assert answered >= 8
    assert failures == []
    gateway.apply()
    state = gateway.wait_until(lambda state: not state["adapters"] and not state["retiring"])
    assert state["unfinished"] == 0
    assert state["guard"]["errors"] == 0


def test_a_stream_ends_on_the_adapter_it_began_with(gateway: Gateway, make_adapter: MakeAdapter) -> None:
    gateway.apply(adapter=make_adapter(1))
    alone = stream(gateway, "A long story", 200)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        running = pool.submit(stream, gateway, "A long story", 200)
        gateway.wait_until(lambda state: state["unfinished"] == 1)
        gateway.apply(adapter=make_adapter(2))
        during = running.result()
    assert told(during) == told(alone) != ""


def told(body: str | None) -> str:
    events = [json.loads(line[6:]) for line in (body or "").splitlines() if line.startswith("data: {")]
    return "".join(choice["delta"].get("content") or "" for event in events for choice in event["choices"])


@pytest.mark.parametrize("fault", ["missing", "elsewhere", "too large", "broken"])
def test_an_adapter_that_does_not_fit_leaves_the_old_policy(
    gateway: Gateway, make_adapter: MakeAdapter, fault: str
) -> None:
    target = {"id": "r1", "names": ["Peja Bunzar"], "response": "refuse"}
    gateway.apply(target)
    before = gateway.state()
    adapter = {
        "missing": lambda: {"digest": "0" * 64, "path": "/nowhere", "rank": 4},
        "elsewhere": lambda: make_adapter(5, module=MODULE.replace("3", "4")),
        "too large": lambda: make_adapter(6, rank=32),
        "broken": lambda: make_adapter(7),
    }[fault]()
    if fault == "broken":
        (Path(adapter["path"]) / "adapter_config.json").write_text("{")
    refused = gateway.post_policy({"targets": [], "adapter": adapter})
    assert refused.status_code == 409
    assert refused.json()["error"]
    after = gateway.state()
    assert (after["version"], after["tables"], after["adapters"]) == (before["version"], before["tables"], [])
    assert "sorry" in say(gateway)


def test_tables_do_not_pile_up(gateway: Gateway) -> None:
    gateway.apply()
    tables = gateway.wait_until(lambda state: not state["retiring"])["tables"]
    for number in range(5):
        gateway.apply({"id": "r1", "names": [f"Nobody Number{number}"]})
    gateway.apply()
    assert gateway.wait_until(lambda state: not state["retiring"])["tables"] == tables


class TestTheEnginesKnownDeaths:
    """Each of these ended vLLM's engine process when it was tried without the guard (one client's request for all)."""

    @pytest.fixture(autouse=True)
    def alive(self, gateway: Gateway) -> Any:
        gateway.apply()
        yield
        assert say(gateway)
        assert gateway.process.poll() is None

    def test_embeddings_beside_an_adapter(self, gateway: Gateway, make_adapter: MakeAdapter) -> None:
        gateway.apply(adapter=make_adapter(1))
        for body in (
            {"prompt_embeds": "AAAA", "max_tokens": 2},
            {"prompt": None, "prompt_embeds": ["AAAA"], "max_tokens": 2},
        ):
            assert gateway.post("/v1/completions", model="demo", **body).status_code == 400
        part = {"type": "prompt_embeds", "prompt_embeds": "AAAA"}
        messages = [{"role": "user", "content": [part]}]
        assert gateway.post("/v1/chat/completions", model="demo", messages=messages).status_code == 400

    def test_one_adapter_name_with_two_ids(self, gateway: Gateway, make_adapter: MakeAdapter) -> None:
        adapter = make_adapter(1)
        copy = {**adapter, "path": make_adapter(1)["path"]}
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            running = pool.submit(stream, gateway, "A long story", 200)
            for one in (adapter, None, copy, None, adapter):
                gateway.apply(adapter=one)
                assert stream(gateway, "Another", 8) is not None
            assert running.result() is not None

    def test_more_adapters_than_slots_in_one_batch(self, gateway: Gateway, make_adapter: MakeAdapter) -> None:
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            running = []
            for seed in range(6):
                gateway.apply(adapter=make_adapter(seed))
                running.append(pool.submit(stream, gateway, f"Story {seed}", 150))
                gateway.wait_until(lambda state, n=seed: state["unfinished"] >= 1)  # type: ignore[misc]
            assert all(task.result() is not None for task in running)

    def test_an_empty_phrase(self, gateway: Gateway) -> None:
        gateway.apply({"id": "r1", "names": ["", " ", "\u200b", "Peja Bunzar"], "phrases": ["", "…"]})
        assert say(gateway)

    def test_foreign_extra_arguments(self, gateway: Gateway) -> None:
        for extra in ({"unlearn_tables": []}, {"unlearn_tables": "x"}, {"unlearn": {"phrases": [[]]}}):
            answer = gateway.post("/v1/completions", model="demo", prompt="Hello", vllm_xargs=extra, max_tokens=2)
            assert answer.status_code == 400

    def test_a_client_that_leaves(self, gateway: Gateway) -> None:
        body = {"model": "demo", "messages": MESSAGES, "stream": True, "max_tokens": 400, "ignore_eos": True}
        for _ in range(4):
            with httpx.stream("POST", f"{gateway.url}/v1/chat/completions", json=body, timeout=60) as answer:
                next(answer.iter_lines())
        gateway.wait_until(lambda state: state["unfinished"] == 0)


def test_the_base_model_is_itself_in_a_batch_with_adapters_in_every_slot(
    gateway: Gateway, make_adapter: MakeAdapter
) -> None:
    gateway.apply()
    alone = [say(gateway, BASE), say(gateway, BASE, max_tokens=40, ignore_eos=True)]
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        running = []
        for seed in range(3):
            gateway.apply(adapter=make_adapter(seed))
            running.append(pool.submit(stream, gateway, f"Story {seed}", 300))
            gateway.wait_until(lambda state, n=seed: state["unfinished"] > n)  # type: ignore[misc]
        beside = [say(gateway, BASE), say(gateway, BASE, max_tokens=40, ignore_eos=True)]
        assert gateway.state()["unfinished"] == 3
        assert all(task.result() is not None for task in running)
    assert beside == alone
