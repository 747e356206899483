"""Refuses engine calls that the guard could not read or contain, whichever route they came from.

The request fields have been checked at the edge (`fields`); this is the second look, at what vLLM made of them.
"""

from collections.abc import Mapping
from typing import Any

from vllm import SamplingParams
from vllm.exceptions import VLLMValidationError
from vllm.inputs.engine import TokensInput

MAX_CHOICES = 128  # OpenAI's limit


def text_prompt(prompt: Any) -> TokensInput:
    """The prompt as rendered token ids.

    Raises:
        VLLMValidationError: it is anything else (embeddings, images, a stream of prompts): the guard reads text only.
    """
    if (
        isinstance(prompt, Mapping)
        and prompt.get("type") == "token"
        and isinstance(prompt.get("prompt_token_ids"), list)
    ):
        return prompt
    raise VLLMValidationError("only text prompts can be served: the guard must read every prompt")


def vet_parameters(params: Any) -> SamplingParams:
    """Sampling parameters without a way around the guard.

    Raises:
        VLLMValidationError: they ask for probabilities of chosen text, a replay, or too many answers.
    """
    if not isinstance(params, SamplingParams):
        raise VLLMValidationError("only sampling can be served: beam search and pooling go around the guard")
    if params.n > MAX_CHOICES:
        raise VLLMValidationError(f"n is at most {MAX_CHOICES}", parameter="n")
    for name in ("prompt_logprobs", "prompt_logprob_token_ids", "logprob_token_ids", "trace_decode_token_ids"):
        if getattr(params, name) is not None:
            raise VLLMValidationError(
                f"{name} is not allowed: it reads or writes text behind the guard", parameter=name
            )
    return params
