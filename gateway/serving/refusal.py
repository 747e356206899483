"""Answers that the engine never saw: what a refused prompt gets back, in the shape of a generated one."""

import json
from typing import Any

from vllm import SamplingParams
from vllm.inputs.engine import TokensInput
from vllm.logprobs import Logprob
from vllm.outputs import CompletionOutput, RequestOutput


def canned_output(
    text: str, prompt: TokensInput, params: SamplingParams, request_id: str, tokenizer: Any
) -> RequestOutput:
    """A finished output that says `text` in each of the `params.n` choices; valid for every output kind.

    Where any JSON object is asked for, it is one that says `text`; a given schema is not met, since it may be that of a
    tool, which would then be called. Stop strings and `max_tokens` are honoured, log probabilities are given where they
    were asked for.
    """
    if params.structured_outputs is not None and params.structured_outputs.json_object:
        text = json.dumps({"message": text}, ensure_ascii=False)
    finish_reason, stop_reason = "stop", None
    for stop in params.stop or []:
        if (at := text.find(stop)) >= 0:
            text, stop_reason = text[: at + len(stop) if params.include_stop_str_in_output else at], stop
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False)
    if params.max_tokens is not None and len(ids) > params.max_tokens:
        ids, finish_reason, stop_reason = ids[: params.max_tokens], "length", None
        text = tokenizer.decode(ids)
    outputs = [
        CompletionOutput(
            index=index,
            text=text,
            token_ids=list(ids),
            cumulative_logprob=0.0,
            logprobs=certain(ids, tokenizer) if params.logprobs is not None else None,
            finish_reason=finish_reason,
            stop_reason=stop_reason,
        )
        for index in range(params.n)
    ]
    return RequestOutput(
        request_id=request_id,
        prompt=prompt.get("prompt"),
        prompt_token_ids=prompt["prompt_token_ids"],
        prompt_logprobs=None,
        outputs=outputs,
        finished=True,
        num_cached_tokens=0,
    )


def certain(ids: list[int], tokenizer: Any) -> list[dict[int, Logprob]]:
    """Log probability entries of tokens that were given, not sampled: probability one, no alternatives."""
    return [{token: Logprob(0.0, rank=1, decoded_token=tokenizer.decode([token]))} for token in ids]
