"""Proof that the engine really applies the guard, before anybody is served: at the start, and on replaced weights."""

from contextlib import aclosing

from vllm import SamplingParams
from vllm.inputs.engine import tokens_input
from vllm.outputs import CompletionOutput
from vllm.v1.engine.async_llm import AsyncLLM

from gateway.serving.errors import GuardInactive
from gateway.serving.logits_guard import TABLES_KEY
from gateway.serving.tables import drop_tables, load_tables

PROMPTS = ("The", "1, 2, 3,", "Hello", "What is")
TABLE = "canary"
TOKENS = 8


async def check_guard(engine: AsyncLLM) -> None:
    """Show that a request without a known table is blocked, and that a loaded phrase is not said.

    Both are compared with what the model says freely: a canary that could not fail would prove nothing.

    Raises:
        GuardInactive: the logits guard does not work in this engine.
    """
    for number, text in enumerate(PROMPTS):
        prompt = engine.get_tokenizer().encode(text)
        free = await _answer(engine, prompt, [], f"canary-free-{number}")
        phrase = free.text.strip()
        if sum(map(str.isalnum, phrase)) < 4:
            continue
        blocked = await _answer(engine, prompt, ["no such table"], f"canary-unknown-{number}")
        if blocked.text or len(blocked.token_ids) > 1:
            raise GuardInactive("a request without guard tables was answered: the logits guard is not active")
        await load_tables(engine, {TABLE: (phrase,)})
        guarded = await _answer(engine, prompt, [TABLE], f"canary-phrase-{number}")
        await drop_tables(engine, [TABLE])
        if phrase in guarded.text:
            raise GuardInactive("a forbidden phrase was said: the logits guard does not hold")
        return
    raise GuardInactive("the model says nothing on any canary prompt, so the guard cannot be shown to work")


async def _answer(engine: AsyncLLM, prompt: list[int], tables: list[str], name: str) -> CompletionOutput:
    params = SamplingParams(max_tokens=TOKENS, temperature=0.0, extra_args={TABLES_KEY: tables})
    async with aclosing(engine.generate(tokens_input(prompt), params, name)) as outputs:
        async for output in outputs:
            if output.finished:
                return output.outputs[0]
    raise GuardInactive("the engine did not finish the canary request")
