"""How much memory is free: on GPUs, or in this machine within the limits of the process's control group."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import torch


def free_bytes(devices: Sequence[torch.device]) -> int:
    """Bytes free on these devices together."""
    if devices[0].type == "cuda":
        return sum(torch.cuda.mem_get_info(device)[0] for device in devices)
    groups = _within_groups(Path("/proc/self/cgroup"), Path("/sys/fs/cgroup"))
    return min((int(psutil.virtual_memory().available), *groups))


def _within_groups(membership: Path, mount: Path) -> Iterator[int]:
    """What each control group above this process leaves, in bytes; file pages that can be dropped count as free."""
    lines = membership.read_text().splitlines() if membership.is_file() else []
    for _, controllers, place in (line.split(":", 2) for line in lines):
        root, limit, used, cache = (
            (mount, "memory.max", "memory.current", "inactive_file")
            if not controllers
            else (mount / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        )
        if controllers and "memory" not in controllers.split(","):
            continue
        # In a container the group is often mounted as the root itself, and its own path leads nowhere.
        for group in {root / Path(*Path(place).parts[1 : 1 + depth]) for depth in range(len(Path(place).parts))}:
            if (group / limit).is_file() and (most := (group / limit).read_text().strip()) != "max":
                statistics = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
                yield int(most) - int((group / used).read_text()) + int(statistics.get(cache, 0))
