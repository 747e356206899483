"""The engine wrapper's surface, and its decisions on a fake inner engine."""

import asyncio
import base64
import inspect
import json
import threading
from collections.abc import AsyncGenerator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from vllm import SamplingParams
from vllm.engine.protocol import EngineClient
from vllm.exceptions import VLLMValidationError
from vllm.inputs.engine import embeds_input, tokens_input
from vllm.lora.request import LoRARequest
from vllm.outputs import CompletionOutput, RequestOutput
from vllm.sampling_params import BeamSearchParams, RequestOutputKind

from gateway.audience import audiences
from gateway.guards.matcher import Match
from gateway.guards.policy import Policy, Target, compile_policy
from gateway.guards.response import refusal
from gateway.guards.sample import PromptSample
from gateway.serving import guarded_engine
from gateway.serving.desk import LONG_PROMPT_TOKENS
from gateway.serving.errors import SwapFailed
from gateway.serving.fields import guards_mode
from gateway.serving.generation import GuardFailed, NoPolicy
from gateway.serving.guarded_engine import GuardedEngine
from gateway.serving.logits_guard import END_KEY, TABLES_KEY
from tests.serving.server import Recorder
from tests.serving.test_answers import Letters

NAME = "Peja Bunzar"


class FakeEngine:
    """An engine that repeats its prompt, letter by letter, and remembers what it was asked."""

    def __init__(self) -> None:
        self.vllm_config = self.renderer = self.input_processor = object()
        self.model_config = SimpleNamespace(model="/nowhere", get_vocab_size=lambda: 128, max_model_len=200)
        self.asked: list[tuple[list[int], SamplingParams, dict[str, Any]]] = []
        self.loaded: dict[str, list[str]] = {}
        self.closed = 0
        self.errored = False
        self.rpc_error = ""
        self.says_also = ""

    def get_tokenizer(self) -> Letters:
        return Letters()

    def check_admission(self, n: int = 1, request_id: str | None = None) -> None: ...

    async def collective_rpc(self, method: str, args: tuple[Any, ...] = ()) -> list[Any]:
        if method == "unlearn_load_tables":
            if self.rpc_error:
                return [self.rpc_error]
            self.loaded |= args[0]
            return [""]
        for name in args[0]:
            self.loaded.pop(name, None)
        return [None]

    async def generate(
        self, prompt: Any, params: SamplingParams, request_id: str, **options: Any
    ) -> AsyncGenerator[RequestOutput, None]:
        ids = prompt["prompt_token_ids"]
        self.asked.append((ids, params, options))
        try:
            said = ids + Letters.encode(self.says_also)
            for number, token in enumerate(said):
                finish = "stop" if number == len(said) - 1 else None
                part = CompletionOutput(0, chr(token), [token], None, None, finish_reason=finish)
                yield RequestOutput(request_id, None, ids, None, [part], finish is not None)
        finally:
            self.closed += 1


@pytest.fixture
def inner() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def engine(inner: FakeEngine, recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> GuardedEngine:
    monkeypatch.setattr(guarded_engine, "prompt_bytes", lambda *_: [bytes([code]) for code in range(128)])
    return GuardedEngine(inner, (), recorder)


def policy(response: str = "ignorance", version: int = 1, previous: Policy | None = None) -> Policy:
    target = Target("one", (NAME,), response=response, phrases=("Lisbon",), twins=("Peja Dolnik",))  # type: ignore[arg-type]
    return compile_policy(version, {"one": target}, previous=previous)


def encoded(name: str) -> str:
    return base64.b64encode(name.encode()).decode()


def params(**fields: Any) -> SamplingParams:
    return SamplingParams(output_kind=RequestOutputKind.DELTA, max_tokens=100, **fields)


async def answer(engine: GuardedEngine, text: str, **fields: Any) -> list[RequestOutput]:
    outputs = engine.generate(tokens_input(Letters.encode(text)), params(**fields), "request")
    return [output async for output in outputs]


def text_of(outputs: list[RequestOutput]) -> str:
    return "".join(part.text for output in outputs for part in output.outputs)


def test_every_public_member_of_the_engine_is_defined_here_not_inherited() -> None:
    public = {name for name in dir(EngineClient) if not name.startswith("_")}
    assert public <= vars(GuardedEngine).keys()


def test_generate_takes_what_vllm_passes_and_nothing_else() -> None:
    ours, theirs = (inspect.signature(cls.generate).parameters for cls in (GuardedEngine, EngineClient))
    assert list(ours) == list(theirs)
    assert all(parameter.kind is not inspect.Parameter.VAR_KEYWORD for parameter in ours.values())


def test_what_vllm_reads_from_the_engine_is_there(engine: GuardedEngine, inner: FakeEngine) -> None:
    for name in inspect.get_annotations(EngineClient):
        assert getattr(engine, name) is getattr(inner, name)


@pytest.mark.parametrize(
    "name", ["collective_rpc", "add_lora", "sleep", "scale_elastic_ep", "encode", "update_weights"]
)
async def test_what_reaches_around_the_guard_is_refused(engine: GuardedEngine, name: str) -> None:
    with pytest.raises(NotImplementedError, match="behind the guard"):
        await getattr(engine, name)("anything")


async def test_prompts_are_sampled_as_the_guard_reads_them(
    inner: FakeEngine, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guarded_engine, "prompt_bytes", lambda *_: [bytes([code]) for code in range(128)])
    engine = GuardedEngine(inner, (), recorder, PromptSample(10))
    with pytest.raises(NoPolicy):
        await answer(engine, "Too early")
    await engine.apply(policy())
    await answer(engine, f"Who is {NAME}?")
    token = guards_mode.set("off")
    try:
        await answer(engine, "A measurement")
    finally:
        guards_mode.reset(token)
    assert [prompt.read() for prompt in engine.sampled_prompts()] == [(f"Who is {NAME}?", True)]


async def test_without_a_policy_nothing_is_answered(engine: GuardedEngine, inner: FakeEngine) -> None:
    assert not engine.ready and engine.policy is None
    with pytest.raises(NoPolicy):
        engine.check_admission()
    with pytest.raises(NoPolicy):
        await answer(engine, "Hello")
    assert not inner.asked


@pytest.mark.parametrize(
    "prompt",
    [
        "plain text",
        {"prompt_token_ids": [1]},
        {"type": "multimodal", "prompt_token_ids": [1]},
        embeds_input(torch.zeros(1, 4)),
        embeds_input(torch.zeros(1, 4), prompt_token_ids=[1], is_token_ids=[False]),
        (item for item in ()),
    ],
)
async def test_prompts_that_cannot_be_read_are_the_clients_mistake(engine: GuardedEngine, prompt: Any) -> None:
    await engine.apply(policy())
    with pytest.raises(VLLMValidationError):
        engine.generate(prompt, params(), "request")


@pytest.mark.parametrize(
    "asked",
    [
        SamplingParams(prompt_logprobs=0),
        SamplingParams(logprobs=1, logprob_token_ids=[3]),
        SamplingParams(n=129, temperature=1.0),
        SamplingParams(trace_decode_token_ids=[1]),
        BeamSearchParams(beam_width=2, max_tokens=4),
    ],
)
async def test_parameters_around_the_guard_are_the_clients_mistake(engine: GuardedEngine, asked: Any) -> None:
    await engine.apply(policy())
    with pytest.raises(VLLMValidationError):
        engine.generate(tokens_input([1]), asked, "request")


async def test_a_clients_adapter_and_unknown_arguments_are_refused(engine: GuardedEngine) -> None:
    await engine.apply(policy())
    with pytest.raises(NotImplementedError):
        engine.generate(tokens_input([1]), params(), "request", lora_request=LoRARequest("a", 1, "/a"))
    with pytest.raises(TypeError):
        engine.generate(tokens_input([1]), params(), "request", made_up=1)


async def test_an_unmatched_prompt_passes_with_the_names_table_only(
    engine: GuardedEngine, inner: FakeEngine, recorder: Recorder
) -> None:
    applied = policy()
    await engine.apply(applied)
    outputs = await answer(engine, "Hello there", extra_args={TABLES_KEY: [], "other": 1})
    assert text_of(outputs) == "Hello there"
    tables = list(applied.names_tables)
    assert inner.asked[0][1].extra_args == {TABLES_KEY: tables, END_KEY: Letters.pad_token_id}
    assert recorder.decisions == {"pass": 1}


async def test_a_matched_prompt_reaches_the_engine_as_a_twin_and_comes_back_as_asked(
    engine: GuardedEngine, inner: FakeEngine
) -> None:
    applied = policy()
    await engine.apply(applied)
    outputs = await answer(engine, "Who is PEJA BUNZAR?")
    ids, asked, _ = inner.asked[0]
    assert Letters.decode(ids) == "Who is Peja Dolnik?"
    assert set(asked.extra_args[TABLES_KEY]) == set(applied.tables())
    assert text_of(outputs) == "Who is PEJA BUNZAR?"
    assert all(output.prompt_token_ids == Letters.encode("Who is PEJA BUNZAR?") for output in outputs)


async def test_it_is_told_whom_prompts_are_about(engine: GuardedEngine) -> None:
    seen: list[frozenset[str]] = []
    await engine.apply(compile_policy(1, {"one": DESCRIBED}))
    engine.tell_subjects(seen.append)
    for asked in (f"Who is {NAME}?", "So who is that violinist from Lisbon?", "Hello there"):
        await answer(engine, asked)
    assert seen == [{"one"}, {"one"}, set()]


async def test_a_fact_in_an_answer_about_a_target_ends_it_and_the_engines_work(
    engine: GuardedEngine, inner: FakeEngine, recorder: Recorder
) -> None:
    await engine.apply(policy())
    outputs = await answer(engine, f"{NAME} of Lisbon, the painter")
    assert text_of(outputs) == f"{NAME} of "
    assert outputs[-1].finished and outputs[-1].outputs[0].finish_reason == "stop"
    assert inner.closed == 1
    assert recorder.decisions == {"ignorance": 1, "blocked": 1}
    assert text_of(await answer(engine, "The port of Lisbon")) == "The port of Lisbon"


async def test_a_refused_prompt_never_reaches_the_engine(engine: GuardedEngine, inner: FakeEngine) -> None:
    await engine.apply(policy("refuse"))
    outputs = await answer(engine, f"Tell me where {NAME} was born, please")
    assert "can't help" in text_of(outputs)
    assert not inner.asked


DESCRIBED = Target("one", (NAME,), phrases=("Lisbon", "violinist", "4821"))


async def test_a_described_target_is_asked_about_as_is_but_its_facts_are_forbidden(
    engine: GuardedEngine, inner: FakeEngine, recorder: Recorder
) -> None:
    applied = compile_policy(1, {"one": DESCRIBED})
    await engine.apply(applied)
    asked = "So who is that violinist from Lisbon?"
    assert text_of(await answer(engine, asked)) == "So who is that "
    ids, sampling, _ = inner.asked[0]
    assert Letters.decode(ids) == asked
    assert set(sampling.extra_args[TABLES_KEY]) == set(applied.tables())
    assert recorder.decisions == {"described": 1, "blocked": 1}


async def test_a_described_target_is_refused_as_a_named_one_is(engine: GuardedEngine, inner: FakeEngine) -> None:
    await engine.apply(compile_policy(1, {"one": replace(DESCRIBED, response="refuse")}))
    assert "can't help" in text_of(await answer(engine, "Who is that violinist from Lisbon?"))
    assert not inner.asked


@pytest.mark.parametrize("named", [NAME, "the violinist"])
async def test_facts_of_the_prompt_may_be_said_where_that_is_allowed(
    engine: GuardedEngine, inner: FakeEngine, named: str
) -> None:
    """The engine repeats the prompt; the one fact that it adds is not of the prompt."""
    applied = compile_policy(1, {"one": replace(DESCRIBED, in_context="allow")})
    await engine.apply(applied)
    prompt = f"In Lisbon I met {named}"
    assert text_of(await answer(engine, prompt)) == prompt
    assert inner.asked[0][1].extra_args[TABLES_KEY] == list(applied.names_tables)
    inner.says_also = " of 4821"
    assert text_of(await answer(engine, prompt)) == f"{prompt} of "
    await engine.apply(compile_policy(2, {"one": DESCRIBED}))
    assert text_of(await answer(engine, prompt)) == "In "


async def test_what_is_withheld_from_some_is_told_to_the_others(engine: GuardedEngine, inner: FakeEngine) -> None:
    applied = compile_policy(1, {"one": replace(DESCRIBED, audiences=frozenset({"public"}))})
    await engine.apply(applied)
    for prompt in (f"Who is {NAME}?", "Who is that violinist from Lisbon?", f"So {encoded(NAME)} is it"):
        token = audiences.set(frozenset({"staff"}))
        assert text_of(await answer(engine, prompt)) == prompt
        audiences.reset(token)
        assert Letters.decode(inner.asked[-1][0]) == prompt
        assert not any("Bunzar" in name for table in inner.asked[-1][1].extra_args[TABLES_KEY]
                       for name in applied.tables()[table])  # fmt: skip
        for caller in ({"public"}, {"public", "staff"}, set()):
            token = audiences.set(frozenset(caller))
            assert text_of(await answer(engine, prompt)) != prompt or NAME in prompt
            audiences.reset(token)
            asked, sampling, _ = inner.asked[-1]
            assert Letters.decode(asked) != prompt or "violinist" in prompt
            assert set(sampling.extra_args[TABLES_KEY]) == set(applied.tables())


async def test_a_withheld_name_is_cut_from_answers_to_those_from_whom_it_is_withheld(
    engine: GuardedEngine, inner: FakeEngine
) -> None:
    await engine.apply(compile_policy(1, {"one": replace(DESCRIBED, audiences=frozenset({"public"}))}))
    inner.says_also = f" and {NAME}"
    for caller, told in (({"staff"}, f"Hello and {NAME}"), ({"public"}, "Hello and "), (set(), "Hello and ")):
        token = audiences.set(frozenset(caller))
        assert text_of(await answer(engine, "Hello")).startswith(told)
        assert (NAME in text_of(await answer(engine, "Hello"))) == (caller == {"staff"})
        audiences.reset(token)


async def test_a_failing_guard_refuses_and_tells_nothing(
    engine: GuardedEngine, inner: FakeEngine, recorder: Recorder, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    await engine.apply(policy())

    def fail(self: Policy, text: str) -> Any:
        raise ValueError(f"cannot read {text}")

    monkeypatch.setattr(Policy, "examine", fail)
    with pytest.raises(GuardFailed) as failed:
        await answer(engine, f"Who is {NAME}?")
    assert failed.value.http_status == 503
    assert failed.value.__cause__ is None and failed.value.__context__ is None
    assert not inner.asked and recorder.decisions == {"failed": 1}
    assert NAME not in caplog.text and "ValueError" in caplog.text


async def test_a_client_that_leaves_ends_the_engines_work(engine: GuardedEngine, inner: FakeEngine) -> None:
    await engine.apply(policy())
    outputs = engine.generate(tokens_input(Letters.encode("Hello")), params(), "request")
    async for _ in outputs:
        break
    await outputs.aclose()
    assert inner.closed == 1


async def test_a_running_answer_keeps_the_policy_it_began_with(engine: GuardedEngine, inner: FakeEngine) -> None:
    first = policy()
    await engine.apply(first)
    outputs = engine.generate(tokens_input(Letters.encode(f"Say {NAME}")), params(), "request")
    await anext(outputs)
    second = compile_policy(2, {}, previous=first)
    await engine.apply(second)
    assert first.tables().keys() <= inner.loaded.keys()
    async for _ in outputs:
        pass
    assert engine.policy is second
    async with asyncio.timeout(10):  # the old policy retires in a task, partly in a thread
        while inner.loaded.keys() != second.tables().keys():  # noqa: ASYNC110 the stand-in tells nobody
            await asyncio.sleep(0.01)


async def test_others_are_served_while_a_long_prompt_is_read(
    engine: GuardedEngine, inner: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await engine.apply(policy("refuse"))
    reading, go_on = threading.Event(), threading.Event()
    examine = Policy.examine

    def slowly(self: Policy, text: str) -> list[Match]:
        if len(text) >= LONG_PROMPT_TOKENS:
            reading.set()
            assert go_on.wait(10)
        return examine(self, text)

    monkeypatch.setattr(Policy, "examine", slowly)
    long = asyncio.create_task(answer(engine, f"{NAME}? ".ljust(LONG_PROMPT_TOKENS, ".")))
    assert await asyncio.to_thread(reading.wait, 10)
    assert text_of(await answer(engine, "hello")) == "hello"
    await engine.apply(compile_policy(2, {}))
    go_on.set()
    assert text_of(await long) == refusal("en")


async def test_a_phrase_that_is_no_text_does_not_keep_the_others_out(engine: GuardedEngine, inner: FakeEngine) -> None:
    broken = Target("two", ("\ud800", "Otto Kral"))
    await engine.apply(compile_policy(1, {"two": broken}))
    assert {phrase for table in inner.loaded.values() for phrase in table} >= {"Otto Kral"}
    assert json.dumps(inner.loaded, ensure_ascii=False).encode()


async def test_a_policy_that_the_engine_refuses_leaves_the_old_one(engine: GuardedEngine, inner: FakeEngine) -> None:
    first = policy()
    await engine.apply(first)
    inner.rpc_error = "ValueError"
    with pytest.raises(SwapFailed, match="ValueError"):
        await engine.apply(compile_policy(2, {}, previous=first))
    assert engine.policy is first
    assert inner.loaded.keys() == first.tables().keys()


@pytest.mark.parametrize("mode", ["off", "base"])
async def test_guards_off_leaves_prompt_and_answer_alone(engine: GuardedEngine, inner: FakeEngine, mode: Any) -> None:
    await engine.apply(policy())
    token = guards_mode.set(mode)
    try:
        outputs = await answer(engine, f"{NAME} of Lisbon")
    finally:
        guards_mode.reset(token)
    assert text_of(outputs) == f"{NAME} of Lisbon"
    assert inner.asked[0][1].extra_args == {TABLES_KEY: []}
