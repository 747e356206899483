"""Traces: a forget request is one trace in whatever processes; no span says anything of its subject."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from benchmarks.plane import running_planes
from gateway import tracing
from gateway.forget.embedded import EmbeddedRedis
from gateway.forget.errors import StoreUnavailable
from gateway.forget.model import State
from gateway.forget.routes import router
from gateway.traced import Traced
from tests.collector import running_collector
from tests.forget.desk import Desk, until
from tests.forget.test_forget_replica import Engine, is_in, running

MARKER = "Zyxqvalt"
PATH = "/v1/forget-requests"
CALLER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(id_generator=tracing.ids())
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.trace_with(provider)
    yield exporter
    tracing.trace_with(None)
    provider.shutdown()


def of_request(spans: InMemorySpanExporter, id_: str) -> list[str]:
    wanted = int(id_.replace("-", ""), 16)
    return [span.name for span in spans.get_finished_spans() if span.context and span.context.trace_id == wanted]


def everything(spans: InMemorySpanExporter) -> str:
    return "\n".join(span.to_json() for span in spans.get_finished_spans())


async def test_a_request_is_one_trace_and_its_subject_is_in_no_span(desk: Desk, spans: InMemorySpanExporter) -> None:
    app = FastAPI()

    async def enqueue(kind: str, request_id: str) -> None:
        raise StoreUnavailable(MARKER)

    app.include_router(router(desk.store, enqueue=enqueue))
    app.add_middleware(Traced)
    engine = Engine()
    body = {"subject": {"name": f"{MARKER} Marlin", "description": MARKER}, "exclusions": [f"{MARKER} Street"]}
    headers = {"traceparent": CALLER, "tracestate": f"vendor={MARKER}", "baggage": f"name={MARKER}"}
    async with (
        running(desk.store, engine) as replica,
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway", headers=headers) as http,
    ):
        await until(lambda: replica.ready)
        engine.failures = 1  # with the subject's name in the error
        request = (await http.post(PATH, json=body)).json()
        id_ = request["id"]
        await until(is_in(desk, id_, State.GUARDED))
        for path in (f"/{MARKER}", f"{PATH}?cursor={MARKER}", f"{PATH}/{MARKER}"):
            await http.get(path)
        await http.post(PATH, json={**body, MARKER: 1}, headers={"Idempotency-Key": MARKER})
        await http.post(f"{PATH}/{id_}/withdraw")
        await until(is_in(desk, id_, State.WITHDRAWN))
    told = everything(spans)
    assert MARKER.casefold() not in told.casefold() and "Marlin" not in told
    assert of_request(spans, id_) == ["forget.submit", "forget.wait"]
    named = {span.name: span for span in spans.get_finished_spans()}
    http_span, enforced = named["http.request"], named["policy.enforce"]
    assert f"{http_span.context.trace_id:032x}" == CALLER.split("-")[1], "the caller's trace goes on"
    assert {span.attributes["unlearn.route"] for span in spans.get_finished_spans() if span.name == "http.request"} >= {
        PATH,
        "none",
    }
    assert [f"{link.context.trace_id:032x}" for link in enforced.links] == [id_.replace("-", "")]
    failed = [span for span in spans.get_finished_spans() if not span.status.is_ok and span.name == "policy.apply"]
    assert [span.status.description for span in failed] == ["RuntimeError"]
    submit = named["forget.submit"]
    assert submit.parent is None and [link.context.trace_id for link in submit.links] == [http_span.context.trace_id]
    assert named["forget.wait"].parent.span_id == submit.context.span_id


def test_the_standard_variables_switch_it_on(tmp_path: Path) -> None:
    with (
        running_collector() as collector,
        EmbeddedRedis(tmp_path) as server,
        running_planes(
            server.url, 1, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_SERVICE_NAME="the gateway"
        ) as planes,
    ):
        with planes.client(planes.replicas[0]) as http:
            id_ = http.post(PATH, json={"subject": {"name": f"{MARKER} Marlin"}}).raise_for_status().json()["id"]
        planes.replicas[0].stop()
        assert collector.names(id_) == {"forget.submit", "forget.wait"}
        assert collector.names() >= {"http.request", "policy.enforce"} and collector.services == {"the gateway"}
        assert MARKER.encode() not in b"".join(request.SerializeToString() for request in collector.requests)


def test_without_them_nothing_of_it_is_imported() -> None:
    """Redis' client brings the library along where it is installed; nothing of ours does."""
    code = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "from gateway import tracing, traced\n"
        "tracing.start_tracing('x')\n"
        "with tracing.span('http.request') as record: record(status=200)\n"
        "assert tracing.span('forget.wait', about='no id') is record and not tracing.tracing()\n"
    )
    environment = {"PYTHONPATH": str(Path(__file__).parents[2])}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment, timeout=60)


def test_a_library_that_is_missing_is_told(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace.export", None)
    tracing.start_tracing("x")
    assert "extra `otel`" in caplog.text and not tracing.tracing()
