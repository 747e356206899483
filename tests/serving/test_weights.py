"""Baked weights go live in the running engine, by the operator's hand only, and the originals come back."""

import asyncio
import concurrent.futures
import json
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from gateway.guards.policy import AdapterRef, compile_policy
from gateway.serving.enforcement import Enforcement
from gateway.serving.errors import SwapFailed, WeightsLost
from gateway.serving.observer import SilentObserver
from gateway.serving.weights import Weights
from tests.conftest import MODULE, Gateway
from tests.serving.test_guarded_engine import FakeEngine
from tests.serving.test_swap import BASE, say, stream, told
from unlearn_engine.adapter import export
from unlearn_engine.bake import bake
from unlearn_engine.lowrank import Factors
from unlearn_engine.model import base_digest

PROMPTS = ["A long story", "Another long story", "Where was Peja Bunzar born?"]


@pytest.fixture(scope="module")
def adapters(
    tmp_path_factory: pytest.TempPathFactory, model_path: Path, model_config: dict[str, Any]
) -> list[dict[str, Any]]:
    """Two adapters for the served base, as their `AdapterRef`s."""
    made = []
    for seed in range(2):
        rng = np.random.default_rng(seed)
        down = torch.from_numpy(rng.normal(size=(4, model_config["intermediate_size"]))).float()
        up = torch.from_numpy(rng.normal(size=(model_config["hidden_size"], 4))).float()
        change = {MODULE: Factors(down, up)}
        adapter = export(tmp_path_factory.mktemp("adapters"), base_digest(model_path), change, {}, [f"r{seed}"], ())
        made.append({"digest": adapter.digest, "path": str(adapter.path), "rank": adapter.rank})
    return made


@pytest.fixture(scope="module")
def baked_folder(tmp_path_factory: pytest.TempPathFactory, model_path: Path, adapters: list[dict[str, Any]]) -> Path:
    folder = tmp_path_factory.mktemp("baked") / "model"
    bake(model_path, Path(adapters[0]["path"]), folder)
    return folder


def replace(gateway: Gateway, folder: Path, status: int = 200, **fields: Any) -> str:
    answer = gateway.post("/test/weights", folder=str(folder), **fields)
    assert answer.status_code == status, answer.text
    return answer.text


@pytest.fixture
def original(gateway: Gateway, model_path: Path) -> Iterator[None]:
    """Whatever happens, the others find the weights they know."""
    gateway.apply()
    yield
    gateway.apply()
    replace(gateway, model_path)


@pytest.mark.usefixtures("original")
class TestTheEngine:
    def test_baked_weights_answer_as_base_and_adapter_did(
        self, gateway: Gateway, model_path: Path, baked_folder: Path, adapters: list[dict[str, Any]]
    ) -> None:
        base = say(gateway)
        gateway.apply(adapter=adapters[0])
        adapted = say(gateway)
        assert adapted != base
        replace(gateway, baked_folder)
        assert say(gateway) == say(gateway, BASE) == adapted
        state = gateway.wait_until(lambda state: not state["retiring"])
        assert state["adapters"] == []  # the policy's adapter is inside the weights
        gateway.apply()
        assert say(gateway) == adapted
        gateway.apply(adapter=adapters[0])
        assert say(gateway) == adapted  # not a second time on top
        replace(gateway, model_path)
        assert say(gateway) == adapted  # now by the adapter again
        assert len(gateway.state()["adapters"]) == 1
        gateway.apply()
        assert say(gateway) == base

    def test_an_adapter_of_the_old_base_is_refused(
        self, gateway: Gateway, baked_folder: Path, adapters: list[dict[str, Any]]
    ) -> None:
        replace(gateway, baked_folder)
        baked = say(gateway)
        refused = gateway.post_policy({"targets": [], "adapter": adapters[1]})
        assert refused.status_code == 409 and "not made for the baked weights" in refused.json()["error"]
        assert say(gateway) == baked

    def test_weights_under_an_adapter_that_they_lack_are_refused(
        self, gateway: Gateway, baked_folder: Path, adapters: list[dict[str, Any]]
    ) -> None:
        gateway.apply(adapter=adapters[1])
        adapted = say(gateway)
        assert "not made for the baked weights" in replace(gateway, baked_folder, 409)
        assert say(gateway) == adapted

    def test_another_models_weights_are_refused(self, gateway: Gateway, model_path: Path, tmp_path: Path) -> None:
        base = say(gateway)
        assert "cannot be read" in replace(gateway, tmp_path, 409)
        other = tmp_path / "other"
        shutil.copytree(model_path, other)
        tensors = load_file(other / "model.safetensors")
        save_file({**tensors, "more": torch.zeros(2)}, other / "model.safetensors")
        assert "not those of the model" in replace(gateway, other, 409)
        assert say(gateway) == base

    def test_no_answer_mixes_old_and_new_and_none_fails(
        self, gateway: Gateway, model_path: Path, baked_folder: Path
    ) -> None:
        with concurrent.futures.ThreadPoolExecutor(3) as pool:

            def unmixed() -> dict[str, set[Any]]:
                """What is said one by one, and together: in another batch a near tie may fall to the other side."""
                together = {prompt: pool.submit(stream, gateway, prompt, 120) for prompt in PROMPTS}
                found = {prompt: {told(task.result())} for prompt, task in together.items()}
                return {prompt: found[prompt] | {told(stream(gateway, prompt, 120))} for prompt in PROMPTS}

            old = unmixed()
            replace(gateway, baked_folder)
            new = unmixed()
            assert all(old[prompt].isdisjoint(new[prompt]) for prompt in PROMPTS)
            for folder in (model_path, baked_folder, model_path):
                running = {prompt: pool.submit(stream, gateway, prompt, 120) for prompt in PROMPTS}
                gateway.wait_until(lambda state: state["unfinished"] >= 1)
                replace(gateway, folder)
                assert all(told(task.result()) in old[prompt] | new[prompt] for prompt, task in running.items())

    def test_requests_that_do_not_end_keep_the_old_weights(self, gateway: Gateway, baked_folder: Path) -> None:
        base = say(gateway)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            running = pool.submit(stream, gateway, "A long story", 400)
            gateway.wait_until(lambda state: state["unfinished"] == 1)
            assert "did not end" in replace(gateway, baked_folder, 409, drain_s=0.0)
            assert running.result() is not None
        assert say(gateway) == base

    def test_the_operator_replaces_them_with_a_link_and_a_signal(
        self, gateway: Gateway, model_path: Path, baked_folder: Path, weights_link: Path
    ) -> None:
        base = say(gateway)
        weights_link.symlink_to(baked_folder)
        gateway.process.send_signal(signal.SIGUSR1)
        deadline = time.monotonic() + 30
        while (said := say(gateway)) == base:
            assert time.monotonic() < deadline
        weights_link.unlink()
        gateway.process.send_signal(signal.SIGUSR1)  # leads nowhere: nothing is done
        assert say(gateway) == said
        replace(gateway, model_path)
        assert say(gateway) == base

    def test_no_client_can_replace_weights(self, gateway: Gateway, baked_folder: Path) -> None:
        base = say(gateway)
        for route in ("/reload_weights", "/update_weights", "/collective_rpc", "/sleep", "/pause", "/v1/weights"):
            body = {"method": "reload_weights", "kwargs": {"weights_path": str(baked_folder)}}
            assert gateway.post(route, **body).status_code == 404
        assert say(gateway) == base


class Reloading(FakeEngine):
    """An engine whose weights can fail to load: `refuses` names the folders that cannot be had."""

    def __init__(self, *refuses: str) -> None:
        super().__init__()
        self.refuses = refuses
        self.loads: list[str] = []
        self.paused = False

    async def pause_generation(self, mode: str) -> None:
        assert mode == "wait"
        self.paused = True

    async def resume_generation(self) -> None:
        self.paused = False

    async def collective_rpc(self, method: str, args: Any = (), kwargs: dict[str, Any] | None = None) -> list[Any]:
        if method != "reload_weights":
            return await super().collective_rpc(method, args)
        assert self.paused and kwargs is not None
        name = Path(kwargs["weights_path"]).name
        self.loads.append(name)
        if name in self.refuses:
            raise RuntimeError("half loaded")
        return [None]


async def enforcing(engine: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Enforcement:
    async def passed(_: Any) -> None: ...

    monkeypatch.setattr("gateway.serving.enforcement.check_guard", passed)
    enforcement = Enforcement(engine, (), Weights(engine, folder), SilentObserver())
    await enforcement.apply(compile_policy(1, {}))
    return enforcement


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        save_file({"weight": torch.zeros(2)}, tmp_path / name / "model.safetensors")
    return tmp_path / "old", tmp_path / "new"


async def test_what_cannot_be_loaded_is_undone(folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = folders
    engine = Reloading("new")
    enforcement = await enforcing(engine, old, monkeypatch)
    with pytest.raises(SwapFailed, match="half loaded"):
        await enforcement.replace_weights(new, 1.0)
    assert engine.loads == ["new", "old"] and enforcement.live is not None and not engine.paused
    await asyncio.wait_for(enforcement.opened(), 1)


async def test_unknown_weights_answer_nothing(folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = folders
    enforcement = await enforcing(Reloading("new", "old"), old, monkeypatch)
    with pytest.raises(WeightsLost, match="restart"):
        await enforcement.replace_weights(new, 1.0)
    assert enforcement.live is None


async def closed(enforcement: Enforcement) -> None:
    """Return once requests have to wait."""
    while True:
        try:
            await asyncio.wait_for(enforcement.opened(), 0.05)
        except TimeoutError:
            return
        await asyncio.sleep(0)


async def test_requests_wait_while_weights_are_replaced(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = folders
    enforcement = await enforcing(Reloading(), old, monkeypatch)
    assert enforcement.live is not None
    with enforcement.live.held():
        replacing = asyncio.create_task(enforcement.replace_weights(new, 10.0))
        await asyncio.wait_for(closed(enforcement), 10)
        assert not replacing.done()
    await replacing
    await asyncio.wait_for(enforcement.opened(), 1)


def test_a_damaged_record_is_no_record(folders: tuple[Path, Path]) -> None:
    old, new = folders
    (new / "baked.json").write_text(json.dumps({"digest": "x"}))
    with pytest.raises(SwapFailed, match="cannot be read"):
        Weights(FakeEngine(), old).check(new)  # type: ignore[arg-type]
    assert Weights(FakeEngine(), old).lack(AdapterRef("0" * 64, "/nowhere", 4))  # type: ignore[arg-type]
