"""A small client of the forget-request API, for the command line."""

import json
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

import httpx
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

# How far along a request is when it enters a state: the bar moves inside 'erasing' with the worker's own progress.
STATE_SHARE = {
    "awaiting_review": 0.0,
    "received": 0.0,
    "guarded": 0.05,
    "on_hold": 0.05,
    "erasing": 0.1,
    "verifying": 0.85,
    "withdrawing": 0.1,
}


class GatewayError(Exception):
    """The gateway could not be reached, or refused; the message says what to do."""


class GatewayClient:
    """Talks to the gateway at `url`; raises `GatewayError` for everything that goes wrong."""

    def __init__(self, url: str, api_key: str | None = None) -> None:
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=30)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._http.close()

    def submit(self, body: dict[str, Any]) -> dict[str, Any]:
        """POST a forget request."""
        return self._call("POST", "/v1/forget-requests", json=body)

    def dry_run(self, body: dict[str, Any]) -> dict[str, Any]:
        """POST a forget request that is only measured: what it would guard, in counts."""
        return self._call("POST", "/v1/forget-requests/dry-run", json=body)

    def request(self, request_id: str) -> dict[str, Any]:
        """GET one forget request."""
        return self._call("GET", f"/v1/forget-requests/{request_id}")

    def requests(self, state: str | None) -> Iterator[dict[str, Any]]:
        """All forget requests, page by page."""
        parameters = {"state": state} if state else {}
        while True:
            page = self._call("GET", "/v1/forget-requests", params=parameters)
            yield from page["requests"]
            if not page.get("next_cursor"):
                return
            parameters["cursor"] = page["next_cursor"]

    def find(self, name: str) -> list[dict[str, Any]]:
        """The forget requests about somebody, newest first, 200 at most."""
        body = {"subject": {"name": name}, "limit": 200}
        return [one["request"] for one in self._call("POST", "/v1/forget-requests/search", json=body)["found"]]

    def audit(self) -> Iterator[str]:
        """The lines of the audit log, page by page."""
        url = "/v1/audit"
        while url:
            response = self._send("GET", url)
            yield from response.text.splitlines()
            url = response.links.get("next", {}).get("url", "")

    def document(self, path: str) -> str:
        """A signed document, as it was signed."""
        return self._send("GET", path).text

    def act(self, request_id: str, action: str) -> dict[str, Any]:
        """POST `withdraw` or `retry`."""
        return self._call("POST", f"/v1/forget-requests/{request_id}/{action}")

    def follow(self, request_id: str, console: Console | None) -> dict[str, Any]:
        """Follow the events of a request until they end, because it has settled, with a progress bar on `console`."""
        columns = (TextColumn("[bold]{task.description}"), BarColumn(), TimeElapsedColumn())
        with Progress(*columns, console=console, disable=console is None) as progress:
            bar = progress.add_task("received", total=1.0)
            for event in self._events(request_id):
                state, stage = event.get("state", ""), event.get("stage")
                share = STATE_SHARE.get(state, 1.0)
                if stage and state in ("erasing", "withdrawing"):
                    share += (STATE_SHARE["verifying"] - share) * float(event.get("fraction", 0.0))
                progress.update(bar, description=f"{state}: {stage}" if stage else state, completed=share)
        return self.request(request_id)

    def _events(self, request_id: str) -> Iterator[dict[str, Any]]:
        try:
            with self._http.stream("GET", f"/v1/forget-requests/{request_id}/events", timeout=None) as response:
                self._check(response)
                for line in response.iter_lines():
                    if line.startswith("data:"):
                        yield json.loads(line[5:])
        except httpx.HTTPError as error:
            raise GatewayError(
                f"lost the gateway while following the request ({error}); ask again with 'show'"
            ) from None

    def _call(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        body: dict[str, Any] = self._send(method, path, **arguments).json()
        return body

    def _send(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        try:
            response = self._http.request(method, path, **arguments)
        except httpx.HTTPError as error:
            raise GatewayError(
                f"no answer from {self._http.base_url} ({error}); is 'unlearn-gateway serve' running, is --url right?"
            ) from None
        self._check(response)
        return response

    @staticmethod
    def _check(response: httpx.Response) -> None:
        if response.is_success:
            return
        response.read()
        try:
            problem = response.json()
        except ValueError:
            problem = {}
        fields = [f"{wrong['field']}: {wrong['message']}" for wrong in problem.get("errors", ())]
        told = "; ".join(fields) or problem.get("detail") or problem.get("title")
        raise GatewayError(told or f"HTTP {response.status_code}")
