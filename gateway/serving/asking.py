"""Questions of the gateway's own to the served model."""

# mypy: allow-subclassing-any, no-warn-return-any
# (vLLM is left out of type checking, so its classes are Any)

from collections.abc import Mapping
from contextlib import aclosing
from types import MappingProxyType
from typing import Any

from vllm import SamplingParams
from vllm.inputs.engine import tokens_input
from vllm.sampling_params import RequestOutputKind
from vllm.v1.engine.async_llm import AsyncLLM

from gateway.serving.chat_format import ChatFormat
from gateway.serving.logits_guard import TABLES_KEY

ANSWER_TOKENS = 24


class Asking:
    """Asks the untouched model, without adapter or tables. Nobody but the guard sees the answers."""

    def __init__(self, engine: AsyncLLM, chat: ChatFormat) -> None:
        self._engine = engine
        self._chat = chat

    async def answer(self, question: str, id_: str, options: Mapping[str, Any] = MappingProxyType({})) -> str:
        """The greedy answer to one question; `options` are those of `AsyncLLM.generate`."""
        params = SamplingParams(
            temperature=0,
            max_tokens=ANSWER_TOKENS,
            output_kind=RequestOutputKind.FINAL_ONLY,
            extra_args={TABLES_KEY: []},
        )
        prompt = tokens_input(self._chat.question(question))
        said = ""
        async with aclosing(self._engine.generate(prompt, params, id_, **options)) as outputs:
            async for output in outputs:
                said = output.outputs[0].text
        return said
