"""The answers of one request on their way out: audited, held back where a phrase may be growing, cut where one appears.

Text is released as soon as the audit allows it. Token ids and log probabilities spell text, too: they follow when all
text before them is out, and are encoded anew where it was rewritten or cut.
"""

import time
from collections.abc import Callable
from typing import Any

from vllm import SamplingParams
from vllm.logprobs import Logprob
from vllm.outputs import CompletionOutput, RequestOutput
from vllm.sampling_params import RequestOutputKind

from gateway.guards.audit import Audit, Released
from gateway.guards.pattern_set import PatternSet
from gateway.serving.newer_guard import NewerGuard
from gateway.serving.refusal import certain
from gateway.serving.watch import HELD_LETTERS, NameWatch


class Answers:
    """All `n` answers of a request.

    Args:
        new_audit: makes the audit of one answer.
        params: as the caller gave them; their output kind is what `pass_on` returns. The engine must be asked for
            `engine_kind(params)`.
        end: the token by which the logits guard ends an answer that is about to say a name; None: it does not.
    """

    def __init__(
        self, new_audit: Callable[[], Audit], params: SamplingParams, tokenizer: Any, end: int | None = None
    ) -> None:
        self._guards = [NewerGuard(new_audit()) for _ in range(params.n)]
        self._answers = [_Answer(guard, params, tokenizer, end) for guard in self._guards]
        self._open: int = params.n
        self.blocked = 0
        self.seconds = 0.0  # spent in `pass_on`

    @property
    def finished(self) -> bool:
        """Whether every answer has ended, by itself or by the audit."""
        return self._open == 0

    def watch(self, newer: NameWatch, patterns: PatternSet, prompt: str) -> None:
        """From the next text on these names and patterns may not be said, besides what the audits know."""
        for guard in self._guards:
            guard.watch(newer, patterns, prompt)

    def end(self) -> None:
        """Every answer that goes on is cut at its next text."""
        for guard in self._guards:
            guard.end()

    def pass_on(self, output: RequestOutput) -> RequestOutput | None:
        """What may go out now, in place of the engine's `output`; None when everything is held back."""
        began = time.perf_counter()
        kept = []
        for completion in output.outputs:
            answer = self._answers[completion.index]
            if answer.closed:
                continue
            if answer.pass_on(completion):
                kept.append(completion)
            if answer.closed:
                self._open -= 1
                self.blocked += answer.blocked
        output.outputs = kept
        output.finished = self._open == 0
        self.seconds += time.perf_counter() - began
        return output if kept or output.finished else None


def engine_kind(params: SamplingParams) -> RequestOutputKind:
    """Which outputs the engine must produce: only increments can be audited while they come."""
    return RequestOutputKind.DELTA if params.output_kind is RequestOutputKind.CUMULATIVE else params.output_kind


class _Answer:
    __slots__ = (
        "_audit",
        "_cumulative",
        "_grammar",
        "_guards_end",
        "_ids",
        "_logprobs",
        "_released",
        "_source",
        "_tokenizer",
        "_told",
        "blocked",
        "closed",
    )

    def __init__(self, audit: Audit, params: SamplingParams, tokenizer: Any, end: int | None) -> None:
        self._audit = audit
        self._guards_end = end
        self._tokenizer = tokenizer
        self._cumulative = CompletionOutput(0, "", [], None, None) if _is_cumulative(params) else None
        self._grammar = params.structured_outputs is not None
        self._source = ""
        self._released = ""
        self._told = False  # whether any token was handed out
        self._ids: list[int] = []
        self._logprobs: list[dict[int, Logprob] | None] = []
        self.blocked = False
        self.closed = False

    def pass_on(self, completion: CompletionOutput) -> bool:
        """Change `completion` into what may go out; False when there is nothing."""
        if completion.finish_reason == "error" and self._grammar:
            # The grammar left only forbidden tokens, so the logits guard ended the answer, which the grammar rejects.
            completion.finish_reason = "stop"
            completion.text = self._without_end(completion)
            self.blocked = True
        elif self._guards_end is not None and completion.stop_reason == self._guards_end:
            self._as_ended(completion)
            self.blocked = True
        self.closed = completion.finish_reason is not None
        source = completion.text
        # A blocked answer ends in the middle of a name, and one cut off may: what is held back of it stays back.
        begun = self.blocked or completion.finish_reason == "length"
        verdict = self._audit.feed(source, self.closed and not begun)
        if completion.finish_reason == "length" and not verdict.blocked:
            verdict = self._unless_a_name(verdict, source)
        if verdict.text == source and not verdict.blocked and not self._source:
            return self._deliver(completion)
        self._source += source
        self._released += verdict.text
        self._ids += completion.token_ids
        self._logprobs += completion.logprobs or []
        completion.text = verdict.text
        if verdict.blocked:
            self.blocked = self.closed = True
            completion.finish_reason, completion.stop_reason = "stop", None
        if self.closed or self._released == self._source:
            self._settle(completion)
        else:
            completion.token_ids = []
            completion.logprobs = [] if completion.logprobs is not None else None
        if not (completion.text or completion.token_ids or self.closed):
            return False
        return self._deliver(completion)

    def _unless_a_name(self, verdict: Released, source: str) -> Released:
        """The rest of an answer that was cut off, but for what may be half of a name."""
        held = len(self._source + source) - len(self._released + verdict.text)
        if held > HELD_LETTERS:
            return verdict
        rest = self._audit.feed("", True)
        return Released(verdict.text + rest.text, rest.blocked)

    def _as_ended(self, completion: CompletionOutput) -> None:
        """In place of the guard's own token stands the one by which answers end."""
        completion.text = self._without_end(completion)
        completion.stop_reason = None
        end = [self._tokenizer.eos_token_id]
        completion.token_ids = [*completion.token_ids[:-1], *end]
        if completion.logprobs:
            completion.logprobs = [*completion.logprobs[:-1], *certain(end, self._tokenizer)]

    def _without_end(self, completion: CompletionOutput) -> str:
        """The text without that of the token that ended it, which is there where special tokens are asked for."""
        text, last = str(completion.text), completion.token_ids[-1:]
        if not last or last[0] not in (getattr(self._tokenizer, "eos_token_id", None), self._guards_end):
            return text
        return text.removesuffix(self._tokenizer.decode(last))

    def _settle(self, completion: CompletionOutput) -> None:
        """Hand out the tokens held back. Once something is rewritten, that is at the end of the answer."""
        ids, logprobs = self._ids, self._logprobs
        if self._released != self._source:
            given: list[int] = self._tokenizer.encode(self._released, add_special_tokens=False) or self._end()
            same = next((i for i, pair in enumerate(zip(given, ids, strict=False)) if pair[0] != pair[1]), len(given))
            same = min(same, len(ids))
            ids, logprobs = given, [*logprobs[:same], *certain(given[same:], self._tokenizer)]
        completion.token_ids = ids
        completion.logprobs = logprobs if completion.logprobs is not None else None
        self._source, self._released, self._ids, self._logprobs = "", "", [], []

    def _end(self) -> list[int]:
        """The end token, of an answer of which nothing is told: a stream without any token tells of no end."""
        end = getattr(self._tokenizer, "eos_token_id", None)
        return [end] if self.closed and not self._told and isinstance(end, int) else []

    def _deliver(self, completion: CompletionOutput) -> bool:
        self._told = self._told or bool(completion.token_ids)
        whole = self._cumulative
        if whole is not None:
            whole.text += completion.text
            whole.token_ids = [*whole.token_ids, *completion.token_ids]
            completion.text, completion.token_ids = whole.text, whole.token_ids
            if completion.logprobs is not None:
                whole.logprobs = [*(whole.logprobs or []), *completion.logprobs]
                completion.logprobs = whole.logprobs
        return True


def _is_cumulative(params: SamplingParams) -> bool:
    return params.output_kind is RequestOutputKind.CUMULATIVE
