"""The request gate, around an application that answers with what reached it."""

import json
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from gateway.serving.fields import ALLOWED_FIELDS, DENIED_FIELDS, RequestGate, guards_mode

CHAT = "/v1/chat/completions"
MESSAGES = [{"role": "user", "content": "Hello"}]


async def _show(request: Request) -> JSONResponse:
    body = await request.body()
    return JSONResponse(
        {"body": body.decode(), "mode": guards_mode.get(), "priority": request.headers.get("x-vllm-priority")}
    )


def gate(*, allow_guards_off: bool = False, max_body_bytes: int = 1000) -> httpx.AsyncClient:
    routes = [Route(path, _show, methods=["GET", "POST"]) for path in [*ALLOWED_FIELDS, "/ours"]]
    app = RequestGate(Starlette(routes=routes), max_body_bytes=max_body_bytes, allow_guards_off=allow_guards_off)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway")


async def test_an_ordinary_request_arrives_unchanged() -> None:
    body = {"model": "m", "messages": MESSAGES, "temperature": 0.5, "top_k": 3, "seed": 1, "logprobs": True}
    answer = await gate().post(CHAT, json=body)
    assert answer.status_code == 200
    assert json.loads(answer.json()["body"]) == body
    assert answer.json()["mode"] == "on"


@pytest.mark.parametrize("field", sorted(DENIED_FIELDS))
async def test_denied_fields_are_named_with_a_way_out(field: str) -> None:
    answer = await gate().post(CHAT, json={"model": "m", "messages": MESSAGES, field: 1})
    error = answer.json()["error"]
    assert answer.status_code == 400
    assert error["param"] == field
    assert field in error["message"]
    assert error["type"] == "invalid_request_error"


@pytest.mark.parametrize("path", sorted(ALLOWED_FIELDS))
async def test_unknown_fields_are_refused_on_every_route(path: str) -> None:
    answer = await gate().post(path, json={"model": "m", "made_up": "x"})
    assert answer.status_code == 400
    assert "made_up" in answer.json()["error"]["message"]


async def test_anthropic_routes_get_errors_in_their_own_shape() -> None:
    answer = await gate().post("/v1/messages", json={"vllm_xargs": {"unlearn_tables": []}})
    assert answer.json()["type"] == "error"
    assert "vllm_xargs" in answer.json()["error"]["message"]


async def test_fields_set_to_null_and_switches_set_to_false_are_harmless() -> None:
    body: dict[str, Any] = {"model": "m", "messages": MESSAGES, "prompt_logprobs": None, "use_beam_search": False}
    assert (await gate().post(CHAT, json=body)).status_code == 200
    # vLLM reads false as 0 here, which asks for the prompt's probabilities.
    assert (await gate().post(CHAT, json={**body, "prompt_logprobs": False})).status_code == 400


async def test_echo_with_logprobs_is_refused_and_either_alone_is_not() -> None:
    async def status(**fields: Any) -> int:
        return (await gate().post("/v1/completions", json={"model": "m", "prompt": "x", **fields})).status_code

    assert await status(echo=True, logprobs=0) == 400
    assert await status(echo=True) == 200
    assert await status(logprobs=2) == 200


async def test_embeddings_inside_a_message_are_refused() -> None:
    parts = [{"type": "prompt_embeds", "prompt_embeds": "AAAA"}]
    answer = await gate().post(CHAT, json={"model": "m", "messages": [{"role": "user", "content": parts}]})
    assert answer.status_code == 400


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[1]", b'"text"', b"\xff\xfe", b'{"messages": "\\ud800"}', b"[" * 900, b"nan", b'{"a":' * 200],
)
async def test_broken_bodies_are_the_clients_mistake(content: bytes) -> None:
    answer = await gate().post(CHAT, content=content, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == 400


async def test_a_large_body_is_refused_before_it_is_read_to_the_end() -> None:
    answer = await gate(max_body_bytes=100).post(CHAT, json={"model": "m", "messages": MESSAGES, "user": "x" * 100})
    assert answer.status_code == 413


async def test_guards_can_be_switched_off_only_where_the_operator_allows_it() -> None:
    body = {"model": "m", "messages": MESSAGES}
    for mode in ("off", "base"):
        headers = {"X-Unlearn-Guards": mode}
        assert (await gate().post(CHAT, json=body, headers=headers)).status_code == 403
        assert (await gate(allow_guards_off=True).post(CHAT, json=body, headers=headers)).json()["mode"] == mode
    odd = await gate(allow_guards_off=True).post(CHAT, json=body, headers={"X-Unlearn-Guards": "maybe"})
    assert odd.status_code == 403


async def test_the_priority_header_is_dropped() -> None:
    answer = await gate().post(CHAT, json={"model": "m"}, headers={"X-Vllm-Priority": "-9"})
    assert answer.json()["priority"] is None


async def test_our_own_routes_pass_untouched() -> None:
    assert (await gate().post("/ours", json={"anything": 1})).status_code == 200
