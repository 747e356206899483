"""One guarded answer: examine the rendered prompt, choose what the engine gets, and audit what it says."""

# mypy: allow-subclassing-any, no-warn-return-any
# (vLLM is left out of type checking, so its classes are Any)

import asyncio
import logging
import time
import traceback
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, contextmanager
from http import HTTPStatus
from typing import Any, TypeVar

from vllm import SamplingParams
from vllm.exceptions import GracefulHTTPError
from vllm.outputs import RequestOutput
from vllm.v1.engine.async_llm import AsyncLLM

from gateway.guards.audit import OutputAudit
from gateway.guards.policy import Policy
from gateway.guards.tokens import TokenTable
from gateway.serving.answers import Answers, Audit
from gateway.serving.embeddings import Embeddings
from gateway.serving.enforcement import Enforcement
from gateway.serving.fields import GuardsMode
from gateway.serving.live import LivePolicy
from gateway.serving.observer import GuardObserver
from gateway.serving.plan import Phrases, Plan, Planner, Request
from gateway.serving.refusal import given_output, shaped
from gateway.serving.rewriter import Rewriter
from gateway.serving.watch import WatchedAudit

logger = logging.getLogger(__name__)
Result = TypeVar("Result")

LONG_PROMPT_TOKENS = 4096  # read in a thread: it takes milliseconds, in which nobody else's tokens would be sent


class NoPolicy(GracefulHTTPError):
    """No policy has been applied yet: nothing is answered (503)."""

    def __init__(self) -> None:
        super().__init__("the list of what is to be forgotten is not loaded yet; retry", HTTPStatus.SERVICE_UNAVAILABLE)


class GuardFailed(GracefulHTTPError):
    """The guard itself failed on a request, which is therefore not answered (503)."""

    def __init__(self) -> None:
        super().__init__(
            "the guard could not examine this request; it was not answered", HTTPStatus.SERVICE_UNAVAILABLE
        )


class Generation:
    """Runs requests on the engine under the policy enforced when they begin.

    Args:
        engine: vLLM's engine.
        enforcement: has the policy.
        table: bytes of the engine's vocabulary.
        embeddings: corrupts the names of targets in prompts; without it a twin's name is put in their place.
    """

    def __init__(
        self,
        engine: AsyncLLM,
        enforcement: Enforcement,
        table: TokenTable,
        observer: GuardObserver,
        embeddings: Embeddings | None = None,
    ) -> None:
        self._engine = engine
        self._enforcement = enforcement
        self._tokenizer: Any = engine.get_tokenizer()
        self._planner = Planner(table, self._tokenizer, engine.model_config.max_model_len, embeddings)
        self._observer = observer
        self._rewriter = Rewriter(engine, self._planner, self._tokenizer, observer, self._guarded)

    async def run(self, request: Request, mode: GuardsMode) -> AsyncGenerator[RequestOutput, None]:
        """Answer `request`.

        Raises:
            NoPolicy: there is no policy.
            GuardFailed: our own code failed; nothing unexamined has been handed out.
        """
        await self._enforcement.opened()
        live = self._enforcement.live
        if live is None:
            raise NoPolicy
        with live.held():
            if mode != "on":
                plan = Plan("off", request.prompt)
            elif len(request.prompt["prompt_token_ids"]) < LONG_PROMPT_TOKENS:
                plan = self._examined(request, live.policy)
            else:
                plan = await asyncio.to_thread(self._examined, request, live.policy)
            self._observer.decision(plan.decision)
            if plan.canned is not None:
                said = self._guarded(shaped, plan.canned, request.params, tool_forced=request.tool_forced)
                whole = ([said] * request.params.n, request.prompt, request.params, request.id, self._tokenizer)
                yield self._guarded(given_output, *whole)
                return
            adapter = None if mode == "base" else live.adapter
            if plan.rewriting is not None:
                phrases = self._guarded(_forbidden, plan, live)
                rewritten = self._rewriter.run(plan, plan.rewriting, phrases, request, adapter)
                async with aclosing(rewritten) as outputs:
                    async for output in outputs:
                        yield output
                return
            params = self._planner.parameters(request.params, plan)
            generated = self._engine.generate(plan.prompt, params, request.id, lora_request=adapter, **request.options)
            # One loop, not a generator of its own for the audit: each layer costs a switch for every token.
            async with aclosing(generated) as outputs:
                if plan.decision == "off":
                    async for output in outputs:
                        yield output
                    return
                with self._audited(plan, live, request.params) as answers:
                    async for output in outputs:
                        released = self._guarded(answers.pass_on, output)
                        if released is None:
                            continue
                        if plan.prompt is not request.prompt:
                            released.prompt = request.prompt.get("prompt")
                            released.prompt_token_ids = request.prompt["prompt_token_ids"]
                        yield released
                        if answers.finished:
                            return

    def _examined(self, request: Request, policy: Policy) -> Plan:
        began = time.perf_counter()
        plan = self._guarded(self._planner.plan, request, policy)
        self._observer.observe("examine", time.perf_counter() - began)
        return plan

    @contextmanager
    def _audited(self, plan: Plan, live: LivePolicy, params: SamplingParams) -> Iterator[Answers]:
        """The audit of a request's answers; what it did is told at the end, however that comes."""
        answers = Answers(lambda: _audit(plan, live), params, self._tokenizer)
        try:
            yield answers
        finally:
            self._observer.observe("audit", answers.seconds)
            if answers.blocked:
                self._observer.decision("blocked")

    def _guarded(self, step: Callable[..., Result], *arguments: Any, **named: Any) -> Result:
        """Run a step of the guard; its failure ends the request.

        The error's text is not logged and not chained: it may quote the prompt.
        """
        try:
            return step(*arguments, **named)
        except Exception as error:
            self._observer.decision("failed")
            where = traceback.extract_tb(error.__traceback__)[-1]
            logger.error("the guard failed: %s at %s:%s", type(error).__name__, where.filename, where.lineno)
        raise GuardFailed


def _audit(plan: Plan, live: LivePolicy) -> Audit:
    """The audit of one answer: cheap where nobody was named or described."""
    if plan.decision == "pass":
        return WatchedAudit(live.watch_over(plan.tables))
    return OutputAudit(_forbidden(plan, live), plan.rewrites)


def _forbidden(plan: Plan, live: LivePolicy) -> list[Phrases]:
    return [*(live.policy.phrase_set(table) for table in plan.tables), *plan.forbidden]
