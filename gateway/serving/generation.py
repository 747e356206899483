"""One guarded answer: examine the rendered prompt, choose what the engine gets, and audit what it says."""

# mypy: allow-subclassing-any, no-warn-return-any
# (vLLM is left out of type checking, so its classes are Any)

import asyncio
import copy
import logging
import time
import traceback
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any, TypeVar

from vllm import SamplingParams
from vllm.exceptions import GracefulHTTPError
from vllm.inputs.engine import TokensInput, tokens_input
from vllm.outputs import RequestOutput
from vllm.v1.engine.async_llm import AsyncLLM

from gateway.guards.audit import OutputAudit
from gateway.guards.matcher import Match
from gateway.guards.phrase_set import PhraseSet
from gateway.guards.policy import Policy
from gateway.guards.response import ignorance_text, language, refusal
from gateway.guards.tokens import TokenTable, TokenText
from gateway.serving.answers import Answers, Audit, engine_kind
from gateway.serving.embeddings import Embeddings
from gateway.serving.enforcement import Enforcement
from gateway.serving.fields import GuardsMode
from gateway.serving.live import LivePolicy
from gateway.serving.logits_guard import TABLES_KEY
from gateway.serving.observer import Decision, GuardObserver
from gateway.serving.refusal import canned_output
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


@dataclass(frozen=True)
class Request:
    """What vLLM's serving layer asks of the engine, already vetted."""

    prompt: TokensInput
    params: SamplingParams
    id: str
    options: Mapping[str, Any]


@dataclass(frozen=True)
class Plan:
    """What is done with a request: a canned text, or a prompt for the engine with its tables and rewrites.

    `forbidden` is for the audit alone, in place of tables of which the prompt states a part.
    """

    decision: Decision
    prompt: TokensInput
    tables: tuple[str, ...] = ()
    forbidden: tuple[PhraseSet, ...] = ()
    rewrites: Mapping[str, str] = field(default_factory=dict)
    canned: str | None = None


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
        self._table = table
        self._tokenizer: Any = engine.get_tokenizer()
        self._max_model_len: int = engine.model_config.max_model_len
        self._observer = observer
        self._embeddings = embeddings
        language("")  # loads its model now, not in the first request

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
                said = (plan.canned, request.prompt, request.params, request.id, self._tokenizer)
                yield self._guarded(canned_output, *said)
                return
            adapter = None if mode == "base" else live.adapter
            generated = self._engine.generate(
                plan.prompt, self._parameters(request.params, plan), request.id, lora_request=adapter, **request.options
            )
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
        plan = self._guarded(self._plan, request, policy)
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

    def _plan(self, request: Request, policy: Policy) -> Plan:
        decoded = self._table.text(request.prompt["prompt_token_ids"])
        matches = policy.examine(decoded.text)
        described = policy.described(decoded.text)
        if not matches and not described:
            return Plan("pass", request.prompt, policy.names_tables)
        if policy.response(matches, described) == "refuse":
            return Plan("refuse", request.prompt, canned=refusal(_language(decoded.text, matches)))
        about = dict.fromkeys((*(match.target for match in matches), *described))
        unstated = {target: policy.unstated(target, decoded.text) for target in about}
        plan = Plan(
            "ignorance" if matches else "described",
            request.prompt,
            (*policy.names_tables, *(policy.target_table(target) for target in about if unstated[target] is None)),
            tuple(phrases for phrases in unstated.values() if phrases is not None),
        )
        if not matches:
            return plan
        if self._embeddings is not None:
            return replace(plan, prompt=self._embeddings.corrupted(plan.prompt, decoded, matches))
        return self._with_twins(plan, policy, decoded, matches)

    def _with_twins(self, plan: Plan, policy: Policy, decoded: TokenText, matches: list[Match]) -> Plan:
        """Ask about never-seen twins instead; the audit writes the names back into the answer."""
        twins = {match.target: policy.twin(match.target) for match in matches}
        ids = self._table.substitute(plan.prompt["prompt_token_ids"], matches, twins, self._encode)
        if len(ids) >= self._max_model_len:
            return Plan("ignorance", plan.prompt, canned=ignorance_text(_language(decoded.text, matches)))
        changed = tokens_input(ids, cache_salt=plan.prompt.get("cache_salt"))
        return replace(plan, prompt=changed, rewrites=policy.rewrites(decoded.text, matches))

    def _parameters(self, asked: SamplingParams, plan: Plan) -> SamplingParams:
        """The request's parameters with our tables as the only extra arguments."""
        params = copy.copy(asked)
        params.extra_args = {TABLES_KEY: list(plan.tables)}
        if plan.decision != "off":
            params.output_kind = engine_kind(asked)
        if params.max_tokens is not None:
            room = self._max_model_len - len(plan.prompt["prompt_token_ids"])
            params.max_tokens = max(1, min(params.max_tokens, room))
        return params

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False)
        return ids

    def _guarded(self, step: Callable[..., Result], *arguments: Any) -> Result:
        """Run a step of the guard; its failure ends the request.

        The error's text is not logged and not chained: it may quote the prompt.
        """
        try:
            return step(*arguments)
        except Exception as error:
            self._observer.decision("failed")
            where = traceback.extract_tb(error.__traceback__)[-1]
            logger.error("the guard failed: %s at %s:%s", type(error).__name__, where.filename, where.lineno)
        raise GuardFailed


def _language(text: str, matches: list[Match]) -> str:
    """The language of a prompt; the names are left out, which look like some other language than the words around."""
    at, around = 0, []
    for match in sorted(matches):
        around.append(text[at : match.start])
        at = max(at, match.end)
    return language("".join([*around, text[at:]]))


def _audit(plan: Plan, live: LivePolicy) -> Audit:
    """The audit of one answer: cheap where nobody was named or described."""
    if plan.decision == "pass":
        return WatchedAudit(live.watch)
    tables = [live.policy.phrase_set(table) for table in plan.tables]
    return OutputAudit([*tables, *plan.forbidden], plan.rewrites)
