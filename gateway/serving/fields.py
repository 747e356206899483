"""Checks what a client may ask of the engine, before vLLM sees it: an allow-list of request fields for each route.

vLLM's request models accept unknown fields and many that reach around a guard (beam search, prompt log
probabilities, transfer parameters, embeddings). Pure ASGI: the request body is read once, the response streams.
"""

import json
from collections.abc import Iterable
from contextvars import ContextVar
from http import HTTPStatus
from typing import Any, Literal

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

GuardsMode = Literal["on", "off", "base"]
guards_mode: ContextVar[GuardsMode] = ContextVar("guards_mode", default="on")
tool_forced: ContextVar[bool] = ContextVar("tool_forced", default=False)  # the answer must be a call of a tool
GUARDS_HEADER = "x-unlearn-guards"


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SAMPLING = _names("""
    temperature top_p top_k min_p seed stop n frequency_penalty presence_penalty repetition_penalty length_penalty
    stop_token_ids ignore_eos min_tokens logit_bias allowed_token_ids bad_words include_stop_str_in_output
    skip_special_tokens spaces_between_special_tokens truncate_prompt_tokens truncation_side structured_outputs
    thinking_token_budget repetition_detection stream_interval""")
_COMMON = _names("model user stream stream_options request_id session_id cache_salt metadata store service_tier")
_TEMPLATE = _names("chat_template_kwargs add_generation_prompt continue_final_message add_special_tokens")

ALLOWED_FIELDS: dict[str, frozenset[str]] = {
    "/v1/chat/completions": _COMMON
    | _SAMPLING
    | _TEMPLATE
    | _names("""messages max_tokens max_completion_tokens logprobs top_logprobs response_format tools tool_choice
        parallel_tool_calls reasoning_effort include_reasoning documents echo modalities prediction verbosity
        safety_identifier prompt_cache_key web_search_options"""),
    "/v1/completions": _COMMON
    | _SAMPLING
    | _names("prompt max_tokens logprobs echo suffix response_format add_special_tokens"),
    "/v1/responses": _COMMON
    | (_SAMPLING - {"n"})
    | _names("""input instructions max_output_tokens max_tool_calls parallel_tool_calls previous_response_id prompt
        reasoning include_reasoning text tool_choice tools top_logprobs truncation include background
        safety_identifier prompt_cache_key prompt_cache_retention chat_template_kwargs conversation"""),
    "/v1/messages": _names("""
        model messages max_tokens metadata output_config thinking stop_sequences stream system temperature
        tool_choice tools top_k top_p cache_salt chat_template_kwargs service_tier"""),
    "/v1/messages/count_tokens": _names(
        "model messages output_config system thinking tool_choice tools chat_template_kwargs"
    ),
    "/tokenize": _TEMPLATE | _names("model prompt messages return_token_strs tools"),
    "/detokenize": frozenset({"model", "tokens"}),
}

_FORCED_TEXT = "it would read probabilities of chosen text out of the model"
DENIED_FIELDS: dict[str, str] = {
    "use_beam_search": "beam search reads unguarded probabilities; use n with temperature instead",
    "best_of": "it is not supported; use n",
    "prompt_logprobs": f"{_FORCED_TEXT}; ask for logprobs of the answer instead",
    "prompt_logprob_token_ids": f"{_FORCED_TEXT}; ask for logprobs of the answer instead",
    "prompt_logprob_start": f"{_FORCED_TEXT}; ask for logprobs of the answer instead",
    "logprob_token_ids": f"{_FORCED_TEXT}; use top_logprobs",
    "return_token_ids": "token ids are not returned; use /tokenize",
    "return_tokens_as_token_ids": "token ids are not returned; use /tokenize",
    "return_prompt_text": "the rendered prompt is not returned",
    "trace_decode_token_ids": "answers cannot be replayed through the guard",
    "kv_transfer_params": "cache transfer is set up by the operator",
    "ec_transfer_params": "cache transfer is set up by the operator",
    "vllm_xargs": "extra engine arguments are reserved for the gateway",
    "extra_args": "extra engine arguments are reserved for the gateway",
    "prompt_embeds": "the guard must read every prompt as text; send text",
    "mm_processor_kwargs": "the guard must read every prompt as text",
    "media_io_kwargs": "the guard must read every prompt as text",
    "chat_template": "the operator chooses the chat template; use chat_template_kwargs",
    "priority": "the operator decides about priorities",
}
# Clients that send their defaults may switch these off; `prompt_logprobs: false` would be read as 0, which is a value.
_SWITCHES = frozenset({"use_beam_search", "return_token_ids", "return_tokens_as_token_ids", "return_prompt_text"})


class RequestGate:
    """ASGI middleware: body size, JSON, field allow-list and the header that chooses the guard mode."""

    def __init__(self, app: ASGIApp, *, max_body_bytes: int, allow_guards_off: bool) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes
        self._allow_guards_off = allow_guards_off

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it with an error in the route's own style."""
        path = scope["path"].removeprefix(scope.get("root_path", "")) if scope["type"] == "http" else ""
        if path not in ALLOWED_FIELDS or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        mode = Headers(scope=scope).get(GUARDS_HEADER, "on")
        if mode != "on" and not (self._allow_guards_off and mode in ("off", "base")):
            error = _error(path, f"{GUARDS_HEADER}: {mode!r} is not allowed here", GUARDS_HEADER, HTTPStatus.FORBIDDEN)
            await error(scope, receive, send)
            return
        body = await _read(receive, self._max_body_bytes)
        if body is None:
            status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            message = f"the request is larger than {self._max_body_bytes} bytes"
            await _error(path, message, None, status)(scope, receive, send)
            return
        try:
            request = json.loads(body)  # the same parser as FastAPI's: what is checked is what is read
        except (ValueError, RecursionError):
            await _error(path, "the body is not valid JSON", None)(scope, receive, send)
            return
        if (problem := _problem(path, body, request)) is not None:
            await _error(path, *problem)(scope, receive, send)
            return
        # The priority header would do what the denied field does.
        scope["headers"] = [item for item in scope["headers"] if item[0] != b"x-vllm-priority"]
        tokens = guards_mode.set(mode), tool_forced.set(_forces_a_tool(request))  # type: ignore[arg-type]
        try:
            await self._app(scope, _replay(body, receive), send)
        finally:
            guards_mode.reset(tokens[0])
            tool_forced.reset(tokens[1])


async def _read(receive: Receive, limit: int) -> bytes | None:
    """The whole body, or None when it is larger than `limit`."""
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return b"".join(chunks)
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            return None
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


def _replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that hands out the body once, then the client's further messages (its disconnect)."""
    pending = True

    async def replayed() -> Message:
        nonlocal pending
        if pending:
            pending = False
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return replayed


def _forces_a_tool(request: dict[str, Any]) -> bool:
    """Whether `tool_choice` leaves no other answer: "required", or an object unless its type (Anthropic's) says so."""
    choice = request.get("tool_choice")
    return choice == "required" or (isinstance(choice, dict) and choice.get("type") not in ("auto", "none"))


def _problem(path: str, body: bytes, request: Any) -> tuple[str, str | None] | None:
    """What is wrong with the request: a message and the field it is about."""
    if not isinstance(request, dict):
        return "the body must be a JSON object", None
    try:
        json.dumps(request, ensure_ascii=False).encode() if b"\\u" in body else None
    except UnicodeEncodeError:
        return "the body contains half of a surrogate pair (\\ud800-\\udfff), which is no character", None
    for field in request.keys() - ALLOWED_FIELDS[path]:
        if request[field] is None or (request[field] is False and field in _SWITCHES):
            continue
        reason = DENIED_FIELDS.get(field, f"it is no field of {path} here; remove it")
        return f"'{field}' is not allowed: {reason}", field
    return _value_problem(path, request)


def _value_problem(path: str, request: dict[str, Any]) -> tuple[str, str | None] | None:
    if path == "/v1/completions" and request.get("echo") and request.get("logprobs") is not None:
        return f"'echo' with 'logprobs' is not allowed: {_FORCED_TEXT}", "echo"
    if path == "/v1/responses" and request.get("background"):
        return "'background' is not allowed: stored answers are not offered; use stream", "background"
    if any(_is_embedding(part) for part in _content_parts(request.get("messages"))):
        return "'prompt_embeds' is not allowed: the guard must read every prompt as text; send text", "messages"
    return None


def _content_parts(messages: Any) -> Iterable[Any]:
    for message in messages if isinstance(messages, list) else ():
        content = message.get("content") if isinstance(message, dict) else None
        yield from content if isinstance(content, list) else ()


def _is_embedding(part: Any) -> bool:
    return isinstance(part, dict) and (part.get("type") == "prompt_embeds" or "prompt_embeds" in part)


def _error(path: str, message: str, field: str | None, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> JSONResponse:
    """An error in OpenAI's shape, or in Anthropic's for its routes."""
    if path.startswith("/v1/messages"):
        return JSONResponse(
            {"type": "error", "error": {"type": "invalid_request_error", "message": message}}, status.value
        )
    error = {"message": message, "type": "invalid_request_error", "param": field, "code": status.value}
    return JSONResponse({"error": error}, status.value)
