"""A storage for adapters that cannot be used is told at the start and in `/ready`; the guards need none."""

import asyncio
import sys
from pathlib import Path

import httpx
import pytest
from prometheus_client import REGISTRY

from benchmarks.plane import running_planes
from gateway import upkeep
from gateway.adapter_storage import AdapterStorage
from tests.forget.desk import until
from tests.forget.object_storage import BUCKET, ObjectStorage
from tests.forget.servers import free_port
from tests.forget.test_adapter_storage import bucket, s3  # noqa: F401 fixtures


def up() -> float | None:
    return REGISTRY.get_sample_value("unlearn_adapter_storage_up")


@pytest.mark.parametrize("publishes", [False, True])
def test_an_empty_bucket_will_do(bucket: str, tmp_path: Path, publishes: bool) -> None:  # noqa: F811
    for url in (bucket, f"s3://{BUCKET}", str(tmp_path), None):
        assert AdapterStorage(tmp_path / "here", url).look(publishes=publishes) is None


@pytest.mark.parametrize("publishes", [False, True])
@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("bucket", "UNLEARN_ADAPTERS_URL must exist"),
        ("folder", "UNLEARN_ADAPTERS_URL must exist"),
        ("credentials", "credentials are refused"),
        ("unreachable", "AWS_ENDPOINT_URL"),
        ("library", "extra s3"),
        ("protocol", "does not begin"),
    ],
)
def test_what_is_wrong_and_what_to_do(
    bucket: str,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
    says: str,
    publishes: bool,
) -> None:
    url = bucket
    match fault:
        case "bucket":
            url = "s3://modles/adapters"
        case "folder":
            url = str(tmp_path / "share")
        case "credentials":
            monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another-secret")
        case "unreachable":
            monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
        case "library":
            url = "gs://models/adapters"
            monkeypatch.setitem(sys.modules, "gcsfs", None)
        case "protocol":
            url = "nothing://secret@host/adapters"
    said = AdapterStorage(tmp_path / "here", url).look(publishes=publishes)
    assert said is not None and says in said and "secret" not in said and "\n" not in said


def test_a_worker_needs_to_write(bucket: str, s3: ObjectStorage, tmp_path: Path) -> None:  # noqa: F811
    reader = AdapterStorage(tmp_path / "here", bucket)
    with s3.read_only():
        assert reader.look() is None
        said = reader.look(publishes=True)
    assert said is not None and "credentials are refused" in said


async def test_one_that_goes_and_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(upkeep, "LOOK_EVERY_S", 0.02)
    share = tmp_path / "share"
    share.mkdir()
    storage = AdapterStorage(tmp_path / "here", str(share))
    watching = asyncio.create_task(upkeep.watch_adapters(storage))
    await until(lambda: up() == 1.0)
    share.rmdir()
    await until(lambda: up() == 0.0)
    assert storage.problem is not None and "must exist" in storage.problem
    await asyncio.sleep(0.1)
    share.mkdir()
    await until(lambda: up() == 1.0)
    assert storage.problem is None and not watching.done()
    assert caplog.text.count("must exist") == 1, "once, not at every look"
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


def test_a_replica_without_it_guards_and_says_what_is_wrong(redis_url: str, raw: object, tmp_path: Path) -> None:
    with running_planes(redis_url, 1, UNLEARN_ADAPTERS_URL=str(tmp_path / "share")) as planes:
        (replica,) = planes.replicas
        ready = httpx.get(f"{replica.url}/ready")
        assert ready.status_code == 200 and "must exist" in ready.json()["adapters"]
        (line,) = (line for line in replica.log.read_text().splitlines() if "UNLEARN_ADAPTERS_URL" in line)
        assert "must exist" in line
