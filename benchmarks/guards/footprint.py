"""Memory of a policy in a process that has held nothing else: `python -m benchmarks.guards.footprint TARGETS`."""

import gc
import json
import subprocess
import sys
import time

import psutil  # type: ignore[import-untyped]

from benchmarks.guards.subjects import invented_targets
from gateway.guards.encoder import AUTO, load_encoder
from gateway.guards.policy import Policy, compile_policy


def ready(policy: Policy) -> Policy:
    """A policy with all that is computed at the first use of it."""
    policy.tables()
    for table in policy.names_tables:
        policy.phrase_set(table)
    policy.examine("?")
    policy.described("?")
    return policy


def footprint(count: int) -> dict[str, float]:
    """Megabytes by which this process grows: by the requests with their facts, and with the policy made of them."""
    encoder = load_encoder(AUTO)
    # What one target needs is not counted: modules, word lists.
    ready(compile_policy(1, invented_targets(1, seed=1), encoder=encoder))
    before = _resident_mb()
    targets = invented_targets(count, seed=0)
    held = _resident_mb()
    began = time.perf_counter()
    policy = ready(compile_policy(1, targets, encoder=encoder))
    seconds = time.perf_counter() - began
    return {
        "memory_mb": _resident_mb() - before,
        "memory_targets_mb": held - before,
        "memory_phrases": sum(len(target.phrases) for target in policy.targets.values()),
        "compile_s": seconds,
    }


def measured_apart(count: int) -> dict[str, float]:
    """The same in a process of its own: what others have freed would be filled first, and not be seen."""
    command = [sys.executable, "-m", "benchmarks.guards.footprint", str(count)]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return found


def _resident_mb() -> float:
    gc.collect()
    return float(psutil.Process().memory_info().rss) / 1e6


if __name__ == "__main__":
    print(json.dumps(footprint(int(sys.argv[1]))))
