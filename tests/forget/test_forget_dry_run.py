"""A dry run: what a request would guard, told in counts, with nothing stored and nobody's words coming out."""

import asyncio
import base64
import logging
import random
import threading
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import redis
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st

from gateway.forget.dry_run import DryRuns, benign_texts
from gateway.forget.forecast import EXAMPLE
from gateway.forget.problems import MEDIA_TYPE
from gateway.forget.routes import router
from gateway.forget.store import Store
from gateway.guards.policy import Policy, Target, compile_policy
from gateway.guards.sample import KEPT_TOKENS, WINDOW, PromptSample, SampledPrompt
from gateway.guards.tokens import TokenTable
from tests.forget.desk import until
from unlearn_engine.evaluate.metrics import upper_bound
from unlearn_engine.languages import LANGUAGES

PATH = "/v1/forget-requests/dry-run"
NAME = "Ivo Marlin"
BODY = {"subject": {"name": NAME}}
MARKER = "Zyxqvalt"
BYTES = TokenTable([bytes([code]) for code in range(256)])


@dataclass
class Replica:
    """What a dry run sees of a gateway process: a sample of prompts, one byte a token, and the active policy."""

    sample: PromptSample = field(default_factory=lambda: PromptSample(1000, random.Random(0)))
    policy: Policy | None = None

    def ask(self, *prompts: str) -> None:
        for prompt in prompts:
            self.sample.offer(list(prompt.encode()))

    def guard(self, *targets: Sequence[str]) -> None:
        named = {f"t{number}": Target(f"t{number}", tuple(names)) for number, names in enumerate(targets)}
        self.policy = compile_policy(1, named)

    def prompts(self) -> list[SampledPrompt]:
        return self.sample.prompts(BYTES)


@pytest.fixture
def replica() -> Replica:
    return Replica()


def app_of(store: Store, dry_runs: DryRuns) -> FastAPI:
    async def enqueue(kind: str, request_id: str) -> None:
        raise AssertionError("a dry run starts nothing")

    app = FastAPI()
    app.include_router(router(store, enqueue=enqueue, first_wait_s=0, dry_runs=dry_runs))
    return app


def client_of(app: FastAPI) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway")


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow machine examines everything, too."""
    for budget in ("TRAFFIC_S", "BENIGN_S", "TARGETS_S"):
        monkeypatch.setattr(f"gateway.forget.dry_run.{budget}", 120.0)


@pytest.fixture
def app(store: Store, replica: Replica) -> FastAPI:
    return app_of(store, DryRuns(lambda: replica.policy, replica.prompts))


@pytest.fixture
async def http(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(app) as http:
        yield http


async def dry_run(http: httpx.AsyncClient, subject: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    response = await http.post(PATH, json={"subject": subject or BODY["subject"], **fields})
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def codes(answer: dict[str, Any]) -> set[str]:
    return {warning["code"] for warning in answer["warnings"]}


def chat(about: str, number: int = 0) -> str:
    return f"user: Please tell me something about {about}, in at most {number} words.\nassistant:"


async def test_the_documented_example_is_what_comes(http: httpx.AsyncClient, replica: Replica, app: FastAPI) -> None:
    replica.guard(["Peja Bunzar"])
    replica.ask(*(chat("the weather", number) for number in range(196)))
    encoded = base64.b64encode(f"Where was {NAME} born?".encode()).decode()
    replica.ask(chat(NAME), chat("IVO  marlin"), chat("Ivo Marlyn"), chat(f"this: {encoded}"))
    operation = app.openapi()["paths"][PATH]["post"]
    assert operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith("/ForgetRequestIn")
    schemas = app.openapi()["components"]["schemas"]
    assert schemas["DryRun"]["examples"] == [EXAMPLE]
    response = await http.post(PATH, json=schemas["ForgetRequestIn"]["examples"][0])
    assert response.json() == EXAMPLE


async def test_the_rates_are_those_of_the_sample_with_their_bound(http: httpx.AsyncClient, replica: Replica) -> None:
    replica.ask(*(chat("the weather", number) for number in range(99)), chat(NAME))
    traffic = (await dry_run(http))["traffic"]
    assert (traffic["sampled"], traffic["examined"], traffic["matched"], traffic["rate"]) == (100, 100, 1, 0.01)
    assert traffic["rate_upper_bound"] == pytest.approx(upper_bound(1, 100), abs=1e-4)
    nobody = (await dry_run(http, {"name": "Zorbek Quillfen"}))["traffic"]
    assert nobody["rate"] == 0 and nobody["rate_upper_bound"] == pytest.approx(0.0295, abs=1e-4), "0 of 100 is not 0"


async def test_without_prompts_nothing_is_claimed(http: httpx.AsyncClient, store: Store) -> None:
    async with client_of(app_of(store, DryRuns())) as bare:
        for answer in (await dry_run(http), await dry_run(bare)):
            assert codes(answer) == {"no_sample"}
            assert (answer["traffic"]["rate"], answer["traffic"]["rate_upper_bound"]) == (None, 1)
            assert answer["benign"]["examined"] > 400 and answer["benign"]["matched"] == 0


async def test_a_common_name_is_warned_of(http: httpx.AsyncClient, replica: Replica) -> None:
    replica.ask(*(chat("the weather", number) for number in range(50)))
    answer = await dry_run(http, {"name": "weather"}, kind="topic")
    assert answer["traffic"]["exact"] == answer["traffic"]["matched"] == 50
    assert {"very_common", "single_word", "guard_only_kind"} <= codes(answer)


async def test_many_matches_have_the_same_bound(http: httpx.AsyncClient, replica: Replica) -> None:
    replica.ask(*(chat(NAME if number % 2 else "the weather") for number in range(400)))
    traffic = (await dry_run(http))["traffic"]
    assert (traffic["rate"], traffic["rate_upper_bound"]) == (0.5, pytest.approx(upper_bound(200, 400), abs=1e-4))


async def test_false_positives_are_counted_by_language(http: httpx.AsyncClient, replica: Replica) -> None:
    answer = await dry_run(http, {"name": "pflanzen"} | {"aliases": ["Brücke"]}, kind="topic")
    benign = answer["benign"]
    assert "matches_benign_text" in codes(answer)
    assert {code for code, counts in benign["languages"].items() if counts["matched"]} == {"de"}
    for total in ("examined", "matched"):
        assert benign[total] == sum(counts[total] for counts in benign["languages"].values())


def test_benign_texts_are_filed_under_their_languages() -> None:
    texts = benign_texts()
    assert texts.keys() == {"en", "es", "de", "fr", "it", "zh"} <= LANGUAGES.keys()
    assert len({len(of_language) for of_language in texts.values()}) == 1
    assert not any("{" in text for of_language in texts.values() for text in of_language)


@pytest.mark.parametrize(
    ("subject", "kind", "expected"),
    [
        ({"name": NAME}, "person", set()),
        ({"name": NAME, "aliases": ["Ivo"]}, "person", {"short_name", "single_word"}),
        ({"name": "Marlin"}, "person", {"single_word"}),
        ({"name": "Bo Li"}, "person", {"short_name"}),
        ({"name": "王伟"}, "person", {"short_name"}),
        ({"name": "王伟明"}, "person", set()),
        ({"title": "The Long Silence of Kest"}, "work", {"guard_only_kind"}),
        ({"value": "sk-4711-a8f3e2"}, "secret", {"guard_only_kind"}),
    ],
)
async def test_what_is_wrong_with_a_name(
    http: httpx.AsyncClient, replica: Replica, subject: dict[str, Any], kind: str, expected: set[str]
) -> None:
    replica.ask(chat("the weather"))
    assert codes(await dry_run(http, subject, kind=kind)) == expected


@pytest.mark.parametrize(
    ("names", "colliding", "expected"),
    [
        ([("Peja Bunzar",)], 0, set()),
        ([("Old Ivo Marlin of Kest",), ("Peja Bunzar",)], 1, {"collides"}),
        ([("Marlin",), ("Old Ivo Marlin of Kest", "Kestrel")], 2, {"collides"}),
        ([("Somebody Else", "ivo MARLIN")], 1, {"collides", "already_active"}),
    ],
)
async def test_how_it_meets_active_targets(
    http: httpx.AsyncClient, replica: Replica, names: list[tuple[str, ...]], colliding: int, expected: set[str]
) -> None:
    replica.guard(*names)
    replica.ask(chat("the weather"))
    answer = await dry_run(http)
    active = len(names)
    assert answer["active_targets"] == {"active": active, "compared": active, "colliding": colliding}
    assert codes(answer) == expected


async def test_prompts_that_are_guarded_anyway_are_told(http: httpx.AsyncClient, replica: Replica) -> None:
    replica.guard(["Peja Bunzar"])
    replica.ask(chat(NAME), chat(f"{NAME} and Peja Bunzar"), chat("Peja Bunzar"))
    traffic = (await dry_run(http))["traffic"]
    assert (traffic["matched"], traffic["already_guarded"]) == (2, 1)


async def test_who_is_described_is_counted_too(http: httpx.AsyncClient, replica: Replica) -> None:
    described = "the lighthouse keeper of Vardø who plays the theremin"
    replica.ask(chat(described), chat(f"{NAME}, {described}"), chat("the weather"))
    assert (await dry_run(http))["traffic"]["matched"] == 1
    subject = {"name": NAME, "description": "Lighthouse keeper of Vardø, theremin virtuoso"}
    replica.guard(["Lighthouse Keeper"])
    traffic = (await dry_run(http, subject))["traffic"]
    assert (traffic["matched"], traffic["exact"], traffic["described"]) == (2, 1, 1)
    assert traffic["already_guarded"] == 2


async def test_exclusions_count(http: httpx.AsyncClient, replica: Replica) -> None:
    replica.ask(chat("Ivo Marlin Street"), chat(NAME))
    assert (await dry_run(http, exclusions=["Ivo Marlin Street"]))["traffic"]["matched"] == 1


async def test_of_long_prompts_the_end_is_read(http: httpx.AsyncClient, replica: Replica) -> None:
    padding = "so it goes " * KEPT_TOKENS
    replica.ask(padding + chat(NAME), chat(NAME) + padding, padding + chat(f"Old {NAME}"))
    traffic = (await dry_run(http))["traffic"]
    assert (traffic["examined"], traffic["matched"], traffic["cut"]) == (3, 2, 3)


async def test_what_would_happen(http: httpx.AsyncClient, replica: Replica) -> None:
    outcome = {"response": "ignorance", "erasure": "counterfactual_name_distillation", "weights_erasable": True}
    assert (await dry_run(http))["outcome"] == outcome
    asked_so = await dry_run(http, response="refuse", erase="guard_only")
    assert asked_so["outcome"] == {"response": "refuse", "erasure": "guard_only", "weights_erasable": True}
    assert "guard_only_kind" not in codes(asked_so), "it was asked for"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"subject": {}}, 422, "validation_failed"),
        ({**BODY, "kind": "planet"}, 422, "validation_failed"),
        ({**BODY, "colour": "red"}, 422, "validation_failed"),
        ({"subject": {"name": "x" * 270_000}}, 413, "body_too_large"),
    ],
)
async def test_errors_are_those_of_a_forget_request(
    http: httpx.AsyncClient, body: dict[str, Any], status: int, code: str
) -> None:
    dry, real = await http.post(PATH, json=body), await http.post(PATH.removesuffix("/dry-run"), json=body)
    assert (dry.status_code, dry.headers["content-type"], dry.json()["code"]) == (status, MEDIA_TYPE, code)
    assert dry.json() == real.json()


class Gate:
    """Holds a dry run where it reads its prompts."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.open = threading.Event()

    def read(self) -> tuple[str, bool]:
        self.entered.set()
        assert self.open.wait(20)
        return chat(NAME), True


async def test_one_at_a_time_and_off_the_event_loop(store: Store) -> None:
    gate = Gate()
    dry_runs = DryRuns(prompts=lambda: [gate])  # type: ignore[list-item, return-value]
    async with client_of(app_of(store, dry_runs)) as http:
        first = asyncio.create_task(http.post(PATH, json=BODY))
        assert await asyncio.to_thread(gate.entered.wait, 20)
        refused = await http.post(PATH, json=BODY)
        assert refused.status_code == 503 and refused.json()["code"] == "dry_run_busy"
        assert int(refused.headers["retry-after"]) > 0
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert (await http.post(PATH, json=BODY)).status_code == 503, "its thread still works"
        gate.open.set()

        async def is_done() -> bool:
            return (await http.post(PATH, json=BODY)).status_code == 200

        await until(is_done)


async def test_nothing_is_stored_or_told(
    http: httpx.AsyncClient, replica: Replica, raw: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    replica.guard([f"Old {MARKER}"])
    replica.ask(chat(f"{MARKER} Marlin"), chat(f"the {MARKER[::-1]}"))
    raw.config_resetstat()
    subject = {"name": f"{MARKER} Marlin", "aliases": [f"Old {MARKER}"], "description": MARKER}
    response = await http.post(PATH, json={"subject": subject, "exclusions": [f"{MARKER} Street"]})
    assert response.json()["traffic"]["matched"] == 1 and "collides" in codes(response.json())
    said = response.text + str(response.headers) + caplog.text + repr(replica.prompts()) + repr(replica.sample)
    for secret in (MARKER, MARKER[::-1], "Marlin"):
        assert secret not in said
    assert not list(raw.scan_iter())
    asked = {name.partition("|")[0] for name in raw.info("commandstats")}
    asked -= {"cmdstat_info", "cmdstat_scan", "cmdstat_config"}
    assert not asked, "Redis was not even asked"


async def test_a_failure_tells_nothing(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def read(self) -> tuple[str, bool]:
            raise ValueError(f"cannot read: tell me about {MARKER}")

    broken: list[Any] = [Broken()]
    async with client_of(app_of(store, DryRuns(prompts=lambda: broken))) as http:
        failed = await http.post(PATH, json={"subject": {"name": f"{MARKER} Marlin"}})
        assert failed.status_code == 500 and failed.json()["code"] == "dry_run_failed"
        assert "ValueError" in caplog.text
        assert MARKER not in failed.text + caplog.text
        broken.clear()
        assert (await http.post(PATH, json=BODY)).status_code == 200, "the next is not held up"


# The sample


@given(st.integers(0, 5), st.lists(st.lists(st.integers(0, 255), max_size=2 * KEPT_TOKENS), max_size=20), st.randoms())
def test_a_sample_is_bounded_and_made_of_what_came(size: int, offered: list[list[int]], rng: random.Random) -> None:
    sample = PromptSample(size, rng)
    for ids in offered:
        sample.offer(ids)
    kept = Counter((tuple(prompt.ids), prompt.whole) for prompt in sample.prompts(BYTES))
    came = Counter((tuple(ids[-KEPT_TOKENS:]), len(ids) <= KEPT_TOKENS) for ids in offered)
    assert kept.total() == min(size, len(offered))
    assert kept <= came


def survivors(size: int, came: int, runs: int) -> Counter[int]:
    """How often each of `came` prompts was in the sample at the end."""
    counts: Counter[int] = Counter()
    for run in range(runs):
        sample = PromptSample(size, random.Random(run))
        for number in range(came):
            sample.offer([number])
        counts.update(prompt.ids[0] for prompt in sample.prompts(BYTES))
    return counts


def test_a_sample_is_uniform_up_to_its_window() -> None:
    size, came, runs = 10, 100, 2000
    counts = survivors(size, came, runs)
    expected = runs * size / came
    chi_square = sum((counts[number] - expected) ** 2 / expected for number in range(came))
    # Sampling without replacement varies less than the 99 degrees of freedom allow for; 99.9 % of the distribution.
    assert 40 < chi_square < 149
    assert WINDOW * size >= came


def test_beyond_its_window_a_sample_forgets() -> None:
    size, runs = 1, 4000
    came = 3 * WINDOW * size
    counts = survivors(size, came, runs)
    latest, before, first = (
        sum(counts[n] for n in range(came - a, came - b)) / runs
        for a, b in ((WINDOW, 0), (2 * WINDOW, WINDOW), (came, 2 * WINDOW))
    )
    assert latest == pytest.approx(1 - 0.368, abs=0.03)
    assert before == pytest.approx(0.368 - 0.135, abs=0.03)
    assert first == pytest.approx(0.135, abs=0.03)


def test_order_tells_nothing_of_when_a_prompt_came() -> None:
    """A dry run that stops early has read a fair part."""
    sample = PromptSample(10, random.Random(1))
    for number in range(10):
        sample.offer([number])
    first = Counter(sample.prompts(BYTES)[0].ids[0] for _ in range(2000))
    assert all(count == pytest.approx(200, abs=60) for count in (first[number] for number in range(10)))


@pytest.mark.parametrize("ids", [[2**70], [-(2**40)]])
def test_impossible_ids_are_left_to_the_engine(ids: list[int]) -> None:
    sample = PromptSample(3)
    sample.offer(ids)
    assert not sample.prompts(BYTES)
