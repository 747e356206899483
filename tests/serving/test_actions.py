"""The actions of a guarded prompt on an engine that repeats what it is asked, and remembers it."""

from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

import pytest
from vllm import SamplingParams
from vllm.inputs.engine import tokens_input
from vllm.outputs import CompletionOutput, RequestOutput
from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams

from gateway.guards.policy import Target, compile_policy
from gateway.guards.response import refusal
from gateway.serving import guarded_engine
from gateway.serving.guarded_engine import GuardedEngine
from gateway.serving.logits_guard import TABLES_KEY
from tests.serving.server import Recorder
from tests.serving.test_answers import Letters
from tests.serving.test_guarded_engine import FakeEngine, text_of

NAME, TWIN = "Peja Bunzar", "Peja Dolnik"
TARGET = Target("one", (NAME,), phrases=("Lisbon", "violinist", "4821"), twins=(TWIN,))
OTHER = Target("two", ("Otto Kral",), twins=("Otto Semm",))


class ScriptedEngine(FakeEngine):
    """Says what it is told to, one text for each call, in all answers of that call; then repeats its prompt."""

    def __init__(self) -> None:
        super().__init__()
        self.model_config.max_model_len = 2000
        self.script: list[list[str]] = []
        self.finish = "stop"

    async def generate(
        self, prompt: Any, params: SamplingParams, request_id: str, **options: Any
    ) -> AsyncGenerator[RequestOutput, None]:
        if not self.script:
            async for output in super().generate(prompt, params, request_id, **options):
                yield output
            return
        self.asked.append((prompt["prompt_token_ids"], params, options))
        said = self.script.pop(0)
        parts = [
            CompletionOutput(index, text, Letters.encode(text), None, None, finish_reason=self.finish)
            for index, text in enumerate(said)
        ]
        try:
            yield RequestOutput(request_id, None, prompt["prompt_token_ids"], None, parts, True)
        finally:
            self.closed += 1


@pytest.fixture
def inner() -> ScriptedEngine:
    return ScriptedEngine()


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def engine(inner: ScriptedEngine, recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> GuardedEngine:
    monkeypatch.setattr(guarded_engine, "prompt_bytes", lambda *_: [bytes([code]) for code in range(128)])
    return GuardedEngine(inner, (), recorder)


async def apply(engine: GuardedEngine, *targets: Target) -> None:
    await engine.apply(compile_policy(1, {target.id: target for target in targets}))


async def ask(engine: GuardedEngine, text: str, **fields: Any) -> list[RequestOutput]:
    given = {"output_kind": RequestOutputKind.DELTA, "max_tokens": 400, **fields}
    return [out async for out in engine.generate(tokens_input(Letters.encode(text)), SamplingParams(**given), "r")]


def prompts(inner: FakeEngine) -> list[str]:
    return [Letters.decode(ids) for ids, _, _ in inner.asked]


@pytest.mark.parametrize("response", ["clause", "instruct"])
async def test_a_text_about_the_twin_is_added_and_tables_and_audit_stay(
    engine: GuardedEngine, inner: ScriptedEngine, recorder: Recorder, response: Any
) -> None:
    await apply(engine, replace(TARGET, response=response))
    inner.script = [["He is Peja Dolnik of Lisbon."]]
    outputs = await ask(engine, f"Who is {NAME}?")
    (asked,) = prompts(inner)
    assert asked.endswith(f"\n\nWho is {TWIN}?") and asked.count(TWIN) >= 2
    assert NAME not in asked and "Lisbon" not in asked
    assert set(inner.asked[0][1].extra_args[TABLES_KEY]) == set(engine.policy.tables())  # type: ignore[union-attr]
    assert text_of(outputs) == f"He is {NAME} of "
    assert all(output.prompt_token_ids == Letters.encode(f"Who is {NAME}?") for output in outputs)
    assert recorder.decisions == {response: 1, "blocked": 1}


@pytest.mark.parametrize("response", ["clause", "instruct"])
async def test_a_described_subject_is_not_named_to_the_model(
    engine: GuardedEngine, inner: ScriptedEngine, response: Any
) -> None:
    await apply(engine, replace(TARGET, response=response))
    inner.script = [["It is Peja Bunzar."]]
    assert text_of(await ask(engine, "Who is the violinist from Lisbon?")) == "It is "
    (asked,) = prompts(inner)
    assert "Bunzar" not in asked and TWIN not in asked and len(asked) > 100


@pytest.mark.parametrize("response", ["clause", "instruct"])
async def test_where_the_text_does_not_fit_the_answer_is_ignorance(
    engine: GuardedEngine, inner: ScriptedEngine, recorder: Recorder, response: Any
) -> None:
    inner.model_config.max_model_len = 60
    engine._generation._planner._max_model_len = 60
    await apply(engine, replace(TARGET, response=response))
    await ask(engine, f"Who is {NAME}?")
    assert prompts(inner) == [f"Who is {TWIN}?"]
    assert recorder.decisions["ignorance"] == 1


async def test_the_strictest_of_several_actions_holds_for_all(engine: GuardedEngine, inner: ScriptedEngine) -> None:
    both = f"Who are {NAME} and Otto Kral?"
    await apply(engine, replace(TARGET, response="refuse"), replace(OTHER, response="rewrite"))
    assert "can't help" in text_of(await ask(engine, both))
    assert not inner.asked
    await apply(engine, replace(TARGET, response="ignorance"), replace(OTHER, response="clause"))
    await ask(engine, both)
    assert prompts(inner) == [f"Who are {TWIN} and Otto Semm?"], "nothing shows that the one is on the list"
    await apply(engine, replace(TARGET, response="instruct"), replace(OTHER, response="clause"))
    await ask(engine, both)
    assert "Confidentiality" in prompts(inner)[-1] and f"{TWIN}; Otto Semm" in prompts(inner)[-1]


class TestRewrite:
    @pytest.fixture(autouse=True)
    async def rewriting(self, engine: GuardedEngine) -> None:
        await apply(engine, replace(TARGET, response="rewrite"), OTHER)

    async def test_one_more_call_on_hits(
        self, engine: GuardedEngine, inner: ScriptedEngine, recorder: Recorder
    ) -> None:
        inner.script = [[f"{TWIN} paints, and Ada Quist sings."], ["Ada Quist sings."]]
        outputs = await ask(engine, f"Who are {NAME} and Ada Quist?", seed=7)
        assert text_of(outputs) == "Ada Quist sings."
        draft, asked = prompts(inner)
        assert draft == f"Who are {TWIN} and Ada Quist?"
        assert f"{TWIN} paints, and Ada Quist sings." in asked
        assert NAME not in draft + asked and "Otto" not in asked, "candidates are the matched targets alone"
        for _, params, _ in inner.asked:
            assert set(params.extra_args[TABLES_KEY]) >= {engine.policy.target_table("one")}  # type: ignore[union-attr]
            assert (params.seed, params.logprobs) == (7, None)
        assert outputs[-1].finished and inner.closed == 2
        assert recorder.decisions == {"rewrite": 1}

    async def test_none_on_misses(self, engine: GuardedEngine, inner: ScriptedEngine) -> None:
        assert text_of(await ask(engine, "Who is Ada Quist?")) == "Who is Ada Quist?"
        assert len(inner.asked) == 1

    async def test_the_draft_is_cut_where_a_client_would_have_been(
        self, engine: GuardedEngine, inner: ScriptedEngine
    ) -> None:
        inner.script = [["Born in Lisbon, in 4821."], ["Born somewhere."]]
        await ask(engine, f"Who is {NAME}?")
        assert "\nBorn in \n" in prompts(inner)[1]

    @pytest.mark.parametrize(
        "rewritten",
        [f"It is {TWIN}.", "A Dolnik.", f"It is {NAME}.", "From L i s b o n.", "", " \n", "O\\u0074to Kral"],
    )
    @pytest.mark.parametrize("stream", [True, False])
    async def test_a_rewriting_that_fails_ends_in_the_refusal(
        self, engine: GuardedEngine, inner: ScriptedEngine, recorder: Recorder, rewritten: str, stream: bool
    ) -> None:
        inner.script = [["A draft."], [rewritten]]
        kind = RequestOutputKind.DELTA if stream else RequestOutputKind.FINAL_ONLY
        assert text_of(await ask(engine, f"Who is {NAME}?", output_kind=kind)) == refusal("en")
        assert recorder.decisions == {"rewrite": 1, "blocked": 1}

    async def test_each_of_several_answers_passes_or_fails_by_itself(
        self, engine: GuardedEngine, inner: ScriptedEngine
    ) -> None:
        inner.script = [["A draft."], ["Ada sings.", "Lisbon!", "Nobody knows."]]
        outputs = await ask(engine, f"Who is {NAME}?", n=3, temperature=1.0, logprobs=2)
        assert [params.n for _, params, _ in inner.asked] == [1, 3]
        told = ["".join(part.text for out in outputs for part in out.outputs if part.index == at) for at in range(3)]
        assert told == ["Ada sings.", refusal("en"), "Nobody knows."]
        for at in range(3):
            parts = [part for out in outputs for part in out.outputs if part.index == at]
            ids = [token for part in parts for token in part.token_ids]
            spelt = [entry for part in parts for entry in part.logprobs or ()]
            assert Letters.decode(ids) == told[at]
            assert [set(entry) for entry in spelt] == [{token} for token in ids], "no alternatives are shown"

    async def test_an_answer_cut_by_its_length_says_so(self, engine: GuardedEngine, inner: ScriptedEngine) -> None:
        inner.script, inner.finish = [["A draft."], ["Ada"]], "length"
        assert (await ask(engine, f"Who is {NAME}?"))[-1].outputs[0].finish_reason == "length"

    async def test_a_draft_that_does_not_fit_is_not_rewritten(
        self, engine: GuardedEngine, inner: ScriptedEngine
    ) -> None:
        inner.script = [["word " * 400]]
        assert text_of(await ask(engine, f"Who is {NAME}?")) == refusal("en")
        assert len(inner.asked) == 1

    async def test_a_schema_holds_for_draft_rewriting_and_refusal(
        self, engine: GuardedEngine, inner: ScriptedEngine
    ) -> None:
        schema = {"type": "object", "properties": {"who": {"type": "string"}}, "required": ["who"]}
        wanted = StructuredOutputsParams(json=schema)
        inner.script = [['{"who": "x"}'], ['{"who": "Lisbon"}']]
        said = text_of(await ask(engine, f"Who is {NAME}?", structured_outputs=wanted))
        assert said == f'{{"who": "{refusal("en")}"}}'
        assert all(params.structured_outputs.json == schema for _, params, _ in inner.asked)

    async def test_a_client_that_leaves_ends_the_engines_work(
        self, engine: GuardedEngine, inner: ScriptedEngine
    ) -> None:
        outputs = engine.generate(tokens_input(Letters.encode(f"Who is {NAME}?")), SamplingParams(), "r")
        inner.script = [["A draft."], ["Ada sings."]]
        await anext(outputs)
        await outputs.aclose()
        assert inner.closed == 2
        assert engine._enforcement.live is not None
        await engine._enforcement.live.drained()
