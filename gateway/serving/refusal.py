"""Answers that the engine did not give: what a refused prompt gets back, in the shape of a generated one."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from vllm import SamplingParams
from vllm.inputs.engine import TokensInput
from vllm.logprobs import Logprob
from vllm.outputs import CompletionOutput, RequestOutput
from vllm.sampling_params import RequestOutputKind

from gateway.serving.schema_instance import NoInstance, instance

CHUNK_CHARS = 16
FILTERED = "content_filter"  # OpenAI's finish reason of an answer that is not what was asked for


class Said(NamedTuple):
    """One answer."""

    text: str
    finish_reason: str = "stop"


def shaped(sentence: str, params: SamplingParams, *, tool_forced: bool) -> Said:
    """A sentence as valid as it can be for what the client asked.

    Any JSON object or an instance of a JSON schema that says it. Where a tool must be called, nothing is said, since a
    parser may take any text for the tool's arguments; that, and a sentence where something else was asked for, ends as
    `content_filter`.
    """
    asked = params.structured_outputs
    if tool_forced:
        return Said("", FILTERED)
    if asked is None or asked.structural_tag is not None:  # tags leave room for plain text around tool calls
        return Said(sentence)
    if asked.json_object:
        return Said(json.dumps({"message": sentence}, ensure_ascii=False))
    if asked.json is not None:
        try:
            schema = json.loads(asked.json) if isinstance(asked.json, str) else asked.json
            return Said(json.dumps(instance(schema, sentence), ensure_ascii=False))
        except (NoInstance, ValueError, RecursionError):
            pass
    return Said(sentence, FILTERED)


def given_output(
    answers: Sequence[Said], prompt: TokensInput, params: SamplingParams, request_id: str, tokenizer: Any
) -> RequestOutput:
    """A finished output of these answers; valid for every output kind.

    Stop strings and `max_tokens` are honoured, log probabilities are given where they were asked for: those of text
    that was given, not sampled.
    """
    return RequestOutput(
        request_id=request_id,
        prompt=prompt.get("prompt"),
        prompt_token_ids=prompt["prompt_token_ids"],
        prompt_logprobs=None,
        outputs=[_completion(index, said, params, tokenizer) for index, said in enumerate(answers)],
        finished=True,
        num_cached_tokens=0,
    )


def in_chunks(output: RequestOutput, params: SamplingParams) -> Iterator[RequestOutput]:
    """A finished output as a client gets it who streams; token ids and log probabilities come with the last chunk."""
    if params.output_kind is not RequestOutputKind.DELTA:
        yield output
        return
    longest = max(len(completion.text) for completion in output.outputs)
    for start in range(0, max(longest, 1), CHUNK_CHARS):
        yield _chunk(output, slice(start, start + CHUNK_CHARS))


def _chunk(output: RequestOutput, part: slice) -> RequestOutput:
    pieces = []
    for whole in output.outputs:
        if part.start > 0 and part.start >= len(whole.text):
            continue
        piece = CompletionOutput(whole.index, whole.text[part], [], None, None)
        if whole.logprobs is not None:
            piece.logprobs = []
        if part.stop >= len(whole.text):
            piece.token_ids, piece.logprobs = whole.token_ids, whole.logprobs
            piece.finish_reason, piece.stop_reason = whole.finish_reason, whole.stop_reason
        pieces.append(piece)
    finished = all(part.stop >= len(whole.text) for whole in output.outputs)
    return RequestOutput(
        output.request_id, output.prompt, output.prompt_token_ids, None, pieces, finished, num_cached_tokens=0
    )


def _completion(index: int, said: Said, params: SamplingParams, tokenizer: Any) -> CompletionOutput:
    text, finish_reason, stop_reason = said.text, said.finish_reason, None
    for stop in params.stop or []:
        if (at := text.find(stop)) >= 0:
            text, stop_reason = text[: at + len(stop) if params.include_stop_str_in_output else at], stop
    # vLLM sends no chunk without a token: an answer of no words ends as a generated one does
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False) or [tokenizer.eos_token_id or 0]
    if params.max_tokens is not None and len(ids) > params.max_tokens:
        ids, finish_reason, stop_reason = ids[: params.max_tokens], "length", None
        text = tokenizer.decode(ids)
    return CompletionOutput(
        index=index,
        text=text,
        token_ids=ids,
        cumulative_logprob=0.0,
        logprobs=certain(ids, tokenizer) if params.logprobs is not None else None,
        finish_reason=finish_reason,
        stop_reason=stop_reason,
    )


def certain(ids: list[int], tokenizer: Any) -> list[dict[int, Logprob]]:
    """Log probability entries of tokens that were given, not sampled: probability one, no alternatives."""
    return [{token: Logprob(0.0, rank=1, decoded_token=tokenizer.decode([token]))} for token in ids]
