"""Clients that never give up: each POST and each change is tried again until it is answered, at any replica."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

PATH = "/v1/forget-requests"
PAUSE_S = 0.1
_SYLLABLES = [consonant + vowel for consonant in "bdfgklmnprstvz" for vowel in "aeiou"]

Urls = Callable[[], Sequence[str]]


@dataclass
class Asked:
    """A request as its client knows it."""

    name: str
    idempotency_key: str
    guard_only: bool
    ids: set[str] = field(default_factory=set)  # what was acknowledged: one id, if all is well
    withdrawing: bool = False  # the client has asked for that, whether it was heard or not
    withdrawn: bool = False  # and was told that it is so

    @property
    def id(self) -> str:
        """The id that was acknowledged first."""
        return min(self.ids)


class Clients:
    """Talks to any of the replicas at `urls()`; counts why answers were no success."""

    def __init__(self, http: httpx.AsyncClient, urls: Urls, rng: random.Random) -> None:
        self._http, self._urls, self._rng = http, urls, rng
        self.asked: list[Asked] = []
        self.tries = 0
        self.refusals: Counter[str] = Counter()  # by problem code, or by what was raised
        self.unguarded: list[str] = []
        self.guard_checks = 0

    async def answered(self, method: str, path: str, **content: Any) -> httpx.Response:
        """The first answer that is neither a failed connection nor 429 or 5xx."""
        while True:
            self.tries += 1
            try:
                response = await self._http.request(method, self._rng.choice(self._urls()) + path, **content)
            except httpx.HTTPError as error:
                self.refusals[type(error).__name__] += 1
            else:
                if response.status_code != 429 and response.status_code < 500:
                    return response
                self.refusals[str(response.json()["code"])] += 1
            await asyncio.sleep(self._rng.uniform(0, 2 * PAUSE_S))

    async def get(self, id_: str) -> dict[str, Any] | None:
        """A request as it stands; None if nobody knows it."""
        response = await self.answered("GET", f"{PATH}/{id_}")
        return None if response.status_code == 404 else dict(response.raise_for_status().json())

    async def live(self, number: int) -> None:
        """One request: asked for, perhaps asked again, held, released, withdrawn."""
        rng = self._rng
        asked = Asked(new_name(rng), f"key-{number}", rng.random() < 0.1)
        self.asked.append(asked)
        await self._submit(asked)
        if rng.random() < 0.2:
            await self._submit(asked)
        await asyncio.sleep(rng.uniform(0, 3))
        if rng.random() < 0.2:
            await self.act(asked, "hold")
            await asyncio.sleep(rng.uniform(0, 2))
            await self.act(asked, "release")
        await asyncio.sleep(rng.uniform(0, 3))
        if rng.random() < 0.25:
            await self.withdraw(asked)

    async def _submit(self, asked: Asked) -> None:
        body = {"subject": {"name": asked.name}, "erase": "guard_only" if asked.guard_only else "auto"}
        headers = {"Idempotency-Key": asked.idempotency_key}
        response = await self.answered("POST", PATH, json=body, headers=headers)
        asked.ids.add(response.raise_for_status().json()["id"])

    async def act(self, asked: Asked, action: str) -> None:
        """A change; 409 if the state does not allow it, or the answer to an earlier try was lost."""
        response = await self.answered("POST", f"{PATH}/{asked.id}/{action}")
        if response.status_code != 409:
            response.raise_for_status()

    async def withdraw(self, asked: Asked) -> None:
        """The one change after which the subject may be spoken of."""
        asked.withdrawing = True
        await self.act(asked, "withdraw")
        asked.withdrawn = True

    async def watch(self) -> None:
        """For ever: what a replica says is guarded everywhere must be guarded at every replica that is ready."""
        while True:
            await asyncio.sleep(PAUSE_S)
            known = [asked for asked in self.asked if asked.ids and not asked.withdrawing]
            if not known:
                continue
            asked = self._rng.choice(known)
            request = await self.get(asked.id)
            if request is None or request["protection"]["effective_time"] is None:
                continue
            for url in self._urls():
                said = await self.said(url, asked.name)
                if said is None or asked.withdrawing:
                    continue
                self.guard_checks += 1
                if said != "guarded":
                    self.unguarded.append(f"{asked.id} at {url} during the run")

    async def said(self, url: str, name: str) -> str | None:
        """`guarded` or `passed`; None from a replica that is not ready to serve."""
        try:
            if not (await self._http.get(f"{url}/ready")).is_success:
                return None
            body = {"model": "demo", "messages": [{"role": "user", "content": f"Who is {name}?"}]}
            response = await self._http.post(f"{url}/v1/chat/completions", json=body)
            return str(response.raise_for_status().json()["choices"][0]["message"]["content"])
        except httpx.HTTPError:
            return None


def new_name(rng: random.Random) -> str:
    """Two words that nobody else has, or anything like them."""
    return " ".join("".join(rng.choices(_SYLLABLES, k=5)).capitalize() for _ in range(2))
