"""On a device that refuses to meet CPU tensors, as a GPU does, everything runs and finds the same."""

import json
import math
import subprocess
import sys
from typing import Any

import pytest


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    command = [sys.executable, "-W", "ignore", "-m", "tests.unlearn_engine.elsewhere_paths"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_nothing_is_left_on_the_cpu(told: dict[str, Any]) -> None:
    assert len(told) > 60
    assert {path: found["failed"] for path, found in told.items() if "failed" in found} == {}


def test_the_numbers_are_those_of_the_cpu(told: dict[str, Any]) -> None:
    for path, found in told.items():
        here, there = found["cpu"], found.get("elsewhere", ())
        assert here and len(here) == len(there), path
        pairs = zip(here, there, strict=True)
        assert all(math.isclose(one, other, rel_tol=1e-3, abs_tol=1e-5) for one, other in pairs), path


def test_the_device_is_as_strict_as_a_gpu() -> None:
    code = (
        "import torch; from tests.unlearn_engine import elsewhere; elsewhere.register();"
        "there = torch.ones(2, 2, device='elsewhere'); (there @ there.sum(0)).cpu(); there + torch.ones(2, 2)"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=600)
    assert done.returncode != 0 and "two devices" in done.stderr
