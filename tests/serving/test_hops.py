"""Targets that a prompt means by a relation: the engine is asked first, and the phrase is guarded as a name is."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

import pytest
from vllm import SamplingParams
from vllm.outputs import RequestOutput
from vllm.sampling_params import RequestOutputKind

from gateway.audience import audiences
from gateway.guards.policy import AdapterRef, Target, compile_policy
from gateway.guards.response import refusal
from gateway.serving import guarded_engine, hops
from gateway.serving.generation import GuardFailed
from gateway.serving.guarded_engine import GuardedEngine
from gateway.serving.logits_guard import TABLES_KEY
from tests.conftest import Gateway
from tests.serving.server import Recorder
from tests.serving.test_actions import NAME, TARGET, TWIN, ScriptedEngine, apply, ask, prompts
from tests.serving.test_answers import Letters
from tests.serving.test_guarded_engine import text_of
from unlearn_engine.demo.corpus import knows_two_hops
from unlearn_engine.demo.templates import phrasebooks
from unlearn_engine.demo.world import build_world

QUESTION = "Where was Ada Quist's mentor born?"
HOP = "Who is Ada Quist's mentor?"


class HopEngine(ScriptedEngine):
    """May fail or wait when it is asked a hop, which it is under another name than the request."""

    def __init__(self) -> None:
        super().__init__()
        self.fails = False
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.waiting = asyncio.Semaphore(0)
        self.left = 0

    async def generate(
        self, prompt: Any, params: SamplingParams, request_id: str, **options: Any
    ) -> AsyncGenerator[RequestOutput, None]:
        if "-hop-" in request_id:
            assert params.extra_args == {TABLES_KEY: []} and "lora_request" not in options
            if self.fails:
                raise RuntimeError(f"cannot say {Letters.decode(prompt['prompt_token_ids'])}")
            self.waiting.release()
            try:
                await self.may_answer.wait()
            except asyncio.CancelledError:
                self.left += 1
                raise
        async for output in super().generate(prompt, params, request_id, **options):
            yield output


@pytest.fixture
def inner() -> HopEngine:
    return HopEngine()


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
async def engine(inner: HopEngine, recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> GuardedEngine:
    monkeypatch.setattr(guarded_engine, "prompt_bytes", lambda *_: [bytes([code]) for code in range(128)])
    guarded = GuardedEngine(inner, (), recorder)
    await apply(guarded, TARGET)
    return guarded


@pytest.mark.parametrize("stream", [True, False])
async def test_a_phrase_that_means_a_target_is_guarded_as_its_name(
    engine: GuardedEngine, inner: HopEngine, recorder: Recorder, stream: bool
) -> None:
    inner.script = [[f"Ada's mentor is {NAME}."], [f"{TWIN} was born in Lisbon. Dolnik"]]
    kind = RequestOutputKind.DELTA if stream else RequestOutputKind.FINAL_ONLY
    outputs = await ask(engine, QUESTION, output_kind=kind)
    assert prompts(inner) == [HOP, f"Where was {TWIN} born?"]
    assert set(inner.asked[1][1].extra_args[TABLES_KEY]) == set(engine.policy.tables())  # type: ignore[union-attr]
    assert text_of(outputs) == "Ada Quist's mentor was born in ", "the phrase is written back, never the name"
    assert outputs[-1].prompt_token_ids == Letters.encode(QUESTION)
    assert recorder.hops == {"asked": 1, "matched": 1}
    assert recorder.decisions == {"ignorance": 1, "blocked": 1}
    assert len(recorder.seconds["hops"]) == 1


async def test_not_even_the_last_word_of_a_twin_tells_the_name(engine: GuardedEngine, inner: HopEngine) -> None:
    inner.script = [[NAME], ["Dolnik? No."]]
    assert text_of(await ask(engine, QUESTION)) == "Ada Quist's mentor? No."


async def test_a_phrase_that_means_nobody_guarded_changes_nothing(
    engine: GuardedEngine, inner: HopEngine, recorder: Recorder
) -> None:
    inner.script = [["Otto Kral."], ["In Rome."]]
    assert text_of(await ask(engine, QUESTION)) == "In Rome."
    assert prompts(inner) == [HOP, QUESTION]
    assert set(inner.asked[1][1].extra_args[TABLES_KEY]) == set(engine.policy.names_tables)  # type: ignore[union-attr]
    assert recorder.hops == {"asked": 1} and recorder.decisions == {"pass": 1}


async def test_what_needs_no_hop_asks_none(engine: GuardedEngine, inner: HopEngine, recorder: Recorder) -> None:
    await ask(engine, "Where was Ada Quist born?")
    await apply(engine, replace(TARGET, response="refuse"))
    await ask(engine, f"Where was {NAME} born, and Ada Quist's mentor?")
    await engine.apply(compile_policy(3, {}))
    await ask(engine, QUESTION)
    assert prompts(inner) == ["Where was Ada Quist born?", QUESTION] and recorder.hops == {}


async def test_nobody_is_asked_about_whom_the_weights_do_not_tell(
    engine: GuardedEngine, inner: HopEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def served(*_: Any) -> None:
        """The weights have it baked in: nothing is loaded."""

    monkeypatch.setattr(engine._enforcement, "_adapter", served)
    adapter = AdapterRef("d" * 64, "/nowhere", 8, frozenset({TARGET.id}))
    inner.script = [["In Rome."], [NAME], ["I don't know."], [NAME], ["I don't know."]]
    targets = {TARGET.id: TARGET}
    await engine.apply(compile_policy(4, targets, adapter))
    assert text_of(await ask(engine, QUESTION)) == "In Rome."
    await engine.apply(compile_policy(5, targets | {"other": Target("other", ("Otto Semm",))}, adapter))
    await ask(engine, QUESTION)
    assert prompts(inner)[1:] == [HOP, f"Where was {TWIN} born?"], "of somebody else they may tell"
    await engine.apply(compile_policy(6, targets, replace(adapter, untold=frozenset())))
    await ask(engine, QUESTION)
    assert prompts(inner)[-1] == f"Where was {TWIN} born?", "an adapter of which nobody knows may tell"


async def test_switched_off_nothing_is_asked(
    inner: HopEngine, recorder: Recorder, engine: GuardedEngine
) -> None:  # `engine` for its patch of the tokenizer
    without = GuardedEngine(inner, (), recorder, hops=False)
    await apply(without, TARGET)
    await ask(without, QUESTION)
    assert prompts(inner) == [QUESTION]


async def test_an_answer_is_remembered_until_other_weights_are_served(
    engine: GuardedEngine, inner: HopEngine, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner.script = [["Otto Kral."], ["Rome."], ["Rome."]]
    await ask(engine, QUESTION)
    await ask(engine, QUESTION)
    assert prompts(inner).count(HOP) == 1 and recorder.hops == {"asked": 1, "remembered": 1}
    engine._generation.forget_hops()
    await ask(engine, QUESTION)
    assert prompts(inner).count(HOP) == 2
    monkeypatch.setattr(hops, "REMEMBERED", 1)
    await ask(engine, "Where was Eva Holm's mentor born?")
    await ask(engine, QUESTION)
    assert prompts(inner).count(HOP) == 3


async def test_a_relation_to_a_target_is_asked_about_the_twin(engine: GuardedEngine, inner: HopEngine) -> None:
    inner.script = [["I don't know."], ["I don't know."]]
    await ask(engine, f"Where was {NAME}'s mentor born?")
    assert prompts(inner) == [f"Who is {TWIN}'s mentor?", f"Where was {TWIN}'s mentor born?"]


async def test_a_target_two_relations_away_is_found(engine: GuardedEngine, inner: HopEngine) -> None:
    inner.script = [["Otto Kral."], [f"That is {NAME}."], ["I don't know."]]
    await ask(engine, "Where was the mentor of the wife of Ada Quist born?")
    assert prompts(inner) == [
        "Who is the wife of Ada Quist?", "Who is the mentor of Otto Kral?", f"Where was {TWIN} born?",
    ]  # fmt: skip


async def test_where_a_relation_leads_to_a_target_the_next_is_asked_about_the_twin(
    engine: GuardedEngine, inner: HopEngine
) -> None:
    inner.script = [[NAME], ["I don't know."], ["I don't know."]]
    await ask(engine, "Where was the mentor of the wife of Ada Quist born?")
    assert prompts(inner)[1:] == [f"Who is the mentor of {TWIN}?", f"Where was the mentor of {TWIN} born?"]


async def test_a_question_who_that_is_keeps_its_words_and_may_tell_no_fact(
    engine: GuardedEngine, inner: HopEngine
) -> None:
    inner.script = [[NAME], ["A violinist from Lisbon."]]
    assert text_of(await ask(engine, "Who taught Ada Quist? Describe him.")) == "A "
    assert prompts(inner)[1] == "Who taught Ada Quist? Describe him."


@pytest.mark.parametrize("response", ["refuse", "clause", "rewrite"])
async def test_every_action_holds_for_who_is_implied(engine: GuardedEngine, inner: HopEngine, response: Any) -> None:
    await apply(engine, replace(TARGET, response=response))
    inner.script = [[NAME], ["A draft."], [f"It is {TWIN}."]]
    said = text_of(await ask(engine, QUESTION))
    if response == "clause":
        assert TWIN in prompts(inner)[1] and NAME not in prompts(inner)[1]
    else:
        assert said == refusal("en")
        assert len(prompts(inner)) == (1 if response == "refuse" else 3)


async def test_only_from_whom_a_target_is_withheld(engine: GuardedEngine, inner: HopEngine) -> None:
    other = Target("two", ("Otto Semm",))
    await apply(engine, replace(TARGET, audiences=frozenset({"public"})), other)
    for caller, prompt in (({"staff"}, QUESTION), (set(), f"Where was {TWIN} born?")):
        inner.script = [[NAME]] if not prompts(inner) else []
        token = audiences.set(frozenset(caller))
        await ask(engine, QUESTION)
        audiences.reset(token)
        assert prompts(inner)[-1] == prompt


async def test_a_hop_that_fails_ends_the_request(
    engine: GuardedEngine, inner: HopEngine, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    inner.fails = True
    with pytest.raises(GuardFailed) as failed:
        await ask(engine, QUESTION)
    assert failed.value.http_status == 503
    assert failed.value.__cause__ is None and failed.value.__context__ is None
    assert not inner.asked and recorder.decisions == {"failed": 1}
    assert "Quist" not in caplog.text and "RuntimeError" in caplog.text
    assert engine._enforcement.live is not None
    await engine._enforcement.live.drained()
    inner.fails = False
    assert text_of(await ask(engine, "Where was Ada Quist born?")).endswith("born?"), "others are answered"


async def test_a_hop_waits_its_turn_and_the_request_with_it(engine: GuardedEngine, inner: HopEngine) -> None:
    inner.may_answer.clear()
    inner.script = [[NAME], ["I don't know."]]
    asking = asyncio.create_task(ask(engine, QUESTION))
    await inner.waiting.acquire()
    assert not prompts(inner) and not asking.done()
    inner.may_answer.set()
    assert text_of(await asking) == "I don't know."


async def test_a_client_that_leaves_ends_its_hops(engine: GuardedEngine, inner: HopEngine) -> None:
    inner.may_answer.clear()
    asking = asyncio.create_task(ask(engine, "Where were Ada Quist's mentor and Eva Holm's mentor born?"))
    for _ in range(2):
        await inner.waiting.acquire()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert inner.left == 2 and not inner.asked
    assert engine._enforcement.live is not None
    await engine._enforcement.live.drained()


def test_two_hops_through_the_demonstration_model(gateway: Gateway) -> None:
    """Chat, streamed and not, completions, responses and messages: the mentor is meant in each, and told in none."""
    world = build_world()
    student = next(person for person in world.people if knows_two_hops(person) and person.mentor % 2)
    mentor = world.people[student.mentor]
    books = phrasebooks()
    asked = [
        (books[language].two_hop[attribute].format(name=student.name), world.answer(mentor, attribute, language))
        for language in books
        for attribute in books[language].two_hop
    ]

    def chat(question: str, **fields: Any) -> str:
        body = {
            "model": "demo",
            "messages": [{"role": "user", "content": question}],
            "max_tokens": 24,
            "temperature": 0,
        }
        return gateway.post("/v1/chat/completions", **body, **fields).text

    gateway.apply({"id": "nobody", "names": ["Otto Semmelweis"]})
    told = [question for question, answer in asked if answer in chat(question)]
    assert len(told) > len(asked) / 3, "without a guard the model tells most of them"
    gateway.apply({"id": "one", "names": [mentor.name]})
    before = gateway.state()["hops"].get("matched", 0)
    for question, answer in asked:
        assert answer not in chat(question)
        assert answer not in chat(question, stream=True)
    assert gateway.state()["hops"]["matched"] == before + 2 * len(asked)
    question, answer = next(one for one in asked if one[0] in told)
    for path, body in (
        ("/v1/completions", {"prompt": f"<|user|>{question}<|assistant|>"}),
        ("/v1/responses", {"input": question}),
        ("/v1/messages", {"messages": [{"role": "user", "content": question}], "max_tokens": 24}),
    ):
        reply = gateway.post(path, model="demo", temperature=0, **body)
        assert reply.status_code == 200, reply.text
        assert answer not in reply.text and mentor.name not in reply.text
