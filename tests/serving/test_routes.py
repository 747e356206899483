"""What the served application offers, over HTTP."""

from typing import Any

import httpx
import openai
import pytest

from gateway.serving.routes import ALLOWED
from tests.conftest import Gateway

MESSAGES = [{"role": "user", "content": "Hello"}]
OFFERED = [
    ("POST", "/v1/chat/completions", {"messages": MESSAGES, "max_tokens": 2}),
    ("POST", "/v1/completions", {"prompt": "Hello", "max_tokens": 2}),
    ("POST", "/v1/responses", {"input": "Hello", "max_output_tokens": 2}),
    ("POST", "/v1/messages", {"messages": MESSAGES, "max_tokens": 2}),
    ("POST", "/v1/messages/count_tokens", {"messages": MESSAGES}),
    ("POST", "/tokenize", {"prompt": "Hello"}),
    ("POST", "/tokenize", {"messages": MESSAGES}),
    ("POST", "/detokenize", {"tokens": [9, 10]}),
    ("GET", "/v1/models", None),
    ("GET", "/health", None),
    ("GET", "/ping", None),
    ("GET", "/version", None),
    ("GET", "/load", None),
    ("GET", "/metrics", None),
    ("GET", "/docs", None),
]
PRUNED = [
    ("POST", "/invocations"),
    ("POST", "/scale_elastic_ep"),
    ("POST", "/is_scaling_elastic_ep"),
    ("POST", "/generative_scoring"),
    ("POST", "/v1/systemone"),
    ("POST", "/v1/decisions"),
    ("POST", "/v1/chat/completions/batch"),
    ("POST", "/v1/chat/completions/render"),
    ("POST", "/inference/v1/generate"),
    ("POST", "/v1/embeddings"),
    ("POST", "/pooling"),
    ("POST", "/score"),
    ("POST", "/v1/load_lora_adapter"),
    ("POST", "/v1/unload_lora_adapter"),
    ("POST", "/collective_rpc"),
    ("POST", "/sleep"),
    ("POST", "/reset_prefix_cache"),
    ("POST", "/start_profile"),
    ("POST", "/v1/audio/transcriptions"),
    ("GET", "/v1/responses/resp_1"),
    ("GET", "/tokenizer_info"),
    ("GET", "/server_info"),
    ("GET", "/kv_event_sources"),
]


@pytest.fixture(autouse=True)
def nobody(gateway: Gateway) -> None:
    gateway.apply()


@pytest.mark.parametrize(("method", "path", "body"), OFFERED, ids=lambda value: value if isinstance(value, str) else "")
def test_allowed_routes_answer(gateway: Gateway, method: str, path: str, body: dict[str, Any] | None) -> None:
    json = {"model": "demo", **body} if body is not None else None
    answer = httpx.request(method, gateway.url + path, json=json, timeout=60)
    assert answer.status_code == 200, answer.text


def test_the_interface_description_lists_allowed_routes_and_ours_only(gateway: Gateway) -> None:
    paths = httpx.get(f"{gateway.url}/openapi.json", timeout=60).json()["paths"]
    assert {path for path in paths if not path.startswith("/test/")} <= {*ALLOWED, "/v1/models/{model}"}
    assert "/v1/chat/completions" in paths


@pytest.mark.parametrize(("method", "path"), PRUNED)
def test_every_other_route_is_gone(gateway: Gateway, method: str, path: str) -> None:
    answer = httpx.request(method, gateway.url + path, json={"model": "demo"}, timeout=60)
    assert answer.status_code == 404, answer.text


def test_one_model_is_offered_and_no_other_can_be_asked(gateway: Gateway, model_path: Any) -> None:
    (served,) = gateway.client.models.list().data
    assert served.id == "demo"
    assert gateway.client.models.retrieve("demo").to_dict().keys() == served.to_dict().keys()
    for name in ("unlearn-0", str(model_path), "other"):
        answer = gateway.post("/v1/chat/completions", model=name, messages=MESSAGES)
        assert answer.status_code == 404
        with pytest.raises(openai.NotFoundError, match="does not exist"):
            gateway.client.models.retrieve(name)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", {"messages": MESSAGES, "n": 100_000}),
        ("/v1/chat/completions", {"messages": MESSAGES, "max_tokens": -1}),
        ("/v1/chat/completions", {"messages": MESSAGES, "temperature": "hot"}),
        ("/v1/chat/completions", {"messages": "Hello"}),
        ("/v1/chat/completions", {"messages": []}),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "x" * 20_000}]}),
        ("/v1/chat/completions", {"messages": MESSAGES, "logit_bias": {"no number": 1}}),
        ("/v1/chat/completions", {"messages": MESSAGES, "logit_bias": {"999999": 1}}),
        ("/v1/chat/completions", {"messages": MESSAGES, "allowed_token_ids": [999999]}),
        ("/v1/chat/completions", {"messages": MESSAGES, "allowed_token_ids": []}),
        ("/v1/chat/completions", {"messages": MESSAGES, "stop_token_ids": [-5]}),
        ("/v1/chat/completions", {"messages": MESSAGES, "bad_words": [""]}),
        ("/v1/chat/completions", {"messages": MESSAGES, "top_logprobs": 99, "logprobs": True}),
        ("/v1/chat/completions", {"messages": MESSAGES, "structured_outputs": {"regex": "(["}}),
        ("/v1/chat/completions", {"messages": MESSAGES, "response_format": {"type": "json_schema"}}),
        ("/v1/chat/completions", {"messages": MESSAGES, "tool_choice": "required"}),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]}),
        ("/v1/completions", {"prompt": [-1, 5]}),
        ("/v1/completions", {"prompt": [10**6]}),
        ("/v1/completions", {"prompt": ""}),
        ("/v1/completions", {"prompt": []}),
        ("/v1/completions", {"prompt": [[]]}),
        ("/v1/completions", {"prompt": {"a": 1}}),
        ("/v1/responses", {"input": [{"type": "nonsense"}]}),
        ("/v1/responses", {"input": "x", "previous_response_id": "resp_1"}),
        ("/v1/messages", {"messages": MESSAGES, "max_tokens": 0}),
        ("/v1/messages", {"messages": [{"role": "nobody", "content": "x"}], "max_tokens": 3}),
        ("/tokenize", {"prompt": 7}),
        ("/detokenize", {"tokens": [10**9]}),
        ("/detokenize", {"tokens": ["a"]}),
    ],
)
def test_a_clients_mistake_is_no_server_error(gateway: Gateway, path: str, body: dict[str, Any]) -> None:
    answer = gateway.post(path, **{"model": "demo", **body})
    assert answer.status_code < 500, answer.text
    assert gateway.state()["ready"]
