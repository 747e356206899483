"""Erasure adapters in the running engine: added by digest, proven by a canary, removed when nobody uses them.

Rules learnt from the engine (each broken one ends or falsifies it): one name, id and path for one content, never
`load_inplace`, never `pin_lora`, and no removal while a request still runs on the adapter.
"""

import itertools
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path

from safetensors import safe_open
from vllm import SamplingParams
from vllm.inputs.engine import tokens_input
from vllm.lora.request import LoRARequest
from vllm.v1.engine.async_llm import AsyncLLM

from gateway.guards.policy import AdapterRef
from gateway.serving.errors import SwapFailed
from gateway.serving.logits_guard import TABLES_KEY
from gateway.serving.modules import all_wrapped, wrapped


class Adapters:
    """The adapters this process has given to the engine.

    Args:
        modules: those that the engine was started for (`ServeOptions.lora_modules`).
    """

    def __init__(self, engine: AsyncLLM, modules: Sequence[str]) -> None:
        self._engine = engine
        self._wrapped = frozenset(all_wrapped(modules))
        self._ids = itertools.count(1)
        self._requests: dict[str, LoRARequest] = {}
        self._canaries = itertools.count()

    async def add(self, adapter: AdapterRef) -> LoRARequest:
        """Load an adapter and let it answer one token.

        Raises:
            SwapFailed: it does not fit this engine, cannot be read, or the canary got no answer.
        """
        self._check_modules(adapter)
        # A digest keeps its name and id for ever: vLLM dies of one name with two ids in a batch.
        request = self._requests.get(adapter.digest)
        if request is None:
            request = LoRARequest(f"unlearn-{adapter.digest[:16]}", next(self._ids), adapter.path)
            self._requests[adapter.digest] = request
        try:
            await self._engine.add_lora(request)
            answered = await self._canary(request)
        except Exception as error:
            raise SwapFailed(f"the engine could not load adapter {request.lora_name}: {error}") from error
        if not answered or request.lora_int_id not in await self._engine.list_loras():
            raise SwapFailed(f"adapter {request.lora_name} did not answer the canary")
        return request

    async def remove(self, request: LoRARequest) -> None:
        """Unload an adapter that no request uses; later uses of the same digest load it again under the same id."""
        await self._engine.remove_lora(request.lora_int_id)

    async def _canary(self, request: LoRARequest) -> bool:
        prompt = tokens_input(self._engine.get_tokenizer().encode("1"))
        params = SamplingParams(max_tokens=1, temperature=0.0, extra_args={TABLES_KEY: []}, detokenize=False)
        name = f"adapter-canary-{next(self._canaries)}"
        async with aclosing(self._engine.generate(prompt, params, name, lora_request=request)) as outputs:
            async for output in outputs:
                if output.finished:
                    return len(output.outputs[0].token_ids) == 1
        return False

    def _check_modules(self, adapter: AdapterRef) -> None:
        """vLLM silently ignores weights of modules it has not wrapped: the erasure would not be live."""
        try:
            with safe_open(Path(adapter.path) / "adapter_model.safetensors", "numpy") as weights:
                edited = {_module(key) for key in weights.keys()}  # noqa: SIM118 - safe_open is no mapping
        except (OSError, ValueError) as error:
            raise SwapFailed(f"adapter {adapter.digest[:16]} cannot be read: {error}") from error
        missing = sorted(
            name for name in edited if name not in self._wrapped and name.split(".")[-1] not in self._wrapped
        )
        if missing or not edited:
            raise SwapFailed(
                f"adapter {adapter.digest[:16]} edits {', '.join(missing) or 'nothing'}, "
                "which this engine has not wrapped; restart it with the layer map of this base model"
            )


def _module(key: str) -> str:
    """Name of the module in vLLM, from a PEFT weight's name."""
    return wrapped(key.removeprefix("base_model.model.").split(".lora_")[0])
