"""Answers to prompts whose targets ask for `rewrite`: a draft that nobody sees, one more call, a check, and the end."""

# mypy: allow-subclassing-any, no-warn-return-any
# (vLLM is left out of type checking, so its classes are Any)

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from vllm.inputs.engine import TokensInput, tokens_input
from vllm.lora.request import LoRARequest
from vllm.outputs import RequestOutput
from vllm.sampling_params import RequestOutputKind
from vllm.v1.engine.async_llm import AsyncLLM

from gateway.guards.audit import OutputAudit
from gateway.guards.rewriting import Rewriting
from gateway.serving.newer_guard import NewerGuard, TakesUp
from gateway.serving.observer import GuardObserver
from gateway.serving.plan import Phrases, Plan, Planner, Request
from gateway.serving.refusal import Said, given_output, in_chunks, shaped


class Rewriter:
    """Runs plans with a `rewriting`: two calls of the engine, under the same tables.

    Args:
        guarded: runs a step of the guard, whose failure ends the request (`Generation`).
    """

    def __init__(
        self,
        engine: AsyncLLM,
        planner: Planner,
        tokenizer: Any,
        observer: GuardObserver,
        guarded: Callable[..., Any],
    ) -> None:
        self._engine = engine
        self._planner = planner
        self._tokenizer = tokenizer
        self._observer = observer
        self._guarded = guarded

    async def run(
        self,
        plan: Plan,
        rewriting: Rewriting,
        phrases: Sequence[Phrases],
        request: Request,
        lora: LoRARequest | None,
        take_up: Callable[[Sequence[TakesUp]], Awaitable[None]],
    ) -> AsyncGenerator[RequestOutput, None]:
        """Draft once, rewrite into as many answers as are asked for, and give those that pass, else the refusal.

        `phrases` may not be said, nor what `take_up` tells of a guard that has come meanwhile. The draft is cut by the
        same audit as a client's answer, so what the second call can repeat is no more than a client could have been
        told; usage is that of the client's prompt and the given text.
        """
        draft = await self._said(plan, request, f"{request.id}-draft", lora, answers=1)
        prompt = self._guarded(self._prompt, draft, rewriting, plan, phrases)
        said: list[Said | None] = [None] * request.params.n
        if prompt is not None:
            output = await self._said(replace(plan, prompt=prompt), request, request.id, lora, request.params.n)
            forbidden = [*phrases, rewriting.forbidden]
            audits = [NewerGuard(plan.audited(OutputAudit(forbidden))) for _ in output.outputs]
            await take_up(audits)
            said = self._guarded(_checked, output, audits)
        if None in said:
            self._observer.decision("blocked")
        refused = self._guarded(shaped, rewriting.refusal, request.params, tool_forced=request.tool_forced)
        answers = [answer or refused for answer in said]
        whole = self._guarded(given_output, answers, request.prompt, request.params, request.id, self._tokenizer)
        for part in in_chunks(whole, request.params):
            yield part

    async def _said(
        self, plan: Plan, request: Request, name: str, lora: LoRARequest | None, answers: int
    ) -> RequestOutput:
        """All that the engine says to a plan's prompt."""
        params = self._planner.parameters(request.params, plan)
        params.n, params.logprobs, params.output_kind = answers, None, RequestOutputKind.FINAL_ONLY
        generated = self._engine.generate(plan.prompt, params, name, lora_request=lora, **request.options)
        async with aclosing(generated) as outputs:
            async for output in outputs:
                if output.finished:
                    return output
        raise RuntimeError("the engine ended without an answer")

    def _prompt(
        self, draft: RequestOutput, rewriting: Rewriting, plan: Plan, phrases: Sequence[Phrases]
    ) -> TokensInput | None:
        """What the engine is asked to rewrite; None where it does not fit."""
        told = plan.audited(OutputAudit(phrases)).feed(draft.outputs[0].text, final=True).text
        ids = self._planner.chat.question(rewriting.prompt(told))
        return tokens_input(ids) if self._planner.fits(ids) else None


def _checked(output: RequestOutput, audits: Sequence[NewerGuard]) -> list[Said | None]:
    """The rewritten answers, None for each that says nothing, or something forbidden."""
    return [
        Said(part.text, part.finish_reason)
        if part.text.strip()
        and part.finish_reason in ("stop", "length")
        and not audit.feed(part.text, final=True).blocked
        else None
        for audit, part in zip(audits, sorted(output.outputs, key=lambda part: part.index), strict=True)
    ]
