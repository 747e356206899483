"""The one door to the engine: an `EngineClient` that reads every prompt and every answer before it lets them through.

vLLM's serving layer sees an ordinary engine. Everything it may call is forwarded or refused here by name; a method that
a new vLLM adds is missing from this class and caught by a test, not silently inherited.
"""

# mypy: allow-subclassing-any, no-warn-return-any
# (vLLM is left out of type checking, so its classes are Any)

from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from vllm.config.kv_events import KVEventsConfig
from vllm.engine.protocol import EngineClient
from vllm.lora.request import LoRARequest
from vllm.outputs import RequestOutput
from vllm.tasks import SupportedTask
from vllm.v1.engine.async_llm import AsyncLLM

from gateway.guards.policy import Policy
from gateway.guards.sample import PromptSample, SampledPrompt
from gateway.guards.tokens import TokenTable
from gateway.serving.canary import check_guard
from gateway.serving.embeddings import Embeddings
from gateway.serving.enforcement import Enforcement
from gateway.serving.fields import guards_mode
from gateway.serving.generation import Generation, NoPolicy
from gateway.serving.observer import GuardObserver
from gateway.serving.plan import Request
from gateway.serving.vetting import text_prompt, vet_parameters
from gateway.serving.vocabulary import prompt_bytes
from gateway.serving.weights import Weights


def _refused(what: str) -> Callable[..., Coroutine[Any, Any, NoReturn]]:
    async def refuse(self: "GuardedEngine", *_: Any, **__: Any) -> NoReturn:
        raise NotImplementedError(f"{what} is not available behind the guard")

    return refuse


class GuardedEngine(EngineClient):
    """Composition around vLLM's engine; see the module's docstring.

    Args:
        inner: vLLM's engine. Nobody else may call its `generate`.
        modules: those that adapters may change (`ServeOptions.lora_modules`).
        sample: is offered every prompt that the guard reads.
        embeddings: corrupts the names of targets in prompts; without it a twin's name is put in their place.
        hops: whether the model is asked whom a prompt means by a relation.
    """

    def __init__(
        self,
        inner: AsyncLLM,
        modules: Sequence[str],
        observer: GuardObserver,
        sample: PromptSample | None = None,
        embeddings: Embeddings | None = None,
        hops: bool = True,
    ) -> None:
        self.vllm_config = inner.vllm_config
        self.model_config = inner.model_config
        self.renderer = inner.renderer
        self.input_processor = inner.input_processor
        self._inner = inner
        self._observer = observer
        weights = Weights(inner, Path(self.model_config.model))
        self._enforcement = Enforcement(inner, modules, weights, observer)
        self._sample = PromptSample(0) if sample is None else sample
        self._table = TokenTable(prompt_bytes(inner.get_tokenizer(), self.model_config.get_vocab_size()))
        self._generation = Generation(inner, self._enforcement, self._table, observer, embeddings, hops)

    # The policy

    @property
    def policy(self) -> Policy | None:
        """The policy enforced now; None: every request is refused."""
        return live.policy if (live := self._enforcement.live) is not None else None

    @property
    def ready(self) -> bool:
        """Whether chat requests are answered: a policy is enforced and the engine lives."""
        return self._enforcement.live is not None and not self._inner.errored

    async def check_guard(self) -> None:
        """Run the start-up canary.

        Raises:
            GuardInactive: the engine answers as if nobody watched it.
        """
        await check_guard(self._inner)

    async def apply(self, policy: Policy) -> None:
        """Enforce `policy` from the next request on.

        Requests in flight end on the tables and the adapter they began with, and do not say its names any more.

        Raises:
            SwapFailed: the engine refused a part of it; the previous policy is still enforced.
        """
        await self._enforcement.apply(policy)

    async def replace_weights(self, folder: Path, drain_s: float = 60.0) -> None:
        """Serve the base weights of another folder of the same model from the next request on.

        For the operator of this process: no route leads here. Requests in flight end on the weights they began with;
        new ones wait for them, `drain_s` at most.

        Raises:
            SwapFailed: it was not done; weights and policy are as they were.
            WeightsLost: nothing is answered any more; restart.
        """
        try:
            await self._enforcement.replace_weights(folder, drain_s)
        finally:
            self._generation.forget_hops()

    # Generation

    def generate(
        self,
        prompt: Any,
        sampling_params: Any,
        request_id: str,
        *,
        prompt_text: str | None = None,
        lora_request: LoRARequest | None = None,
        tokenization_kwargs: dict[str, Any] | None = None,
        trace_headers: Mapping[str, str] | None = None,
        priority: int = 0,
        data_parallel_rank: int | None = None,
        session_id: str | None = None,
        kv_hints: Any = None,
        reasoning_ended: bool | None = None,
        reasoning_parser_kwargs: dict[str, Any] | None = None,
    ) -> AsyncGenerator[RequestOutput, None]:
        """Answer a rendered prompt under the policy enforced when the answer begins.

        Checked before the generator is returned, so that a refusal still has an HTTP status of its own:

        Raises:
            NoPolicy: no policy is applied (503).
            VLLMValidationError: the guard cannot read the prompt or contain the parameters (400).
        """
        self.check_admission()
        if lora_request is not None or kv_hints is not None:
            raise NotImplementedError("a client's adapter or cache hint is not available behind the guard")
        options = {
            "trace_headers": trace_headers,
            "priority": priority,
            "data_parallel_rank": data_parallel_rank,
            "session_id": session_id,
            "reasoning_ended": reasoning_ended,
            "reasoning_parser_kwargs": reasoning_parser_kwargs,
        }
        request = Request(text_prompt(prompt), vet_parameters(sampling_params), request_id, options)
        mode = guards_mode.get()
        if mode == "on":  # the others measure, and are no traffic
            self._sample.offer(request.prompt["prompt_token_ids"])
        return self._generation.run(request, mode)

    async def answers(self, questions: Sequence[str]) -> list[str]:
        """What the base model says to questions of the gateway's own. No route leads here.

        Raises:
            NoPolicy: no policy is applied.
            ExceptionGroup: the engine failed.
        """
        return await self._generation.answers(questions)

    def tell_subjects(self, tell: Callable[[frozenset[str]], None]) -> None:
        """From now on `tell` gets the ids of the targets that each prompt is about; it must not fail."""
        self._generation.on_subjects = tell

    def sampled_prompts(self) -> list[SampledPrompt]:
        """A sample of the prompts that came lately."""
        return self._sample.prompts(self._table)

    def check_admission(self, n: int = 1, request_id: str | None = None) -> None:
        """Called by vLLM before a response begins.

        Raises:
            NoPolicy: no policy is applied (503).
            GracefulHTTPError: the engine's queue is full (503).
        """
        if self._enforcement.live is None:
            self._observer.decision("unavailable")
            raise NoPolicy
        self._inner.check_admission(n, request_id)

    # Forwarded: state, health, statistics

    @property
    def is_running(self) -> bool:
        """Forwarded."""
        return self._inner.is_running

    @property
    def is_stopped(self) -> bool:
        """Forwarded."""
        return self._inner.is_stopped

    @property
    def errored(self) -> bool:
        """Forwarded."""
        return self._inner.errored

    @property
    def dead_error(self) -> BaseException:
        """Forwarded."""
        return self._inner.dead_error

    def get_kv_event_sources(self) -> dict[int, KVEventsConfig]:
        """Forwarded."""
        return self._inner.get_kv_event_sources()

    async def get_supported_tasks(self) -> tuple[SupportedTask, ...]:
        """Forwarded."""
        return await self._inner.get_supported_tasks()

    async def abort(self, request_id: str | Iterable[str]) -> None:
        """Forwarded."""
        await self._inner.abort(request_id)

    async def is_tracing_enabled(self) -> bool:
        """Forwarded."""
        return await self._inner.is_tracing_enabled()

    async def do_log_stats(self) -> None:
        """Forwarded."""
        await self._inner.do_log_stats()

    async def check_health(self) -> None:
        """Forwarded."""
        await self._inner.check_health()

    async def is_sleeping(self) -> bool:
        """Forwarded."""
        return await self._inner.is_sleeping()

    async def is_paused(self) -> bool:
        """Forwarded."""
        return await self._inner.is_paused()

    async def get_weight_version(self) -> str:
        """Forwarded."""
        return await self._inner.get_weight_version()

    def shutdown(self, timeout: float | None = None) -> None:
        """Forwarded."""
        self._inner.shutdown(timeout)

    # Refused: whatever reaches weights, caches or the engine's memory behind the guard

    encode = _refused("pooling")
    add_lora = _refused("loading adapters")
    collective_rpc = _refused("remote calls")
    notify_kv_transfer_request_rejected = _refused("cache transfer")
    start_profile = stop_profile = _refused("profiling")
    reset_mm_cache = reset_encoder_cache = reset_prefix_cache = _refused("resetting caches")
    sleep = wake_up = release_kv_cache_memory = _refused("sleeping")
    pause_generation = resume_generation = _refused("pausing")
    scale_elastic_ep = _refused("scaling")
    handle_fault = get_status = _refused("fault injection")
    compute_weight_checksums = update_weights = update_weight_version = _refused("weight access")
    init_weight_transfer_engine = shutdown_weight_transfer_engine = _refused("weight access")
    start_weight_update = start_draft_weight_update = finish_weight_update = _refused("weight access")
