"""A span around every HTTP request, in the trace of the caller if it has one. Pure ASGI: nothing is held back."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.tracing import span


class Traced:
    """ASGI middleware. Of the request only method, route and status are told; of its headers only `traceparent`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        from opentelemetry import context
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        given = Headers(scope=scope).get("traceparent")
        caller = TraceContextTextMapPropagator().extract({"traceparent": given} if given else {})
        token = context.attach(caller)
        try:
            with span("http.request", method=scope["method"]) as record:

                async def told(message: Message) -> None:
                    if message["type"] == "http.response.start":
                        record(route=getattr(scope.get("route"), "path", "none"), status=message["status"])
                    await send(message)

                await self._app(scope, receive, told)
        finally:
            context.detach(token)
