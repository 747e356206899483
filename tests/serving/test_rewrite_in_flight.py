"""A rewritten answer, and a stream, take up a guard that comes while the engine is at them; the prompt is read once."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from vllm import SamplingParams
from vllm.outputs import RequestOutput

from gateway.guards.matcher import Match
from gateway.guards.policy import Policy, Target, compile_policy
from gateway.guards.response import refusal
from gateway.serving import guarded_engine
from gateway.serving.guarded_engine import GuardedEngine
from tests.serving.server import Recorder
from tests.serving.test_actions import NAME, TARGET, TWIN, ScriptedEngine, ask
from tests.serving.test_guarded_engine import text_of

REWRITE = replace(TARGET, response="rewrite")
LATE = Target("late", ("Otto Kral",))


class InterruptedEngine(ScriptedEngine):
    """Before its last scripted text, a policy comes."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: Callable[[], Awaitable[None]] | None = None

    async def generate(
        self, prompt: Any, params: SamplingParams, request_id: str, **options: Any
    ) -> AsyncGenerator[RequestOutput, None]:
        if len(self.script) == 1 and self.meanwhile is not None:
            await self.meanwhile()
        async for output in super().generate(prompt, params, request_id, **options):
            yield output


@pytest.fixture
def inner() -> InterruptedEngine:
    return InterruptedEngine()


@pytest.fixture
def engine(inner: InterruptedEngine, monkeypatch: pytest.MonkeyPatch) -> GuardedEngine:
    monkeypatch.setattr(guarded_engine, "prompt_bytes", lambda *_: [bytes([code]) for code in range(128)])
    return GuardedEngine(inner, (), Recorder())


def policy(version: int, *targets: Target) -> Policy:
    return compile_policy(version, {target.id: target for target in targets})


@pytest.mark.parametrize(
    ("asked", "rewritten", "late", "given"),
    [
        (f"Who is {NAME}?", "A friend of Otto Kral.", LATE, None),
        (f"Who is {NAME}?", "A friend of somebody.", LATE, "A friend of somebody."),
        (f"Who is {NAME}, and who is Otto Kral?", "Somebody.", LATE, None),
        (f"Who is {NAME}?", "A friend of Otto Kral.", replace(REWRITE, response="ignorance"), "A friend of Otto Kral."),
    ],
)
async def test_a_rewritten_answer_takes_up_a_newer_guard(
    engine: GuardedEngine, inner: InterruptedEngine, asked: str, rewritten: str, late: Target, given: str | None
) -> None:
    await engine.apply(policy(1, REWRITE))
    inner.script = [["A draft."], [rewritten]]

    async def meanwhile() -> None:
        await engine.apply(policy(2, REWRITE, late))

    inner.meanwhile = meanwhile
    assert text_of(await ask(engine, asked)) == (given or refusal("en"))


async def test_a_prompt_is_read_once_for_each_policy(
    engine: GuardedEngine, inner: InterruptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    own = Policy.examine_all

    def counting(policy: Policy, texts: Sequence[str]) -> list[tuple[list[Match], tuple[str, ...]]]:
        read.append(policy.version)
        return own(policy, texts)

    monkeypatch.setattr(Policy, "examine_all", counting)
    await engine.apply(policy(1, TARGET))
    inner.script = [[f"{TWIN} knows Otto Kral."]]

    async def meanwhile() -> None:
        await engine.apply(policy(2, TARGET, LATE))

    inner.meanwhile = meanwhile
    assert text_of(await ask(engine, f"Who is {NAME}?")) == f"{NAME} knows "
    assert read == [1, 2]
