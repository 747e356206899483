"""Traces, switched on by OpenTelemetry's own variables; without them nothing is imported and nothing recorded.

A span holds ids, counts and states, never a text of anybody: no header, no path, no error's words. All spans about a
forget request form one trace, in whichever process they arise: its trace id is the request's id.
"""

import logging
import os
import uuid
from collections.abc import Iterable
from contextvars import ContextVar
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span, SpanContext, Tracer

logger = logging.getLogger(__name__)

Value = str | int | float | bool
Name = Literal[
    "http.request",
    "forget.submit",
    "forget.wait",
    "policy.enforce",
    "policy.compile",
    "policy.apply",
    "erase.job",
    "erase.elicit",
    "erase.edit",
    "erase.train",
    "erase.verify",
    "erase.publish",
    "chat.examine",
    "chat.generate",
]

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
MOST_LINKS = 32
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")

_tracer: "Tracer | None" = None
_first_ids: ContextVar[tuple[int, int] | None] = ContextVar("first_ids", default=None)


def start_tracing(service: str) -> None:
    """Exports what follows, if the environment names a collector; `service` is its name unless that is set, too."""
    environ = os.environ
    off = environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or environ.get("OTEL_TRACES_EXPORTER") == "none"
    if off or _tracer is not None or not any(environ.get(name) for name in ENDPOINTS):
        return
    try:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        if next((environ[name] for name in PROTOCOLS if environ.get(name)), "http/protobuf") == "grpc":
            from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
        else:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # type: ignore[assignment]
    except ImportError:
        logger.warning("no traces: install the extra `otel`")
        return
    named = {} if environ.get("OTEL_SERVICE_NAME") else {"service.name": service}
    provider = TracerProvider(resource=Resource.create(named), id_generator=ids())
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace_with(provider)


def trace_with(provider: "TracerProvider | None") -> None:
    """Records spans with `provider`, which must have been made with `ids()`; None: no more."""
    global _tracer
    _tracer = provider.get_tracer("unlearning-gateway") if provider is not None else None


def tracing() -> bool:
    """Whether spans are recorded."""
    return _tracer is not None


def ids() -> Any:
    """The generator of trace and span ids: random but for the first span about a forget request."""
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

    class Ids(RandomIdGenerator):
        def generate_trace_id(self) -> int:
            first = _first_ids.get()
            return first[0] if first else super().generate_trace_id()

        def generate_span_id(self) -> int:
            first = _first_ids.get()
            return first[1] if first else super().generate_span_id()

    return Ids()


def span(
    name: Name, *, about: str | None = None, first: bool = False, linked: Iterable[str] = (), **values: Value
) -> "_Off | _On":
    """A span around what is done within, with the spans within as its children.

    Args:
        about: id of the forget request in whose trace it belongs.
        first: the span with which that trace begins.
        linked: ids of forget requests that it concerns besides; of very many only some are named.
    """
    return _OFF if _tracer is None else _On(_tracer, name, values, about, first, linked)


def span_apart(name: Name, **values: Value) -> "_Off | _On":
    """The same without children, for a generator, whose steps may run in several contexts."""
    return _OFF if _tracer is None else _On(_tracer, name, values, current=False)


class _Off:
    def __call__(self, **values: Value) -> None:
        """Nobody asked for it."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class _On:
    """Uses the tracer without its own context manager, which records the words of exceptions."""

    def __init__(
        self,
        tracer: "Tracer",
        name: Name,
        values: dict[str, Value],
        about: str | None = None,
        first: bool = False,
        linked: Iterable[str] = (),
        current: bool = True,
    ) -> None:
        self._tracer, self._name, self._values, self._about, self._first = tracer, name, values, about, first
        self._linked, self._current = [*islice(linked, MOST_LINKS)], current

    def __call__(self, **values: Value) -> None:
        """Adds attributes."""
        self._span.set_attributes(_named(values))

    def __enter__(self) -> Self:
        from opentelemetry import context, trace

        links = [trace.Link(_origin(request_id)) for request_id in self._linked]
        parent, first_ids = context.get_current(), None
        if self._about is not None:
            self._values["request"] = self._about
            if (around := trace.get_current_span().get_span_context()).is_valid:
                links.append(trace.Link(around))
            origin, parent = _origin(self._about), context.Context()
            if self._first:
                first_ids = origin.trace_id, origin.span_id
            else:
                parent = trace.set_span_in_context(trace.NonRecordingSpan(origin), parent)
        token = _first_ids.set(first_ids)
        self._span: Span = self._tracer.start_span(self._name, parent, attributes=_named(self._values), links=links)
        _first_ids.reset(token)
        self._token = context.attach(trace.set_span_in_context(self._span)) if self._current else None
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        from opentelemetry import context
        from opentelemetry.trace import Status, StatusCode

        if self._token is not None:
            context.detach(self._token)
        if kind is not None and issubclass(kind, Exception):
            self._span.set_status(Status(StatusCode.ERROR, kind.__name__))
        self._span.end()


_OFF = _Off()


def _named(values: dict[str, Value]) -> dict[str, Value]:
    return {f"unlearn.{name}": value for name, value in values.items()}


def _origin(request_id: str) -> "SpanContext":
    """Trace and first span of a forget request: the whole of its UUID, and its last 64 bits."""
    from opentelemetry.trace import SpanContext, TraceFlags

    number = uuid.UUID(request_id).int
    return SpanContext(number, number & 0xFFFF_FFFF_FFFF_FFFF, is_remote=True, trace_flags=TraceFlags(1))
