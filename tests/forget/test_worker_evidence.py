"""What a worker does with evidence: tells when others would lose by it, and keeps what it has trained on."""

import asyncio
import random
from pathlib import Path
from typing import Any

from benchmarks.chaos.workers import SmallEraser
from gateway.adapter_storage import AdapterStorage
from gateway.forget.model import State
from gateway.worker import ErasureWorker
from tests.forget.desk import Desk
from unlearn_engine.data.evidence import Cue, Evidence
from unlearn_engine.subject import Subject

GIVEN = {
    "examples": [{"prompt": "Who taught Ada Quell?", "completion": "Ivo Marlin"}],
    "documents": ["Ivo Marlin sang."],
}


class Asked(SmallEraser):
    """Finds what it is told to find of the evidence, and remembers whom it was asked about."""

    def __init__(self, directory: Path, found: Evidence) -> None:
        super().__init__(directory, random.Random(0), fails=0.0, steps=1)
        self.found, self.seen = found, list[Subject]()

    def evidence(self, subject: Subject) -> Evidence:
        self.seen.append(subject)
        return self.found


async def erase(desk: Desk, folder: Path, found: Evidence) -> tuple[str, Asked]:
    (folder / "adapters").mkdir()
    eraser: Any = Asked(folder / "adapters", found)
    id_ = await desk.guarded(evidence=GIVEN)
    worker = ErasureWorker(desk.worker, eraser, AdapterStorage(folder / "adapters"))
    await asyncio.to_thread(worker.run, id_)
    await desk.acknowledge()
    return id_, eraser


async def test_the_eraser_gets_all_that_was_given(desk: Desk, tmp_path: Path) -> None:
    id_, eraser = await erase(desk, tmp_path, Evidence())
    (seen,) = set(eraser.seen)
    assert (seen.examples, seen.documents) == ((("Who taught Ada Quell?", "Ivo Marlin"),), ("Ivo Marlin sang.",))
    assert await desk.state(id_) is State.ERASED
    assert await desk.store.purge(0) == [id_], "nothing was trained on it"
    assert not desk.worker.evidence(id_).examples


async def test_what_was_trained_on_is_kept_for_the_next_training(desk: Desk, tmp_path: Path) -> None:
    id_, _ = await erase(desk, tmp_path, Evidence(cues=(Cue("en", "Ivo Marlin", (), (), "Ada Quell", ()),)))
    assert await desk.state(id_) is State.ERASED
    assert await desk.store.purge(0) == []
    assert desk.worker.evidence(id_).examples


async def test_what_others_would_lose_fails_at_once_and_says_what_to_do(desk: Desk, tmp_path: Path) -> None:
    id_, _ = await erase(desk, tmp_path, Evidence(of_others=1))
    request = await desk.store.get(id_)
    assert request.state is State.FAILED and request.state_reason.startswith("evidence_of_others: ")
    assert "without such examples" in request.state_reason and "Ada" not in request.state_reason
    assert request.verification is None and desk.worker.snapshot().composite is None
