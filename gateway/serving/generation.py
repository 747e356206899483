"""One guarded answer: examine the rendered prompt, choose what the engine gets, and audit what it says."""

# mypy: allow-subclassing-any, no-warn-return-any
# (vLLM is left out of type checking, so its classes are Any)

import asyncio
import logging
import math
import time
import traceback
import uuid
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from http import HTTPStatus
from typing import Any, TypeVar

from vllm import SamplingParams
from vllm.exceptions import GracefulHTTPError
from vllm.outputs import RequestOutput
from vllm.v1.engine.async_llm import AsyncLLM

from gateway.guards.answer_names import NamesAudit
from gateway.guards.audit import Audit, OutputAudit
from gateway.guards.matcher import Match
from gateway.guards.policy import Policy
from gateway.guards.tokens import TokenTable
from gateway.serving.answers import Answers
from gateway.serving.asking import Asking
from gateway.serving.desk import Desk
from gateway.serving.embeddings import Embeddings
from gateway.serving.enforcement import Enforcement
from gateway.serving.fields import GuardsMode
from gateway.serving.hops import Hops
from gateway.serving.live import LivePolicy
from gateway.serving.newer_guard import TakesUp
from gateway.serving.observer import GuardObserver
from gateway.serving.plan import Phrases, Plan, Planner, Reading, Request
from gateway.serving.refusal import given_output, shaped
from gateway.serving.rewriter import Rewriter
from gateway.serving.vocabulary import silent_id
from gateway.serving.watch import watched
from gateway.tracing import span_apart

logger = logging.getLogger(__name__)
Result = TypeVar("Result")

NEWER_EVERY_S = 0.1  # an answer looks for a newer policy so often: hundreds a second may come
OWN_QUESTIONS_AT_ONCE = 4


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
        hops: whether the model is asked whom a prompt means by a relation.
    """

    def __init__(
        self,
        engine: AsyncLLM,
        enforcement: Enforcement,
        table: TokenTable,
        observer: GuardObserver,
        embeddings: Embeddings | None = None,
        hops: bool = True,
    ) -> None:
        self._engine = engine
        self._enforcement = enforcement
        self._tokenizer: Any = engine.get_tokenizer()
        model = engine.model_config
        end = silent_id(self._tokenizer, model.get_vocab_size())
        self._planner = Planner(table, self._tokenizer, model.max_model_len, embeddings, hops, end)
        self._desk = Desk(self._planner.read_all)
        self._asking = Asking(engine, self._planner.chat)
        self._hops = Hops(self._asking, observer)
        self._observer = observer
        self.on_subjects: Callable[[frozenset[str]], None] = lambda _: None
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
            else:
                plan = await self._planned(request, live.policy)
            self._observer.decision(plan.decision)
            if plan.canned is not None:
                said = self._guarded(shaped, plan.canned, request.params, tool_forced=request.tool_forced)
                whole = ([said] * request.params.n, request.prompt, request.params, request.id, self._tokenizer)
                yield self._guarded(given_output, *whole)
                return
            adapter = None if mode == "base" else live.adapter
            if plan.rewriting is not None:
                phrases = self._guarded(_forbidden, plan, live)

                async def take_up(audits: Sequence[TakesUp]) -> None:
                    latest = self._enforcement.live or live
                    if latest is not live:
                        await self._take_up(latest, plan, request, audits)

                rewritten = self._rewriter.run(plan, plan.rewriting, phrases, request, adapter, take_up)
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
                    latest, looked_at = live, -math.inf
                    async for output in outputs:
                        if self._enforcement.live is not latest and time.monotonic() - looked_at > NEWER_EVERY_S:
                            latest, looked_at = self._enforcement.live or latest, time.monotonic()
                            await self._take_up(latest, plan, request, [answers])
                        released = self._guarded(answers.pass_on, output)
                        if released is None:
                            continue
                        if plan.prompt is not request.prompt:
                            released.prompt = request.prompt.get("prompt")
                            released.prompt_token_ids = request.prompt["prompt_token_ids"]
                        yield released
                        if answers.finished:
                            return

    async def answers(self, questions: Sequence[str]) -> list[str]:
        """What the untouched model says to questions of the gateway's own, a few at a time: traffic goes on.

        Raises:
            NoPolicy: there is no policy.
            ExceptionGroup: the engine failed.
        """
        await self._enforcement.opened()
        live = self._enforcement.live
        if live is None:
            raise NoPolicy
        free = asyncio.Semaphore(OWN_QUESTIONS_AT_ONCE)

        async def answer(question: str) -> str:
            async with free:
                return await self._asking.answer(question, f"own-{uuid.uuid4().hex}")

        with live.held():
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(answer(question)) for question in questions]
        return [task.result() for task in tasks]

    def forget_hops(self) -> None:
        """Other weights are served from now on."""
        self._hops.forget()

    async def _planned(self, request: Request, policy: Policy) -> Plan:
        """Read the prompt, ask whom its relations mean, and choose.

        A hop waits its turn in the engine as the request itself would, without a time limit: one could only choose
        between telling and refusing, and whoever loads the engine would bring that about.
        """
        reading = await self._read(request, policy)
        implied = await self._implied(reading, request, policy) if reading.chains else []
        self.on_subjects(frozenset({*reading.subjects, *(match.target for match in implied)}))
        return self._guarded(self._planner.plan, request, policy, reading, implied)

    async def _implied(self, reading: Reading, request: Request, policy: Policy) -> list[Match]:
        began = time.perf_counter()
        try:
            implied = await self._hops.implied(reading, request, policy)
        except Exception as error:
            self._failed(error)
        else:
            self._observer.observe("hops", time.perf_counter() - began)
            return implied
        raise GuardFailed

    async def _read(self, request: Request, policy: Policy) -> Reading:
        """Examine the prompt."""
        began = time.perf_counter()
        with span_apart("chat.examine", prompt_tokens=len(request.prompt["prompt_token_ids"])) as record:
            try:
                reading = await self._desk.reading(request, policy)
            except Exception as error:
                self._failed(error)
            else:
                record(subjects=len(reading.subjects))
                self._observer.observe("examine", time.perf_counter() - began)
                return reading
        raise GuardFailed

    async def _take_up(self, newer: LivePolicy, plan: Plan, request: Request, answers: Sequence[TakesUp]) -> None:
        """The names of a newer policy may not be said; where the prompt asks about its subjects, nothing may."""
        now = await self._subjects(request, newer.policy)
        patterns = newer.policy.patterns.withheld(request.caller)
        prompt = self._planner.text(request) if patterns.reads_prompts else ""
        for one in answers:
            if now <= plan.subjects:
                one.watch(newer.watch_over(newer.policy.names_withheld(request.caller)), patterns, prompt)
            else:
                one.end()

    async def _subjects(self, request: Request, policy: Policy) -> frozenset[str]:
        """Whom a prompt asks about: named, described, or implied."""
        reading = await self._read(request, policy)
        implied = await self._implied(reading, request, policy) if reading.chains else []
        return frozenset({*reading.subjects, *(match.target for match in implied)})

    @contextmanager
    def _audited(self, plan: Plan, live: LivePolicy, params: SamplingParams) -> Iterator[Answers]:
        """The audit of a request's answers; what it did is told at the end, however that comes."""
        answers = Answers(lambda: _audit(plan, live), params, self._tokenizer, self._planner.end)
        with span_apart("chat.generate", decision=plan.decision) as record:
            try:
                yield answers
            finally:
                record(blocked=answers.blocked, answers=params.n)
                self._observer.observe("audit", answers.seconds)
                if answers.blocked:
                    self._observer.decision("blocked")

    def _guarded(self, step: Callable[..., Result], *arguments: Any, **named: Any) -> Result:
        """Run a step of the guard; its failure ends the request."""
        try:
            return step(*arguments, **named)
        except Exception as error:
            self._failed(error)
        raise GuardFailed

    def _failed(self, error: Exception) -> None:
        """Tell that the guard failed. The error's text is not logged and not chained: it may quote the prompt."""
        self._observer.decision("failed")
        while isinstance(error, ExceptionGroup):
            error = error.exceptions[0]
        where = traceback.extract_tb(error.__traceback__)[-1]
        logger.error("the guard failed: %s at %s:%s", type(error).__name__, where.filename, where.lineno)


def _audit(plan: Plan, live: LivePolicy) -> Audit:
    """The audit of one answer: cheap where nobody was named or described."""
    if plan.decision == "pass":
        return plan.audited(watched(live.watch_over(plan.tables), asked=plan.asked))
    return plan.audited(_in_all_forms(OutputAudit(_forbidden(plan, live), plan.rewrites), plan, live))


def _in_all_forms(audit: Audit, plan: Plan, live: LivePolicy) -> Audit:
    """An audit that reads the names as prompts are read for them, too; not where it writes names back itself."""
    forms = None if plan.rewrites else live.watch_over(plan.names_tables).forms
    return NamesAudit(audit, forms, plan.asked) if forms else audit


def _forbidden(plan: Plan, live: LivePolicy) -> list[Phrases]:
    return [*(live.policy.phrase_set(table) for table in plan.tables), *plan.forbidden]
