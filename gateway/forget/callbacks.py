"""Tells clients of changes: a signed POST, tried again until it arrives or is given up."""

import asyncio
import json
import logging
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import httpx

from gateway.forget.callback_target import CallbackRules, TargetRefused, host_of, pinned
from gateway.forget.errors import ForgetError, SealError
from gateway.forget.opendsr import callback_body, signed_headers, told_before
from gateway.forget.outbox import Callback, Outbox, Unreadable
from gateway.forget.sealer import Sealer
from gateway.forget.signing import Signer
from gateway.verify_certificate import canonical, encoded

logger = logging.getLogger(__name__)

AT_ONCE = 16
TIMEOUT_S = 10.0
LEASE_S = 60.0
POLL_S = 1.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 5.0, 3600.0
MOST_ATTEMPTS = 20  # about half a day
SIGNATURE = "Unlearn-Signature"
UNREADABLE = "unreadable"


@dataclass
class Callbacks:
    """Sends what lies in the outbox. Any number of gateways may: each callback is taken by one of them at a time."""

    outbox: Outbox
    sealer: Sealer
    signer: Signer
    rules: CallbackRules
    opendsr_domain: str = "localhost"
    first_pause_s: float = FIRST_PAUSE_S
    most_attempts: int = MOST_ATTEMPTS
    clock: Callable[[], float] = time.time
    on_result: Callable[[str], None] = lambda result: None
    _rng: random.Random = field(default_factory=random.Random, repr=False)

    async def run(self) -> None:
        """Send until cancelled."""
        async with client() as http:
            while True:
                try:
                    sent = await self.send_due(http)
                except ForgetError:
                    sent = 0
                if not sent:
                    await asyncio.sleep(POLL_S)

    async def send_due(self, http: httpx.AsyncClient) -> int:
        """Sends what is due now; returns how many that was."""
        due = await self.outbox.take(AT_ONCE, LEASE_S)
        by_target: dict[tuple[str, int], list[Callback]] = {}
        for callback in sorted((one for one in due if isinstance(one, Callback)), key=lambda one: one.step):
            by_target.setdefault((callback.request, callback.url_index), []).append(callback)
        for unreadable in (one for one in due if isinstance(one, Unreadable)):
            await self._settle(unreadable, UNREADABLE)
        await asyncio.gather(*(self._send_in_order(callbacks, http) for callbacks in by_target.values()))
        return len(due)

    async def _send_in_order(self, callbacks: Sequence[Callback], http: httpx.AsyncClient) -> None:
        """What one address is told of one request; what there is no time for is due again when the lease ends."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + LEASE_S - 2 * TIMEOUT_S
        for callback in callbacks:
            if loop.time() < deadline:
                await self._send(callback, http)

    async def _send(self, callback: Callback, http: httpx.AsyncClient) -> None:
        if told_before(callback):
            await self.outbox.arrived(callback.name)
            return
        await self._settle(callback, await self._attempt(callback, http))

    async def _settle(self, callback: Callback | Unreadable, reason: str | None) -> None:
        self.on_result(reason or "arrived")
        if reason is None:
            await self.outbox.arrived(callback.name)
            return
        pause_s = min(self.first_pause_s * 2**callback.attempts, LONGEST_PAUSE_S) * self._rng.uniform(0.5, 1.0)
        logger.info("callback %s did not arrive: %s", callback.name, reason)
        await self.outbox.failed(callback.name, reason, pause_s, self.most_attempts)

    async def _attempt(self, callback: Callback, http: httpx.AsyncClient) -> str | None:
        """One try; why it failed, None if it arrived."""
        try:
            address = json.loads(self.sealer.unseal(callback.sealed_urls, callback.request))[callback.url_index]
            url = httpx.URL(address)
            body, headers = self._message(callback, address)
        except SealError:
            return "sealed"
        except (LookupError, TypeError, ValueError, httpx.InvalidURL):
            return UNREADABLE
        try:
            async with asyncio.timeout(TIMEOUT_S):
                where = await pinned(self.rules, url)
                # Connects to the address that was checked; the certificate must be that of the name.
                request = http.build_request(
                    "POST",
                    url.copy_with(host=where),
                    content=body,
                    headers={**headers, "Host": url.netloc.decode(), "Content-Type": "application/json"},
                    extensions={"sni_hostname": host_of(url)},
                )
                response = await http.send(request, stream=True)  # whatever it says besides is not read
                await response.aclose()
        except TargetRefused as refused:
            return refused.code
        except TimeoutError:
            return "timeout"
        except httpx.TimeoutException:
            return "timeout"
        except (httpx.HTTPError, ValueError, OSError):
            return "connection"
        return None if response.is_success else f"status_{response.status_code}"

    def _message(self, callback: Callback, address: str) -> tuple[bytes, dict[str, str]]:
        if callback.opendsr is not None:
            body = callback_body(callback, address)
            return body, signed_headers(self.signer, self.opendsr_domain, body)
        body = canonical(
            {
                "callback": callback.name,
                "request": callback.request,
                "state": callback.state,
                "state_reason": callback.reason,
                "at": callback.at.isoformat(),
                "sequence": callback.step,
                "url": address,
            }
        )
        return body, {SIGNATURE: signature(self.signer, body, self.clock())}


def signature(signer: Signer, body: bytes, now: float) -> str:
    """`t=<unix seconds>,kid=<key>,es256=<signature over "t." and the body>`: an old one is a replay."""
    stamp = int(now)
    signed = encoded(signer.signature(f"{stamp}.".encode() + body))
    return f"t={stamp},kid={signer.key_id},es256={signed}"


def client() -> httpx.AsyncClient:
    """No redirects, no proxies from the environment, no patience, and no line in the log with a client's address."""
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return httpx.AsyncClient(follow_redirects=False, trust_env=False, timeout=TIMEOUT_S)
